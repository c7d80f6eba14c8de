"""From a row of a table to its runs, and from their validation to the value that is chosen."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .budget import Budget
from .entries import Entry, shape
from .systems import System
from .tables import Table

# Of the runs that choose a value; the first seed of those at the chosen value, which are the same runs.
TUNING_SEED = 0
COMMON = (
    "operator=fno",
    "optimizer.lr=3e-3",
    "scheduler=warmup_cosine",
    "callbacks.best.monitor=val/nrmse",
    "callbacks.best.mode=min",
    "~callbacks.early_stopping",
    "~callbacks.progress",
    "trainer.enable_progress_bar=false",
    "trainer.max_epochs=-1",
    "trainer.check_val_every_n_epoch=null",
    "trainer.num_sanity_val_steps=0",
    "evaluate=false",
)


@dataclass(frozen=True)
class Run:
    """One training, and what is measured on it; two rows that need the same one share it.

    Attributes:
        system: what it is trained on.
        overrides: of `configs/train.yaml`, all but the seed and the width.
        widths: overrides that set the width `{width}`, to be found.
        multiple: of which the width is one.
        budget: of the training.
        seed: of the initial weights, the order of the data and all random numbers.
    """

    system: System
    overrides: tuple[str, ...]
    widths: tuple[str, ...]
    multiple: int
    budget: Budget
    seed: int

    @property
    def id(self) -> str:
        """The name of its result: words for the eye, then a hash of all that decides."""
        groups = dict(text.split("=", 1) for text in self.overrides if not text.startswith("~"))
        words = [groups.get(key, "") for key in ("operator", "objective", "regularizer")]
        decisive = [self.system.name, *self.overrides, *self.widths, str(self.budget)]
        digest = hashlib.sha256("\n".join(decisive).encode()).hexdigest()[:8]
        parts = (self.system.name, *words, f"s{self.seed}", digest)
        return "-".join(re.sub(r"\W+", "_", part) for part in parts if part)


def of_entry(entry: Entry, system: System, value: float, seed: int, budget: Budget) -> Run:
    """The run of an entry with that value of its tuned parameter."""
    filled = [text.format(**shape(system)) for text in (*entry.operator, *entry.method)]
    # Where an equation conserves nothing that a projection keeps, the row has the runs of the one without.
    own = (*(text for text in filled if text != "conserve=null"), f"{entry.parameter}={value!r}")
    chosen = {text.split("=", 1)[0] for text in own}
    common = (text for text in COMMON if text.split("=", 1)[0] not in chosen)
    return Run(system, (*common, *system.overrides, *own), entry.widths, entry.multiple, budget, seed)


@dataclass(frozen=True)
class Row:
    """An entry of a table on a system."""

    table: Table
    system: System
    entry: Entry

    def run(self, value: float, seed: int, budget: Budget) -> Run:
        """The run with that value of the tuned parameter."""
        return of_entry(self.entry, self.system, value, seed, budget)

    def tuning(self) -> list[Run]:
        """The runs that choose the value, at equal steps in every table."""
        return [self.run(value, TUNING_SEED, self.system.steps) for value in self.entry.values]

    def final(self, value: float) -> list[Run]:
        """The runs at the chosen value, one a seed."""
        seeds = range(self.entry.seeds or self.table.seeds)
        return [self.run(value, seed, self.table.budget(self.system)) for seed in seeds]

    def chosen(self, results: Path) -> float | None:
        """The value whose rollouts were best on the validation split; None until every tuning run has ended.

        No figure of the test split is looked at.
        """
        if self.entry.budget_of is not None:
            return mean_weight(Row(self.table, self.system, self.table.entry(self.entry.budget_of)), results)
        found = [load(results, run) for run in self.tuning()]
        if any(record is None for record in found):
            return None
        scores = [validation(record) for record in found if record is not None]
        best = min(scores)
        return self.entry.values[scores.index(best)] if math.isfinite(best) else None


def mean_weight(row: Row, results: Path) -> float | None:
    """What the penalty of a row's chosen run weighed, in the mean over space and validation states."""
    value = row.chosen(results)
    if value is None:
        return None
    record = load(results, row.run(value, TUNING_SEED, row.system.steps))
    found = (record or {}).get("validation", {}).get("mean_weight")
    return None if found is None else float(f"{found:.3g}")


def validation(record: dict[str, Any]) -> float:
    """The mean nRMSE of a run's validation rollouts; infinite where it diverged."""
    value = record.get("validation", {}).get("nrmse")
    return float("inf") if value is None else float(value)


def load(results: Path, run: Run) -> dict[str, Any] | None:
    """The result of a run, if it is there."""
    path = results / f"{run.id}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def rows(pairs: Sequence[tuple[Table, System]], kept: Callable[[Table], bool] = lambda table: True) -> list[list[Row]]:
    """The rows of each table on each system, in order."""
    return [[Row(table, system, entry) for entry in table.entries] for table, system in pairs if kept(table)]

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
# The learning rate of rows that tune another number and are compared with no row that tunes it.
RATE = 3e-3
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


def of_entry(entry: Entry, system: System, value: float, seed: int, budget: Budget, rate: float = RATE) -> Run:
    """The run of an entry with that value of its tuned parameter, at that learning rate where it is not the one."""
    filled = [text.format(**shape(system)) for text in (*entry.operator, *entry.method)]
    # Where an equation conserves nothing that a projection keeps, the row has the runs of the one without.
    own = (*(text for text in filled if text != "conserve=null"), f"{entry.parameter}={value!r}")
    chosen = {text.split("=", 1)[0] for text in own}
    common = (f"optimizer.lr={shortest(rate)}" if text.startswith("optimizer.lr=") else text for text in COMMON)
    common = (text for text in common if text.split("=", 1)[0] not in chosen)
    return Run(system, (*common, *system.overrides, *own), entry.widths, entry.multiple, budget, seed)


def shortest(rate: float) -> str:
    """`3e-3`: one digit and its power of ten, as identities of runs have it."""
    return f"{rate:.0e}".replace("e-0", "e-")


@dataclass(frozen=True)
class Row:
    """An entry of a table on a system. What it needs of other rows is read from the results."""

    table: Table
    system: System
    entry: Entry

    def beside(self, entry: Entry) -> "Row":
        """Another entry on the same system."""
        return Row(self.table, self.system, entry)

    def rate(self, results: Path) -> float | None:
        """The learning rate of a row that tunes another number; None until the row it is taken from has chosen."""
        return RATE if self.entry.rate_of is None else self.beside(self.entry.rate_of).chosen(results)

    def run(self, results: Path, value: float, seed: int, budget: Budget) -> Run | None:
        """The run with that value of the tuned parameter; None until its learning rate is known."""
        rate = self.rate(results)
        return None if rate is None else of_entry(self.entry, self.system, value, seed, budget, rate)

    def tuning(self, results: Path) -> list[Run]:
        """The runs that choose the value, at equal steps in every table; none until their learning rate is known."""
        runs = [self.run(results, value, TUNING_SEED, self.system.steps) for value in self.entry.values]
        return [run for run in runs if run is not None]

    def final(self, results: Path, value: float, seeds: int | None = None) -> list[Run]:
        """The runs at the chosen value, one a seed: as many as are wanted, or the first `seeds`."""
        count, budget = seeds or self.entry.seeds or self.table.seeds, self.table.budget(self.system)
        runs = [self.run(results, value, seed, budget) for seed in range(count)]
        return [run for run in runs if run is not None]

    def chosen(self, results: Path) -> float | None:
        """The value whose rollouts were best on the validation split; None until every tuning run has ended.

        No figure of the test split is looked at.
        """
        if self.entry.mean_of is not None:
            return mean_weight(self.beside(self.entry.mean_of), results)
        if self.entry.value_of is not None:
            return self.beside(self.entry.value_of).chosen(results)
        found = [load(results, run) for run in self.tuning(results)]
        if not found or any(record is None for record in found):
            return None
        scores = [validation(record) for record in found if record is not None]
        best = min(scores)
        return self.entry.values[scores.index(best)] if math.isfinite(best) else None


def mean_weight(row: Row, results: Path) -> float | None:
    """What the penalty of a row's chosen run weighed, in the mean over space and validation states."""
    value = row.chosen(results)
    run = None if value is None else row.run(results, value, TUNING_SEED, row.system.steps)
    record = None if run is None else load(results, run)
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
    return [[Row(table, system, entry) for entry in table.on(system)] for table, system in pairs if kept(table)]

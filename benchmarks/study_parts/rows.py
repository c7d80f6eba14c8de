"""What is there of the rows of a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .columns import Column, Record
from .runs import Row, load
from .statistics_of import number
from .tables import TABLES


@dataclass(frozen=True)
class Found:
    """A row and its measured runs.

    Attributes:
        row: which.
        value: of the tuned parameter, as validation chose it; None where it is not chosen yet.
        records: of the runs that were measured, by seed in order.
        diverged: runs at the chosen value, or all that were to choose it, that stopped being finite.
        seeds: how many runs are wanted.
    """

    row: Row
    value: float | None
    records: tuple[Record, ...]
    diverged: tuple[Record, ...]
    seeds: int

    @property
    def tuned(self) -> str:
        """The parameter and its value; and where that is the least or the largest tried, so that a better one may lie
        beyond.
        """
        if self.value is None:
            return "-"
        tried = self.row.entry.values
        edges = {min(tried): ", least", max(tried): ", largest"} if len(tried) > 1 else {}
        return f"{self.row.entry.parameter.rpartition('.')[2]} = {number(self.value)}{edges.get(self.value, '')}"

    @property
    def count(self) -> str:
        """How many seeds there are, of how many, and what became of the others."""
        lost = f", {len(self.diverged)} diverged" if self.diverged else ""
        return f"{len(self.records)} of {max(self.seeds, len(self.records))}{lost}"

    def absent(self, shown: Sequence[Column]) -> list[str]:
        """The cells of a row that has no figure: why, in the first."""
        word = "diverged" if self.diverged else "not yet run"
        return [word, *["-"] * (len(shown) - 1)]

    def values(self, column: Column, worst: float = math.inf) -> dict[int, float]:
        """A column by seed; `worst` for runs that diverged."""
        found = {int(record["seed"]): column.figure(record) for record in self.records}
        lost = {int(record["seed"]): worst for record in self.diverged}
        return {seed: value for seed, value in found.items() if value is not None} | lost


def found_rows(group: Sequence[Row], results: Path) -> list[Found]:
    """Every row with what there is of it."""
    return [found_row(row, results) for row in group]


def found_row(row: Row, results: Path) -> Found:
    """The measured runs of a row at the value that validation chose, those that other tables wanted among them."""
    seeds, value = row.entry.seeds or row.table.seeds, row.chosen(results)
    if value is None:
        tried = [record for run in row.tuning(results) if (record := load(results, run)) is not None]
        all_lost = len(tried) == len(row.entry.values) > 0
        return Found(row, None, (), tuple(r for r in tried if "diverged" in r) if all_lost else (), seeds)
    most = max(seeds, *(table.seeds for table in TABLES))
    records = [record for run in row.final(results, value, most) if (record := load(results, run)) is not None]
    measured = tuple(record for record in records if "test" in record)
    return Found(row, value, measured, tuple(record for record in records if "diverged" in record), seeds)

"""Which rows of all tables roll out best on the validation split."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .rows import Found, found_row
from .runs import rows, validation
from .statistics_of import over_seeds
from .systems import System
from .tables import Table

SHOWN = 8


def ranking(tables: Sequence[Table], results: Path) -> str:
    """For each system the rows at equal steps, by the median over seeds of the nRMSE of their validation rollouts."""
    lines = ["| system | row | table | seeds | nRMSE of validation rollouts |", "|---|---|---|---|---|"]
    systems = {system.name: system for table in tables for system in table.systems}
    for system in systems.values():
        found = sorted(candidates(tables, system, results), key=lambda candidate: candidate[0])
        lines += [
            f"| {system.name} | {row.row.entry.name} | {row.row.table.number} | {len(values)} | {over_seeds(values)} |"
            for _, values, row in found[:SHOWN]
        ]
    return "\n".join(lines) + "\n"


def candidates(
    tables: Sequence[Table], system: System, results: Path
) -> Iterator[tuple[float, list[float | None], Found]]:
    """Rows with three measured seeds or more, each set of runs once."""
    seen: set[str] = set()
    # Runs that the ablation shares have their name from elsewhere.
    ordered = sorted(tables, key=lambda table: table.number == 1)
    for group in rows([(table, system) for table in ordered if system in table.systems]):
        for row in (found_row(row, results) for row in group):
            same = row.row.table.budget(system) == system.steps and len(row.records) >= 3
            if same and not seen & (ids := {str(record["id"]) for record in row.records}):
                seen |= ids
                values = sorted(validation(record) for record in row.records)
                yield values[len(values) // 2], list(values), row

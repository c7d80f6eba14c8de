"""Which rows roll out best on the validation split, and how the recipes made of them stand beside the others."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from .rows import Found, found_row
from .runs import Row, rows, validation
from .statistics_of import number, over_seeds
from .systems import System
from .tables import Table

SHOWN = 8


def ranking(tables: Sequence[Table], results: Path) -> str:
    """For each system the rows at equal steps, by the median over seeds of the nRMSE of their validation rollouts."""
    lines = ["| system | row | table | seeds | nRMSE of validation rollouts |", "|---|---|---|---|---|"]
    systems = {system.name: system for table in tables for system in table.systems}
    for system in systems.values():
        lines += [
            f"| {system.name} | {row.row.entry.name} | {row.row.table.number} | {len(row.records)} | {rollouts(row)} |"
            for row in ranked(tables, system, results)[:SHOWN]
        ]
    return "\n".join(lines) + "\n"


def recipes(tables: Sequence[Table], results: Path) -> str:
    """The validation rollouts of each recipe beside those of the best row of the tables that it is not from."""
    head = ["experiment", "is", "seeds", "nRMSE of validation rollouts", "best of the other tables", "its", "ratio"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    made = [(table, *recipe) for table in tables for recipe in table.recipes.items()]
    for table, experiment, (system, name) in made:
        own = found_row(Row(table, system, table.entry(name)), results)
        best = ranked([other for other in tables if other is not table], system, results)[:1]
        if own.records and best:
            ratio = number(median(own) / median(best[0]))
            cells = [f"`{experiment}`", name, str(len(own.records)), rollouts(own), best[0].row.entry.name]
            lines.append("| " + " | ".join([*cells, rollouts(best[0]), ratio]) + " |")
    return "\n".join(lines) + "\n"


def ranked(tables: Sequence[Table], system: System, results: Path) -> list[Found]:
    """Rows at equal steps with three measured seeds or more, each set of runs once, the best first."""
    found: list[Found] = []
    seen: set[str] = set()
    # Runs that the ablation shares have their name from elsewhere.
    ordered = sorted(tables, key=lambda table: table.number == 1)
    for group in rows([(table, system) for table in ordered if system in table.systems]):
        for row in (found_row(row, results) for row in group):
            same = row.row.table.budget(system) == system.steps and len(row.records) >= 3
            if same and not seen & (ids := {str(record["id"]) for record in row.records}):
                seen |= ids
                found.append(row)
    return sorted(found, key=median)


def median(row: Found) -> float:
    """Of the nRMSE of validation rollouts, over seeds."""
    return statistics.median(validation(record) for record in row.records)


def rollouts(row: Found) -> str:
    """The nRMSE of validation rollouts over seeds."""
    return over_seeds([validation(record) for record in row.records])

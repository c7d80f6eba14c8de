"""`docs/study.md`: what the runs that are there say, and which are not there yet."""

import json
from collections.abc import Sequence
from pathlib import Path

from . import columns
from .columns import Column, Record
from .figures import draw
from .ranking import ranking, recipes
from .rows import Found, found_rows
from .runs import rows
from .statistics_of import over_seeds
from .tables import TABLES
from .verdicts import TRUTH, summary, unbounded, verdicts
from .words import BEST, FLOORS, HEAD, LOST, READING, RECIPES, SHORT

MISSING = "not yet run"


def write(results: Path, docs: Path) -> str:
    """Write the page and its figures; says how much is there."""
    parts, short, lost, there, wanted = [HEAD], [SHORT], [LOST], 0, 0
    for table in TABLES:
        parts.append(f"## {table.number}. {table.title}\n\n{table.question}\n")
        for group in rows([(table, system) for system in table.systems]):
            found = found_rows(group, results)
            there += sum(min(len(row.records), row.seeds) for row in found)
            wanted += sum(row.seeds for row in found)
            parts.append(section(found, results, docs))
            name = group[0].system.name
            if lines := summary(found, floor_records(results, name)):
                short += [f"| **{table.number}. {table.title}, {name}** | | | | |", *lines]
            if any(row.records or row.diverged for row in found):
                lost.append(f"| {table.number}. {table.title} | {name} | {unbounded(found)} |")
    short += ["", *lost, "", BEST, ranking(TABLES, results), RECIPES, recipes(TABLES, results)]
    parts.insert(1, "\n".join(short))
    parts.insert(1, READING)
    parts.insert(1, f"{there} of {wanted} rows times seeds are measured; what is missing says `{MISSING}`.\n")
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "study.md").write_text("\n".join(parts))
    return f"study.md: {there} of {wanted}"


def section(found: Sequence[Found], results: Path, docs: Path) -> str:
    """One table on one system: trajectories, statistics or fronts, other test sets, costs, verdicts, pictures."""
    table, system = found[0].row.table, found[0].row.system
    title = f"### Table {table.number}, {system.name}\n\n{system.words}; {table.budget(system)} a run.\n"
    if not any(row.records or row.diverged for row in found):
        return f"{title}\n{MISSING}: {', '.join(row.row.entry.name for row in found)}.\n"
    floors = floor_records(results, system.name)
    parts = [title, lay_out(found, columns.TRAJECTORY, floors, tuned=True)]
    kind = columns.ATTRACTOR if system.attractor else columns.FRONTS if system.fronts else columns.DRIFTS
    parts.append(lay_out(found, kind, floors))
    for name in system.outside:
        parts.append(lay_out(found, columns.outside(name), {}))
    if learned := [row for row in found if row.values(columns.LEARNED[0])]:
        parts.append(lay_out(learned, columns.LEARNED, {}))
    parts += [lay_out(found, columns.COST, {}), verdicts(found, floors)]
    return "\n".join([*parts, *draw(found, floors, docs)])


def floor_records(results: Path, system: str) -> dict[str, Record]:
    """What needs no training, as records in the shape of a run's, by name."""
    path = results / f"floors-{system}.json"
    if not path.is_file():
        return {}
    kept = json.loads(path.read_text())
    found: dict[str, Record] = {
        name: {"test": {"sets": {"test": kept[key]}}} for name, key in FLOORS.items() if key in kept
    }
    if "attractor" in kept:
        halves = {key: kept[key] for key in ("attractor", "decorrelation_time")}
        exponent = {"mean": kept["dataset"]["lyapunov_exponent"]}
        found[TRUTH] = {"test": {"sets": {"test": halves}, "exponent": exponent}}
    return found


def lay_out(found: Sequence[Found], shown: Sequence[Column], floors: dict[str, Record], *, tuned: bool = False) -> str:
    """A Markdown table: `median [least, largest]` over seeds; columns without any figure are left out."""
    everything = [record for row in found for record in row.records] + list(floors.values())
    shown = [column for column in shown if any(column.figure(record) is not None for record in everything)]
    head = ["", *(["tuned", "seeds"] if tuned else []), *(column.title for column in shown)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in found:
        own = [row.tuned, row.count] if tuned else []
        cells = [over_seeds([column.figure(record) for record in row.records]) for column in shown]
        cells = cells if row.records else row.absent(shown)
        lines.append("| " + " | ".join([row.row.entry.name, *own, *cells]) + " |")
    for name, record in floors.items():
        cells = [over_seeds([column.figure(record)]) for column in shown]
        if any(cell != "-" for cell in cells):
            lines.append("| " + " | ".join([f"*{name}*", *(["", ""] if tuned else []), *cells]) + " |")
    return "\n".join(lines) + "\n"

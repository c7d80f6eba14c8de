"""Which rows differ from which, seed by seed, by the rule in `Paired.verdict`."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from . import columns
from .columns import GMEAN, Column, Record
from .rows import Found
from .statistics_of import WORST, Paired, number, paired
from .systems import System

# The record of what two halves of the truth say of each other.
TRUTH = "truth against truth"
# A row, what it is compared with, and one comparison for each column that is judged.
Compared = tuple[Found, Found, list[Paired | None]]


def judged(system: System) -> dict[str, Column]:
    """The errors that rows are compared by, on the test split and on the further sets, by title; all positive and
    better where they are smaller.
    """
    shown = {"nRMSE @1": columns.TRAJECTORY[0], "nRMSE @10": columns.TRAJECTORY[1], "GMean": GMEAN}
    if system.attractor:
        shown |= {"1 / VPT": inverse(columns.VPT)} | {column.title: column for column in columns.DISTANCES}
    return shown | {f"GMean at {name}": columns.outside(name)[0] for name in system.outside}


def inverse(column: Column) -> Column:
    """One over a figure, so that less is better."""

    def figure(record: columns.Record) -> float | None:
        value = column.figure(record)
        return None if value is None else (1 / value if value else float("inf"))

    return Column(f"1 / {column.title}", figure)


def compared(found: Sequence[Found], floors: Mapping[str, Record]) -> Iterator[Compared]:
    """Every row that is there beside the table's base, then the table's further pairs."""
    table, shown, truth = found[0].row.table, judged(found[0].row.system), floors.get(TRUTH, {})
    by_name = {row.row.entry.name: row for row in found}
    pairs = [(name, table.base) for name in by_name if name != table.base]
    # A flow may have fewer rows than the table.
    for ours, theirs in (*pairs, *(pair for pair in table.pairs if by_name.keys() >= set(pair))):
        one, other = by_name[ours], by_name[theirs]
        results = [compare(one, other, column, column.figure(truth)) for column in shown.values()]
        if any(result is not None for result in results):
            yield one, other, results


def compare(row: Found, base: Found, column: Column, floor: float | None) -> Paired | None:
    """For the seeds that both rows have; a run that diverged counts `WORST`. None where nothing can be compared."""
    ours, theirs = row.values(column, WORST), base.values(column, WORST)
    seeds = sorted(set(ours) & set(theirs))
    if not seeds or any(min(values[seed] for seed in seeds) <= 0 for values in (ours, theirs)):
        return None
    pair = [[values[seed] for seed in seeds] for values in (ours, theirs)]
    beneath = floor is not None and max(statistics.median(values) for values in pair) <= floor
    return replace(paired(*pair), beneath=beneath)


def verdicts(found: Sequence[Found], floors: Mapping[str, Record]) -> str:
    """A Markdown table of ratios of errors, and of memory and time of a training step."""
    lines = list(compared(found, floors))
    if not lines:
        return f"Nothing can be compared with `{found[0].row.table.base}` yet.\n"
    shown = judged(found[0].row.system)
    kept = [place for place in range(len(shown)) if any(results[place] for _, _, results in lines)]
    head = ["", "against", "seeds", *(list(shown)[place] for place in kept), "peak memory", "time a step"]
    page = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one, other, results in lines:
        seeds = max(result.seeds for result in results if result is not None)
        costs = [cost(one, other, column) for column in (columns.PEAK, columns.STEP_TIME)]
        cells = [one.row.entry.name, other.row.entry.name, str(seeds), *(cell(results[place]) for place in kept)]
        page.append("| " + " | ".join([*cells, *costs]) + " |")
    return "\n".join(page) + "\n"


def cell(result: Paired | None) -> str:
    """Ratio, spread and p; the verdict where there is one."""
    if result is None:
        return "-"
    words = f"{number(result.ratio)} ({number(result.spread)}, p {result.p:.2g})"
    if result.verdict in ("better", "worse"):
        return f"**{result.verdict}** {words}"
    return f"{words}, below the floor" if result.beneath else words


def cost(row: Found, base: Found, column: Column) -> str:
    """The ratio of what they cost, the median over seeds that ended in both."""
    ours, theirs = row.values(column), base.values(column)
    seeds = [seed for seed in set(ours) & set(theirs) if math.isfinite(ours[seed]) and math.isfinite(theirs[seed])]
    return number(statistics.median(ours[seed] / theirs[seed] for seed in seeds)) if seeds else "-"


def unbounded(found: Sequence[Found]) -> str:
    """Rows with seeds of which some free run does not stay bounded, and how many of how many; a dash for none."""
    told = []
    for row in found:
        kept = row.values(columns.BOUNDED, worst=0.0)
        if lost := sum(share < 1 for share in kept.values()):
            told.append(f"{row.row.entry.name} ({lost} of {len(kept)})")
    return ", ".join(told) or "-"


def summary(found: Sequence[Found], floors: Mapping[str, Record]) -> list[str]:
    """One line of a table for each error: what is better and what is worse than the base beyond the spread."""
    base = found[0].row.table.base
    lines = [(one, results) for one, other, results in compared(found, floors) if other.row.entry.name == base]
    told = []
    for place, title in enumerate(judged(found[0].row.system)):
        named = {
            verdict: [
                f"{one.row.entry.name} ({number(result.ratio)})"
                for one, results in lines
                if (result := results[place]) is not None and result.verdict == verdict
            ]
            for verdict in ("better", "worse")
        }
        enough = [results[place] for _, results in lines if (result := results[place]) and result.seeds >= 3]
        if enough:
            rest = len(enough) - len(named["better"]) - len(named["worse"])
            better, worse = (", ".join(named[verdict]) or "-" for verdict in ("better", "worse"))
            told.append(f"| {title} | {base} | {better} | {worse} | {rest} |")
    return told

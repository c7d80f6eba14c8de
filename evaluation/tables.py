"""Rows and columns of a report, as Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = {
    "truth": "truth",
    "model": "model",
    "persistence": "persistence",
    "climatology": "climatology",
    "solver": "perturbed solver",
}
"""Candidates in the order of the columns, and their headings."""


def lay_out(columns: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    """A table of candidates, one row a heading and its cells."""
    headings = [COLUMNS[name] for name in columns]
    lines = ["| | " + " | ".join(headings) + " |", "|---|" + "---|" * len(headings)]
    return "\n".join(lines + [f"| {heading} | " + " | ".join(cells) + " |" for heading, cells in rows])


def cell(entry: Mapping[str, Any] | None) -> str:
    """`median [q25, q75]`, the median marked where the horizon cut it off; a dash where there is nothing."""
    if entry is None or entry["median"] is None:
        return "-"
    mark = ">= " if entry.get("censored", 0.0) >= 0.5 else ""
    return f"{mark}{number(entry['median'])} [{number(entry['q25'])}, {number(entry['q75'])}]"


def number(value: float | str | None) -> str:
    """Three digits."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.3g}"

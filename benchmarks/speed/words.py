"""Figures and tables in Markdown."""

from typing import Any


def section(name: str, text: str, head: list[str], lines: list[str]) -> str:
    """A heading, a paragraph and a table."""
    table = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]
    return "\n".join([f"## {name}", "", text, "", *table])


def title(row: dict[str, Any]) -> str:
    """The row's name."""
    points = "^".join([str(row["points"][0]), str(len(row["points"]))]) if len(row["points"]) > 1 else row["points"][0]
    return f"{row['equation']}, {points}, {row['dtype']}, {row['scheme']}"


def times(row: dict[str, Any], name: str) -> str:
    """Median microseconds per step and trajectory."""
    return f"{row['seconds'][name]['median'] * 1e6:.3g}"


def milli(entry: dict[str, Any]) -> str:
    """Median milliseconds."""
    return f"{entry['seconds']['median'] * 1e3:.3g}"


def bracketed(value: dict[str, float]) -> str:
    """A median and its quartiles."""
    return f"{value['median']:.2f} [{value['first']:.2f}, {value['third']:.2f}]"

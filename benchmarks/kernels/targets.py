"""What was aimed at on one thread, before it was measured."""

from collections.abc import Callable
from typing import Any

from .cases import Case

# Name, which rows, least ratio (largest, for memory), and where it stands in a row.
Target = tuple[str, Callable[[Case], bool], float, Callable[[dict[str, Any]], float]]


def _model(case: Case, *points: int) -> bool:
    return case.part == "model" and (not points or case.points == points)


def _line(case: Case) -> bool:
    return case.part == "model" and len(case.points) == 1


def _step(name: str) -> Callable[[dict[str, Any]], float]:
    return lambda row: row["ratio"]["step"][name]["median"]


TARGETS: list[Target] = [
    ("stock", lambda c: _line(c) and c.width == 32, 2.0, _step("stock")),
    ("stock", lambda c: _line(c) and c.width != 32, 1.5, _step("stock")),
    ("stock", lambda c: _model(c, 64, 64) and c.width == 32, 2.2, _step("stock")),
    ("stock", lambda c: _model(c, 128, 128) and c.width == 32, 5.0, _step("stock")),
    ("tuned", lambda c: _line(c) and c.width == 32, 1.6, _step("tuned")),
    ("tuned", lambda c: _model(c) and len(c.points) == 2, 1.75, _step("tuned")),
    ("blocks", lambda c: c.part == "blocks" and c.points == (1024,), 2.5, _step("stock")),
    ("inference", lambda c: _model(c), 2.0, lambda row: row["ratio"]["inference"]["stock"]["median"]),
    ("memory", lambda c: _model(c, 128, 128), 0.6, lambda row: row["saved"]),
]


def verdicts(case: Case, row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The targets of a row: what was aimed at, what was found, and whether that is enough."""
    found = {}
    for name, applies, target, value_of in TARGETS:
        if applies(case):
            value = value_of(row)
            met = value <= target if name == "memory" else value >= target
            found[name] = {"target": target, "value": value, "met": met and row["agreement"]["agrees"]}
    return found

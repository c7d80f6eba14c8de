"""Other packages that solve the same equations, each run in the fastest way found.

    pip install exponax torchfsm torch-cfd simple-idealized-1d-nlse amangkurat

None is needed: those that are absent are named as not installed. They are imported here alone, and only when asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any, Protocol

import torch
from torch import Tensor

from rollwave.solvers import Equation, Grid, Stepper

# Those that run on a card.
CARD = ("torchfsm", "torch-cfd")
# Distribution, and the module here that runs it.
ADAPTERS = {
    "exponax": "with_exponax",
    "torchfsm": "with_torchfsm",
    "torch-cfd": "with_torch_cfd",
    "amangkurat": "with_amangkurat",
    "simple-idealized-1d-nlse": "with_nlse",
}


class Problem(Protocol):
    """What an adapter needs to know of a row."""

    equation: Equation
    scheme: type[Stepper]
    grid: Grid
    dt: float
    dtype: torch.dtype
    card: bool


@dataclass(frozen=True)
class Candidate:
    """A program that can be run for some steps from fixed initial fields.

    Attributes:
        advance: makes so many steps; returns whatever it returns once it is done.
        field: that result as `[sample, channel, *space]`, perhaps of fewer samples and channels than were asked for.
        trajectories: how many one call advances.
        lag: steps by which the result is behind.
        way: how the package is used.
    """

    advance: Callable[[int], Any]
    field: Callable[[Any], Tensor]
    trajectories: int
    lag: int = 0
    way: str = ""


def installed() -> dict[str, str | None]:
    """The version of every peer, or None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in ADAPTERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def candidates(problem: Problem, u: Tensor, threads: int) -> dict[str, Candidate]:
    """Every installed peer's way, or ways, of running a row; those without the equation are left out."""
    found: dict[str, Candidate] = {}
    for name, version in installed().items():
        if version is None or (problem.card and name not in CARD):
            continue
        adapter = import_module(f"{__name__}.{ADAPTERS[name]}")
        if hasattr(adapter, "candidates"):
            found |= {f"{name} {way}".strip(): c for way, c in adapter.candidates(problem, u, threads).items()}
    return found

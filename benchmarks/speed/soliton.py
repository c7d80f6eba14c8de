"""Seconds to an error of 5e-7 on a soliton of the Schroedinger equation, per trajectory."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import peers
import torch
from torch import Tensor

from rollwave.solvers import Grid, NonlinearSchrodinger, SimulationError, Stepper
from rollwave.solvers.exact import bright_soliton
from rollwave.solvers.run import run

from .cases import suited
from .timing import processor_time, ratio, spread

# A soliton of amplitude two that moves at about unit speed, as the peer's first example does.
GRID, AMPLITUDE, TURNS, TIME, GOAL = Grid((512,), (50.0,)), 2.0, 8, 20.0, 5e-7
# Coarsest and finest number of steps that are tried, and the factor between them.
COARSEST, FINEST, FACTOR = 250, 64_000, 2**0.5


def soliton(time: float) -> Tensor:
    """The exact solution, starting at the centre of the box."""
    return bright_soliton(GRID, time, amplitude=AMPLITUDE, turns=TURNS, position=25.0)


def error(u: Tensor) -> float:
    """Largest distance in the complex plane from the exact solution at the end."""
    return (u - soliton(TIME)).square().sum(0).sqrt().max().item()


@torch.no_grad()
def attempt(scheme: type[Stepper], steps: int, batch: int) -> Tensor:
    """The field at the end after so many steps."""
    u = soliton(0.0).expand(batch, -1, -1).contiguous()
    return run(scheme(NonlinearSchrodinger(), GRID, TIME / steps), u, steps, 1)[:, -1]


def cheapest(scheme: type[Stepper]) -> tuple[int, float] | None:
    """The fewest steps that reach the goal, or none: the error of the scheme may end above it."""
    steps, last = COARSEST, math.inf
    while steps <= FINEST:
        try:
            reached = error(attempt(scheme, steps, 1)[0])
        except (SimulationError, ValueError):
            reached = math.inf
        if reached <= GOAL:
            return steps, reached
        if reached > 0.9 * last and reached < 1e-3:
            return None
        steps, last = math.ceil(steps * FACTOR), reached
    return None


def measure_soliton(*, batch: int, rounds: int) -> dict[str, Any]:
    """For every scheme the fewest steps and their time beside the peer's own run."""
    found: dict[str, Any] = {}
    for scheme in suited(NonlinearSchrodinger(), every=True):
        best = cheapest(scheme)
        found[scheme.__name__] = {"steps": best[0], "error": best[1]} if best else {"steps": None}
    programs: dict[str, Callable[[], Any]] = {
        name: (lambda name=name, steps=entry["steps"]: attempt(scheme_named(name), steps, batch))  # type: ignore[misc]
        for name, entry in found.items()
        if entry["steps"]
    }
    name = "simple-idealized-1d-nlse"
    peer = None
    if peers.installed()[name]:
        solve = import_module(f"peers.{peers.ADAPTERS[name]}").solve(GRID, soliton(0.0), TIME)
        peer = {"error": error(solve())}
        programs[name] = solve
    times: dict[str, list[float]] = {key: [] for key in programs}
    for _ in range(rounds):
        for key, program in programs.items():
            times[key].append(processor_time(program) / (1 if key == name else batch))
    for key, values in times.items():
        entry = peer if key == name else found[key]
        assert entry is not None
        entry["seconds"] = spread(values)
        if peer is not None and key != name:
            entry["ratio"] = ratio(values, times[name])
    setting = {"points": 512, "length": 50.0, "time": TIME, "amplitude": AMPLITUDE, "turns": TURNS, "goal": GOAL}
    return {"setting": setting | {"batch": batch}, "schemes": found, "peers": {name: peer}}


def scheme_named(name: str) -> type[Stepper]:
    """The scheme of that name."""
    return next(scheme for scheme in suited(NonlinearSchrodinger(), every=True) if scheme.__name__ == name)

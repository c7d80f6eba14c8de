"""Navier-Stokes: budgets, and what is conserved without viscosity."""

import math
from functools import partial

from torch import Tensor

from rollwave.solvers.etdrk import ETDRK4
from rollwave.solvers.grid import Grid
from rollwave.solvers.initial_conditions import BandLimitedField, sample
from rollwave.solvers.navier_stokes import KolmogorovForcing, NavierStokes

from .case import Case, Result, budget_gap, described, projected, rate, solve, stepped

CIRCLE = 2 * math.pi
SQUARE = Grid((64, 64), (CIRCLE, CIRCLE))


FORCED = NavierStokes(viscosity=0.01, drag=0.1, forcing=KolmogorovForcing(amplitude=1.0, wavenumber=3))


def turbulence(grid: Grid, seed: int = 5, high: int = 5) -> Tensor:
    """A random vorticity of unit velocity, on the modes kept."""
    w = sample(BandLimitedField(low=1, high=high, rms=1.0), grid, batch=1, seed=seed)[0]
    velocity = NavierStokes().velocity(w, grid)
    return w / velocity.square().sum(0).mean().sqrt()


def inviscid(name: str, *, high: float) -> Result:
    equation, w, drifts = NavierStokes(0.0), turbulence(SQUARE), []
    start = equation.invariants(w, SQUARE)[name].item()
    for dt in (0.01, 0.005, 0.0025):
        end = solve(equation, SQUARE, w, ETDRK4, time=2.0, dt=dt)
        drifts.append(abs(equation.invariants(end, SQUARE)[name].item() / start - 1))
    return Result(
        f"inviscid {name} conserved by the truncated system, unit velocity, t = 2",
        described(SQUARE),
        stepped(ETDRK4, 0.0025),
        drifts[-1],
        "relative drift",
        (0, high),
        "an independent implementation saw 1.0e-11 (energy), 7e-10 and slope 5 (enstrophy); three times that",
        rate(drifts) if name == "enstrophy" else None,
        (4.7, 5.3) if name == "enstrophy" else None,
    )


def budget(name: str) -> Result:
    w = projected(FORCED, turbulence(SQUARE, high=31), SQUARE)
    terms = FORCED.budget(w, SQUARE) if name == "energy" else FORCED.enstrophy_budget(w, SQUARE)
    return Result(
        f"{name} budget of the semi-discrete system: dissipation, drag, injection",
        described(SQUARE),
        "tendency",
        budget_gap(FORCED, name, terms, w, SQUARE),
        "gap over the largest term",
        (0, 1e-12),
        "rounding: products of two fields on all modes kept are free of aliasing",
    )


def budget_in_time(name: str) -> Result:
    steps, terms_of = 100, FORCED.budget if name == "energy" else FORCED.enstrophy_budget
    scheme, start, change = ETDRK4(FORCED, SQUARE, 1 / steps), turbulence(SQUARE)[None], 0.0
    state = scheme.encode(start)
    for index in range(steps + 1):
        w = scheme.decode(state)
        weight = 1 if index in (0, steps) else 4 if index % 2 else 2
        change += weight / (3 * steps) * sum(term.item() for term in terms_of(w, SQUARE).values())
        state = scheme.step(state)
    first, last = (FORCED.invariants(field, SQUARE)[name].item() for field in (start, w))
    return Result(
        f"change of {name} by t = 1 against its budget integrated by Simpson's rule",
        described(SQUARE),
        stepped(ETDRK4, 1 / steps),
        abs(last - first - change) / first,
        "gap over the initial value",
        (0, 7e-8),
        "order four of the scheme and of the rule: (k u dt)^4 / 180 at k = 6",
    )


QUICK: list[Case] = [
    partial(inviscid, "energy", high=3e-11),
    partial(inviscid, "enstrophy", high=2.1e-9),
    partial(budget, "energy"),
    partial(budget, "enstrophy"),
    partial(budget_in_time, "energy"),
    partial(budget_in_time, "enstrophy"),
]
FULL: list[Case] = []

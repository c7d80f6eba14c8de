"""Korteweg-de Vries: solitons, their collision, invariants, budgets."""

from functools import partial

import torch

from rollwave.solvers.etdrk import ETDRK2, ETDRK4
from rollwave.solvers.exact import korteweg_de_vries_soliton, korteweg_de_vries_two_solitons
from rollwave.solvers.grid import Grid
from rollwave.solvers.initial_conditions import RandomFourierSeries, sample
from rollwave.solvers.korteweg_de_vries import KortewegDeVries
from rollwave.solvers.stepper import Stepper

from .case import Case, Result, budget_gap, described, largest, projected, rate, solve, stepped

EQUATION = KortewegDeVries()
LINE = Grid((256,), (40.0,))


def soliton(scheme: type[Stepper], *, dt: float, high: float, source: str) -> Result:
    start, end = (korteweg_de_vries_soliton(LINE, t, speed=1.0) for t in (0.0, 10.0))
    errors = [largest(solve(EQUATION, LINE, start, scheme, time=10.0, dt=dt * f) - end) for f in (2, 1)]
    return Result(
        "soliton of speed 1, t = 10",
        described(LINE),
        stepped(scheme, dt),
        errors[-1],
        "largest error",
        (0, high),
        source,
        rate(errors),
        (scheme.order - 0.2, scheme.order + 0.6),
    )


def scaled_soliton() -> Result:
    grid, form = Grid((256,), (2.0,)), {"advection": 1.0, "dispersion": 0.022**2}
    start, end = (korteweg_de_vries_soliton(grid, t, speed=0.5, position=0.3, **form) for t in (0.0, 1.0))
    found = solve(KortewegDeVries(**form), grid, start, ETDRK4, time=1.0, dt=0.001)
    return Result(
        "soliton in the form a = 1, b = 0.022^2 on a box of 2, speed 0.5, t = 1",
        described(grid),
        stepped(ETDRK4, 0.001),
        largest(found - end),
        "largest error",
        (0, 1e-6),
        "(k c dt)^4 k c t with k = sqrt(c / b) = 32: 7e-8 x 16",
    )


def collision() -> Result:
    grid = Grid((512,), (40.0,))
    start, end = (korteweg_de_vries_two_solitons(grid, t, speeds=(2.0, 0.8)) for t in (-6.0, 6.0))
    errors = [largest(solve(EQUATION, grid, start, ETDRK4, time=12.0, dt=dt) - end) for dt in (0.01, 0.005)]
    return Result(
        "two solitons of speeds 2 and 0.8 through their collision, t = -6 .. 6",
        described(grid),
        stepped(ETDRK4, 0.005),
        errors[-1],
        "largest error",
        (0, 1e-6),
        "(k c dt)^4 k c t with k c = 3: 1e-6; tails half a box away e^{-0.9 (40 - 7) / 2} = 4e-7 of the slower",
        rate(errors),
        (3.6, 4.4),
    )


def invariant(name: str, *, high: float, source: str) -> Result:
    start = korteweg_de_vries_two_solitons(LINE, -5.0, speeds=(1.5, 0.6))
    end = solve(EQUATION, LINE, start, ETDRK4, time=5.0, dt=0.01)
    change = EQUATION.invariants(end, LINE)[name] - EQUATION.invariants(start, LINE)[name]
    return Result(
        f"{name} of two solitons from apart until they overlap, t = 5",
        described(LINE),
        stepped(ETDRK4, 0.01),
        largest(change / EQUATION.invariant_sizes(start, LINE)[name]),
        "drift over the integral of absolute values",
        (0, high),
        source,
    )


def budget(name: str) -> Result:
    equation = KortewegDeVries(viscosity=0.05, hyperviscosity=0.01)
    u = sample(RandomFourierSeries(modes=127, decay=0.5, mean=0.2), LINE, batch=1, seed=3)[0]
    u = projected(equation, u, LINE)
    terms = equation.budget(u, LINE) if name == "energy" else equation.momentum_budget(u, LINE)
    return Result(
        f"{name} budget of the damped, semi-discrete system",
        described(LINE),
        "tendency",
        budget_gap(equation, name, terms, u, LINE),
        "gap over the largest term",
        (0, 1e-11),
        "rounding: the truncated system keeps both invariants, and the integral of u^3 is free of aliasing",
    )


def linear_wave() -> Result:
    (x,), equation = LINE.coordinates(), KortewegDeVries(advection=0.0, viscosity=0.02, hyperviscosity=0.003)
    k, time = 2 * torch.pi * torch.arange(1, 9, dtype=torch.float64)[:, None] / 40, 5.0

    def waves(t: float) -> torch.Tensor:
        decay = torch.exp(-(0.02 * k**2 + 0.003 * k**4) * t)
        return (decay * torch.cos(k * x + k**3 * t + k)).sum(0)[None]

    return Result(
        "eight linear waves: phase k^3 t, damped by nu k^2 + eta k^4, t = 5",
        described(LINE),
        stepped(ETDRK4, 0.5),
        largest(solve(equation, LINE, waves(0.0), ETDRK4, time=time, dt=0.5) - waves(time)),
        "largest error",
        (0, 1e-12),
        "the linear part is exact: rounding",
    )


PEER = "an independent implementation: "
QUICK: list[Case] = [
    partial(
        soliton,
        ETDRK4,
        dt=0.01,
        high=2e-8,
        source="(k c dt)^4 k c t / 120 at k = 2, which the profile reaches: 3e-8 x 1/2",
    ),
    partial(soliton, ETDRK2, dt=0.0025, high=1e-4, source="16 dt^2"),
    scaled_soliton,
    collision,
    linear_wave,
    partial(invariant, "mass", high=1e-13, source="rounding: mode zero of every increment is zero"),
    partial(invariant, "momentum", high=1e-7, source="10 dt^4, the error of the scheme; a drift is one order higher"),
    partial(invariant, "energy", high=1e-7, source="10 dt^4, the error of the scheme; a drift is one order higher"),
    partial(budget, "momentum"),
    partial(budget, "energy"),
]
FULL: list[Case] = []

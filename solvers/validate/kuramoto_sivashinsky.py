"""Kuramoto-Sivashinsky: linear growth, order under stiffness, budgets, Lyapunov exponents, statistics."""

import math
from functools import partial
from itertools import pairwise

import torch

from rollwave.solvers.etdrk import ETDRK2, ETDRK4
from rollwave.solvers.grid import Grid
from rollwave.solvers.initial_conditions import RandomFourierSeries, sample
from rollwave.solvers.stepper import Stepper

from .case import Bounds, Case, Result, budget_gap, described, largest, projected, rate, solve, stepped
from .kuramoto_sivashinsky_chaos import EQUATION, SMALL, attractor
from .kuramoto_sivashinsky_chaos import FULL as CHAOS_FULL
from .kuramoto_sivashinsky_chaos import QUICK as CHAOS_QUICK


def linear_growth() -> Result:
    grid = Grid((64,), (16 * math.pi,))
    (x,), k = grid.coordinates(), 2 * math.pi / grid.lengths[0] * torch.arange(1, 17, dtype=torch.float64)
    waves = torch.cos(k[:, None] * x + k[:, None] ** 2)
    start, growth = 1e-12 * waves.sum(0)[None], torch.exp((k**2 - k**4) * 2.0)
    end = solve(EQUATION, grid, start, ETDRK4, time=2.0, dt=0.1)
    exact = 1e-12 * (growth[:, None] * waves).sum(0)[None]
    return Result(
        "linear growth e^{(k^2 - k^4) t} of sixteen small waves, 0 < k <= 2, t = 2",
        described(grid),
        stepped(ETDRK4, 0.1),
        largest(end - exact) / largest(exact),
        "relative error",
        (0, 1e-10),
        "the linear part is exact; products are 1e-12 smaller, by up to 16 waves and t = 2",
    )


def self_convergence(
    scheme: type[Stepper], first: int, last: int, *, high: float, orders: Bounds, source: str
) -> Result:
    u = attractor(SMALL, 1)[0]
    ends = [solve(EQUATION, SMALL, u, scheme, time=10.0, dt=0.25 / 2**n) for n in range(first, last + 2)]
    changes = [largest(coarse - fine) for coarse, fine in pairwise(ends)]
    dt = 0.25 / 2**last
    stiff = "coarse steps, where stiffness costs up to one order" if dt > 0.02 else "small steps"
    return Result(
        f"self-convergence from the attractor over t = 10: {stiff}",
        described(SMALL),
        stepped(scheme, dt),
        changes[-1],
        "change by halving dt",
        (0, high),
        source,
        rate(changes),
        orders,
    )


def energy_budget() -> Result:
    u = projected(EQUATION, sample(RandomFourierSeries(modes=31, decay=0.5), SMALL, batch=1, seed=2)[0], SMALL)
    return Result(
        "energy budget d/dt int u^2/2 = int u_x^2 - int u_xx^2 of the semi-discrete system",
        described(SMALL),
        "tendency",
        budget_gap(EQUATION, "energy", EQUATION.budget(u, SMALL), u, SMALL),
        "gap over the largest term",
        (0, 1e-13),
        "rounding: products of two fields on all modes kept are free of aliasing",
    )


def mean() -> Result:
    u = attractor(SMALL, 1)[0] + 0.5
    end = solve(EQUATION, SMALL, u, ETDRK4, time=100.0, dt=0.1)
    return Result(
        "mean of u conserved, t = 100",
        described(SMALL),
        stepped(ETDRK4, 0.1),
        largest(end.mean(-1) - u.mean(-1)),
        "drift",
        (0, 1e-13),
        "rounding: mode zero of every increment is zero",
    )


def odd_symmetry() -> Result:
    (x,) = SMALL.coordinates()
    k = 2 * math.pi / 22
    u = (torch.sin(k * x) + torch.sin(2 * k * x) - 0.5 * torch.sin(3 * k * x))[None]
    end = solve(EQUATION, SMALL, u, ETDRK4, time=50.0, dt=0.05)
    return Result(
        "odd fields stay odd, t = 50",
        described(SMALL),
        stepped(ETDRK4, 0.05),
        largest(end + end.flip(-1).roll(1, -1)),
        "even part",
        (0, 1e-11),
        "rounding 1e-15, grown by e^{0.1 t}",
    )


def galilean() -> Result:
    u, shift = attractor(SMALL, 1)[0], SMALL.lengths[0] / 16
    still = solve(EQUATION, SMALL, u, ETDRK4, time=1.0, dt=1 / 512)
    moving = solve(EQUATION, SMALL, u + shift, ETDRK4, time=1.0, dt=1 / 512)
    return Result(
        "Galilean invariance: u + c is u carried by c, four cells at t = 1",
        described(SMALL),
        stepped(ETDRK4, 1 / 512),
        largest(moving - shift - still.roll(4, -1)),
        "largest difference",
        (0, 1e-9),
        "(c k dt)^4 c k t / 120 at k = 3, amplitude one: 1e-10",
    )


PEER = "an independent implementation, another field: "
QUICK: list[Case] = [
    linear_growth,
    partial(self_convergence, ETDRK4, 1, 3, high=1.2e-6, orders=(2.8, 4.2), source=PEER + "4.1e-7; three times that"),
    partial(
        self_convergence,
        ETDRK4,
        6,
        7,
        high=1e-10,
        orders=(3.7, 4.2),
        source=PEER + "8^4 less than 3.3e-8 at 1/64",
    ),
    partial(self_convergence, ETDRK2, 6, 7, high=4e-6, orders=(1.8, 2.2), source="dt^2"),
    energy_budget,
    mean,
    odd_symmetry,
    galilean,
    *CHAOS_QUICK,
]
FULL: list[Case] = [
    *CHAOS_FULL,
]

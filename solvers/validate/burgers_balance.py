"""Burgers: budgets, the mean, Galilean invariance."""

import math

from torch import Tensor

from rollwave.solvers.burgers import Burgers
from rollwave.solvers.etdrk import ETDRK4
from rollwave.solvers.grid import Grid
from rollwave.solvers.initial_conditions import RandomFourierSeries, sample

from .case import Case, Result, budget_gap, described, largest, projected, rate, solve, stepped

CIRCLE = 2 * math.pi


def random_wave(points: int = 128) -> tuple[Burgers, Grid, Tensor]:
    """A random field that the grid resolves, on the modes kept."""
    equation, grid = Burgers(0.05), Grid((points,), (CIRCLE,))
    u = equation.initial_condition(grid, batch=1, seed=11)[0] + 0.3
    return equation, grid, equation.inverse(equation.transform(u, grid), grid)


def energy_budget() -> Result:
    equation, grid, _ = random_wave()
    u = sample(RandomFourierSeries(modes=63, decay=0.5, mean=0.3), grid, batch=1, seed=11)[0]
    u = projected(equation, u, grid)
    gap = budget_gap(equation, "energy", equation.budget(u, grid), u, grid)
    return Result(
        "energy budget d/dt int u^2/2 = -nu int u_x^2 of the semi-discrete system",
        described(grid),
        "tendency",
        gap,
        "gap over the largest term",
        (0, 1e-13),
        "rounding: products of two fields on all modes kept are free of aliasing",
    )


def energy_budget_in_time() -> Result:
    equation, grid, start = random_wave()
    gaps = []
    for steps in (200, 400):
        scheme, dt = ETDRK4(equation, grid, 1 / steps), 1 / steps
        state, losses = scheme.encode(start[None]), []
        for _ in range(steps):
            losses.append(equation.budget(scheme.decode(state), grid)["dissipation"].item())
            state = scheme.step(state)
        end = scheme.decode(state)
        losses.append(equation.budget(end, grid)["dissipation"].item())
        simpson = dt / 3 * (losses[0] + 4 * sum(losses[1:-1:2]) + 2 * sum(losses[2:-1:2]) + losses[-1])
        change = equation.invariants(end[0], grid)["energy"] - equation.invariants(start, grid)["energy"]
        gaps.append(abs(change.item() - simpson) / abs(simpson))
    return Result(
        "energy lost by t = 1 against the dissipation integrated by Simpson's rule",
        described(grid),
        stepped(ETDRK4, 1 / 400),
        gaps[-1],
        "relative gap",
        (0, 1e-7),
        "Simpson's rule: (2 k dt)^4 / 180 is 1e-7 at the mode k = 13 of the front",
        rate(gaps),
        (3.8, 4.3),
    )


def mean() -> Result:
    equation, grid, u = random_wave()
    end = solve(equation, grid, u, ETDRK4, time=10.0, dt=0.01)
    return Result(
        "mean of u conserved, t = 10",
        described(grid),
        stepped(ETDRK4, 0.01),
        largest(end.mean(-1) - u.mean(-1)) / u.square().mean().sqrt().item(),
        "drift over the field's rms",
        (0, 1e-14),
        "rounding: mode zero of every increment is zero",
    )


def galilean() -> Result:
    equation, grid, u = random_wave()
    shifts = []
    for dt in (1 / 400, 1 / 800):
        still = solve(equation, grid, u, ETDRK4, time=1.0, dt=dt)
        moving = solve(equation, grid, u + CIRCLE / 4, ETDRK4, time=1.0, dt=dt)
        shifts.append(largest(moving - CIRCLE / 4 - still.roll(grid.points[0] // 4, -1)))
    return Result(
        "Galilean invariance: u + c is u carried by c, here by a quarter of the box at t = 1",
        described(grid),
        stepped(ETDRK4, 1 / 800),
        shifts[-1],
        "largest difference",
        (0, 2e-7),
        "(c k dt)^4 c k t / 120 at the mode k = 20 of the front, of amplitude 0.3",
        rate(shifts),
        (3.7, 4.3),
    )


QUICK: list[Case] = [
    energy_budget,
    energy_budget_in_time,
    mean,
    galilean,
]
FULL: list[Case] = []

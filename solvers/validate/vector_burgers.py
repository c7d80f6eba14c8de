"""Burgers in the plane: Cole-Hopf gradients, the line within the plane, circulation, energy budget."""

import math

import torch

from rollwave.solvers.burgers import Burgers
from rollwave.solvers.etdrk import ETDRK4
from rollwave.solvers.exact import cole_hopf_plane
from rollwave.solvers.grid import Grid
from rollwave.solvers.initial_conditions import TruncatedFourierSeries, sample
from rollwave.solvers.vector_burgers import VectorBurgers

from .case import Case, Result, budget_gap, described, largest, projected, rate, solve, stepped

CIRCLE = 2 * math.pi
PLANE = Grid((64, 64), (CIRCLE, CIRCLE))


def cole_hopf() -> Result:
    grid, equation = Grid((96, 64), (CIRCLE, 5.0)), VectorBurgers(viscosity=0.05)
    start, end = (cole_hopf_plane(grid, t, viscosity=0.05) for t in (0.0, 1.0))
    errors = [largest(solve(equation, grid, start, ETDRK4, time=1.0, dt=dt) - end) for dt in (0.1, 0.05)]
    return Result(
        "Cole-Hopf gradient of three waves, nu = 0.05, on a box that is not square, t = 1",
        described(grid),
        stepped(ETDRK4, 0.05),
        errors[-1],
        "largest error",
        (0, 1.5e-8),
        "(k u dt)^4 k u t with u = 0.1, k = 3",
        rate(errors),
        (3.7, 4.3),
    )


def line() -> Result:
    (x, _), time = PLANE.coordinates(), 1.0
    wave = (0.4 + 0.5 * torch.sin(x) + 0.2 * torch.cos(2 * x)).expand(PLANE.points)
    start = torch.stack((wave, torch.cos(x).expand(PLANE.points)))
    end = solve(VectorBurgers(0.1), PLANE, start, ETDRK4, time=time, dt=0.02)
    other = Grid((64,), (CIRCLE,))
    alone = solve(Burgers(0.1), other, wave[None, :, 0], ETDRK4, time=time, dt=0.02)
    return Result(
        "u of a flow that varies along x alone is Burgers on the line, whatever v is, t = 1",
        described(PLANE),
        stepped(ETDRK4, 0.02),
        largest(end[0] - alone[0][:, None]),
        "largest difference",
        (0, 1e-12),
        "one and the same truncated system for u: rounding",
    )


def passive() -> Result:
    (x, y) = PLANE.coordinates()
    start = torch.stack((CIRCLE / 8 + 0 * (x + y), 0.5 * torch.sin(x) + 0 * y))
    end = solve(VectorBurgers(0.1), PLANE, start, ETDRK4, time=1.0, dt=0.005)
    exact = 0.5 * math.exp(-0.1) * torch.sin(x - CIRCLE / 8) + 0 * y
    return Result(
        "v carried by a constant u along x, damped by e^{-nu k^2 t}, t = 1",
        described(PLANE),
        stepped(ETDRK4, 0.005),
        largest(end[1] - exact),
        "largest error",
        (0, 1e-10),
        "(k u dt)^4 k u t / 120 with u = 0.8: 2e-12",
    )


def circulation() -> Result:
    u = VectorBurgers().initial_condition(PLANE, batch=1, seed=3)[0]
    end = solve(VectorBurgers(0.1), PLANE, u, ETDRK4, time=1.0, dt=0.02)
    equation = VectorBurgers(0.1)
    change = equation.invariants(end, PLANE)["circulation"] - equation.invariants(u, PLANE)["circulation"]
    return Result(
        "circulation of a random field, t = 1",
        described(PLANE),
        stepped(ETDRK4, 0.02),
        largest(change / equation.invariant_sizes(u, PLANE)["circulation"]),
        "drift over the integral of absolute values",
        (0, 1e-13),
        "a sum of derivatives: rounding",
    )


def gradients() -> Result:
    equation, start = VectorBurgers(0.05), cole_hopf_plane(PLANE, 0.0, viscosity=0.05)
    end = solve(equation, PLANE, start, ETDRK4, time=2.0, dt=0.02)
    return Result(
        "a gradient stays one: vorticity at t = 2",
        described(PLANE),
        stepped(ETDRK4, 0.02),
        largest(equation.densities(end, PLANE)["circulation"]) / largest(PLANE.differentiate(start, axis=0)),
        "largest vorticity over the largest slope at the start",
        (0, 1e-8),
        "the advection of a gradient is a gradient; the initial field is one to its tail e^{-k delta}",
    )


def energy_budget() -> Result:
    equation, grid = VectorBurgers(0.05), Grid((96, 96), (CIRCLE, CIRCLE))
    u = sample(TruncatedFourierSeries(modes=47, maximum=1.0, components=2), grid, batch=1, seed=5)[0]
    u = projected(equation, u, grid)
    return Result(
        "energy budget: compression and dissipation of a random field",
        described(grid),
        "tendency",
        budget_gap(equation, "energy", equation.budget(u, grid), u, grid),
        "gap over the largest term",
        (0, 1e-12),
        "rounding: cubic integrals of fields on all modes kept are free of aliasing",
    )


QUICK: list[Case] = [cole_hopf, line, passive, circulation, gradients, energy_budget]
FULL: list[Case] = []

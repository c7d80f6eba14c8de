"""Kolmogorov flow: the laminar solution, its stability threshold on long boxes, and its return where it is stable."""

import math
from functools import partial

import numpy as np
import torch

from rollwave.solvers.etdrk import ETDRK4
from rollwave.solvers.grid import Grid
from rollwave.solvers.navier_stokes import KolmogorovForcing, NavierStokes

from .case import Case, Result, described, largest, solve, stepped

CIRCLE = 2 * math.pi
# Laminar flow of unit velocity, `u = sin y`: the Reynolds number is `1 / nu`.
PERTURBATION = 1e-7


def unit_flow(reynolds: float) -> NavierStokes:
    """The equation whose laminar flow is `u = sin y` on `2 pi` in `y`, at `nu = 1 / Re`."""
    return NavierStokes(viscosity=1 / reynolds, forcing=KolmogorovForcing(amplitude=1 / reynolds, wavenumber=1))


def laminar(length: float) -> Result:
    grid = Grid((48, 64), (1.5 * length, length))
    wavenumber = 2 * math.pi * 2 / length
    equation = NavierStokes(viscosity=0.02, drag=0.3, forcing=KolmogorovForcing(amplitude=0.5, wavenumber=2))
    (_, y), rest = grid.coordinates(), 0.02 * wavenumber**2 + 0.3
    w = (-0.5 * wavenumber * torch.cos(wavenumber * y) / rest).expand(grid.points)[None]
    end = solve(equation, grid, w, ETDRK4, time=2.0, dt=0.05)
    return Result(
        f"laminar Kolmogorov flow w = -F k cos(k y) / (nu k^2 + mu) stays, box height {length:.4g}, t = 2",
        described(grid),
        stepped(ETDRK4, 0.05),
        largest(end - w) / largest(w),
        "relative change",
        (0, 1e-13),
        "a fixed point of equation and scheme: rounding",
    )


def relaminarisation() -> Result:
    grid, equation = Grid((32, 32), (CIRCLE, CIRCLE)), unit_flow(10.0)
    (x, y), ends = grid.coordinates(), []
    w = (-torch.cos(y) + 0.8 * torch.sin(x + 2 * y) + 0.5 * torch.cos(2 * x) - 0.6 * torch.sin(3 * x - y))[None]
    for time in (40.0, 60.0):
        w = solve(equation, grid, w, ETDRK4, time=time, dt=0.05)
        ends.append(largest(w + torch.cos(y)))
    return Result(
        "n = 1 on the square: any flow returns to the laminar one; Re = 10, perturbation of order one, t = 40 and 100",
        described(grid),
        stepped(ETDRK4, 0.05),
        -math.log(ends[1] / ends[0]) / 60,
        "rate of return",
        (0.09, 0.11),
        "global stability (Meshalkin & Sinai 1961; Marchioro 1986); the slowest mode decays at nu k^2 = 0.1",
    )


def growth(reynolds: float, ratio: int) -> float:
    """Growth rate of a small wave of length `2 pi ratio` on the laminar flow, by time stepping."""
    grid, time, dt = Grid((8, 24), (CIRCLE * ratio, CIRCLE)), 40.0, 0.1
    x, y = grid.coordinates()
    base = (-torch.cos(y)).expand(grid.points)
    w, sizes = (base + PERTURBATION * torch.cos(x / ratio))[None], []
    for _ in range(2):
        w = solve(unit_flow(reynolds), grid, w, ETDRK4, time=time, dt=dt)
        sizes.append(torch.fft.fft(w[0], dim=0)[1].norm().item())
    return math.log(sizes[1] / sizes[0]) / time


def eigenvalue(reynolds: float, ratio: int, modes: int = 24) -> float:
    """Largest growth rate of the linearised problem for `psi = sum_n a_n e^{i x / ratio + i n y}`.

    `q_n a_n' = -q_n^2 a_n / Re + (alpha / 2) ((q_{n+1} - 1) a_{n+1} - (q_{n-1} - 1) a_{n-1})` up to the sign of `n`,
    with `q_n = alpha^2 + n^2`: the Orr-Sommerfeld equation of `u = sin y`.
    """
    alpha, n = 1 / ratio, np.arange(-modes, modes + 1)
    q = alpha**2 + n**2
    matrix = np.diag(-q / reynolds)
    for row in range(len(n)):
        for column, sign in ((row - 1, -1), (row + 1, 1)):
            if 0 <= column < len(n):
                matrix[row, column] = sign * alpha / 2 * (q[column] - 1) / q[row]
    return float(np.linalg.eigvals(matrix).real.max())


def threshold(ratio: int, rate_of: object) -> float:
    """The Reynolds number at which the growth rate vanishes, by the secant method from either side of `sqrt 2`."""
    assert callable(rate_of)
    low, high = 1.40, 1.60
    at_low, at_high = rate_of(low, ratio), rate_of(high, ratio)
    for _ in range(8):
        if abs(high - low) < 1e-9 or at_high == at_low:
            break
        low, at_low, high = high, at_high, high - at_high * (high - low) / (at_high - at_low)
        at_high = rate_of(high, ratio)
    return high


def growth_rate(reynolds: float, ratio: int) -> Result:
    exact = eigenvalue(reynolds, ratio)
    return Result(
        f"growth rate of a wave of length 2 pi x {ratio} on u = sin y at Re = {reynolds:g}: {exact:.6f}",
        f"8 x 24 on {CIRCLE * ratio:.4g} x 6.283",
        stepped(ETDRK4, 0.1),
        abs(growth(reynolds, ratio) / exact - 1),
        "relative error",
        (0, 1e-7),
        "largest eigenvalue of the Orr-Sommerfeld matrix of 49 modes; the others decay by e^{-0.5 t}, t = 40",
    )


def critical(ratio: int) -> Result:
    exact = threshold(ratio, eigenvalue)
    return Result(
        f"critical Reynolds number of the laminar flow on a box 1 : {ratio}: {exact:.6f}",
        f"8 x 24 on {CIRCLE * ratio:.4g} x 6.283",
        stepped(ETDRK4, 0.1),
        threshold(ratio, growth) - exact,
        "Re_c less that of the Orr-Sommerfeld matrix",
        (-1e-7, 1e-7),
        "where its largest eigenvalue vanishes; rounding 1e-16 / 1e-7 over t = 40, over the slope alpha^2 / 2",
    )


def critical_limit() -> Result:
    alphas = [(1 / ratio) ** 2 for ratio in (8, 12, 16)]
    values = [threshold(ratio, growth) for ratio in (8, 12, 16)]
    limit = float(np.polyfit(alphas, values, 2)[-1])
    return Result(
        "critical Reynolds number of infinitely long boxes, from 1 : 8, 1 : 12, 1 : 16 by a parabola in alpha^2",
        "8 x 24 on long boxes",
        stepped(ETDRK4, 0.1),
        limit - math.sqrt(2),
        "Re_c - sqrt 2",
        (-4e-6, 4e-6),
        "Meshalkin & Sinai (1961), doi:10.1016/0021-8928(62)90149-1: sqrt 2; the next term is alpha^6 = 4e-6",
    )


QUICK: list[Case] = [
    partial(laminar, CIRCLE),
    partial(laminar, 1.0),
    relaminarisation,
    partial(growth_rate, 2.0, 4),
    partial(growth_rate, 1.3, 4),
    partial(critical, 4),
]
FULL: list[Case] = [partial(critical, 8), partial(critical, 16), critical_limit]

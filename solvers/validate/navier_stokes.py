"""Two-dimensional Navier-Stokes: exact decay, the sign of the advection, budgets, inviscid conservation, order."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import torch

from rollwave.solvers.etdrk import ETDRK2, ETDRK4
from rollwave.solvers.exact import shear_flow, taylor_green
from rollwave.solvers.grid import Grid
from rollwave.solvers.navier_stokes import NavierStokes
from rollwave.solvers.stepper import Stepper

from .case import Case, Result, described, largest, rate, solve, stepped
from .kolmogorov import FULL as KOLMOGOROV_FULL
from .kolmogorov import QUICK as KOLMOGOROV_QUICK
from .navier_stokes_balance import FORCED, SQUARE, turbulence
from .navier_stokes_balance import FULL as BALANCE_FULL
from .navier_stokes_balance import QUICK as BALANCE_QUICK

CIRCLE = 2 * math.pi


def taylor_green_vortices() -> Result:
    start, end = (taylor_green(SQUARE, t, viscosity=0.05, drag=0.1, wavenumber=2) for t in (0.0, 1.0))
    equation = NavierStokes(viscosity=0.05, drag=0.1)
    return Result(
        "Taylor-Green vortices with drag, k = 2, t = 1",
        described(SQUARE),
        stepped(ETDRK4, 0.1),
        largest(solve(equation, SQUARE, start, ETDRK4, time=1.0, dt=0.1) - end),
        "largest error",
        (0, 1e-13),
        "the nonlinear term vanishes: rounding",
    )


def shear() -> Result:
    grid = Grid((48, 64), (3.0, 5.0))
    start, end = (shear_flow(grid, t, viscosity=0.02, drag=0.05) for t in (0.0, 1.0))
    equation = NavierStokes(viscosity=0.02, drag=0.05)
    return Result(
        "shear flow that decays, on a box that is not square, t = 1",
        described(grid),
        stepped(ETDRK4, 0.1),
        largest(solve(equation, grid, start, ETDRK4, time=1.0, dt=0.1) - end) / largest(start),
        "relative error",
        (0, 1e-13),
        "the nonlinear term vanishes: rounding",
    )


def one_shell() -> Result:
    x, y = SQUARE.coordinates()
    w = torch.cos(5 * x) + torch.sin(4 * x + 3 * y) - torch.cos(3 * x - 4 * y + 1) + torch.sin(5 * y) * 0.5
    end = solve(NavierStokes(0.02), SQUARE, w[None], ETDRK4, time=1.0, dt=0.05)
    return Result(
        "modes of one shell, |k|^2 = 25, decay as e^{-25 nu t} although their products do not vanish, t = 1",
        described(SQUARE),
        stepped(ETDRK4, 0.05),
        largest(end - w * math.exp(-25 * 0.02)),
        "largest error",
        (0, 1e-13),
        "u . grad w = 0 for w = 25 psi: rounding",
    )


def right_hand_side(w: np.ndarray, viscosity: float, drag: float, force: np.ndarray) -> np.ndarray:
    """`-u w_x - v w_y + nu (w_xx + w_yy) - mu w + curl f` of a field on `2 pi x 2 pi`, by complex transforms."""
    n = w.shape[0]
    k = np.fft.fftfreq(n, 1 / n)
    kx, ky = k[:, None], k[None, :]
    squared = np.where(kx**2 + ky**2 > 0, kx**2 + ky**2, 1)

    def field(coefficients: np.ndarray) -> np.ndarray:
        return np.fft.ifft2(coefficients).real

    w_hat = np.fft.fft2(w)
    u, v = field(1j * ky * w_hat / squared), field(-1j * kx * w_hat / squared)
    curl = field(1j * kx * np.fft.fft2(force[1]) - 1j * ky * np.fft.fft2(force[0]))
    advection = u * field(1j * kx * w_hat) + v * field(1j * ky * w_hat)
    return -advection - viscosity * field((kx**2 + ky**2) * w_hat) - drag * w + curl


def advection_sign() -> Result:
    w = turbulence(SQUARE, high=10)
    assert FORCED.forcing is not None
    other = torch.from_numpy(right_hand_side(w[0].numpy(), 0.01, 0.1, FORCED.forcing(SQUARE).numpy()))
    return Result(
        "tendency of a random field with drag and force against u . grad w by complex transforms in NumPy",
        described(SQUARE),
        "tendency",
        largest(FORCED.tendency(w, SQUARE)[0] - other) / largest(other),
        "largest difference over the largest value",
        (0, 1e-13),
        "ten modes: their products, up to twenty, are exact on both sides; rounding",
    )


def dipole() -> Result:
    x, y = SQUARE.coordinates()
    upper, lower = ((torch.cos(x - math.pi) + torch.cos(y - c) - 2) for c in (math.pi + 0.5, math.pi - 0.5))
    w = (torch.exp(upper / 0.06) - torch.exp(lower / 0.06))[None]
    end = solve(NavierStokes(1e-4), SQUARE, w, ETDRK4, time=2.0, dt=0.01)
    centre = torch.angle((end.clamp(min=0) * torch.exp(1j * (x - math.pi))).sum()).item()
    circulation = SQUARE.integrate(w.clamp(min=0)).item()
    return Result(
        "a vortex pair, anticlockwise above, travels along +x, by Gamma t / (2 pi d) at t = 2",
        described(SQUARE),
        stepped(ETDRK4, 0.01),
        centre / (circulation * 2.0 / (CIRCLE * 1.0)),
        "distance over that of point vortices",
        (0.8, 1.1),
        "images and the size of the cores change the speed by (d / 2 pi)^2 and more; the sign is the point",
    )


def self_convergence(scheme: type[Stepper], points: int, *, viscosity: float, high: float) -> Result:
    grid = Grid((points, points), (CIRCLE, CIRCLE))
    w, steps = turbulence(grid), (50, 100, 200, 400)
    ends = [solve(NavierStokes(viscosity), grid, w, scheme, time=1.0, dt=1 / n) for n in steps]
    changes = [largest(a - b) / largest(b) for a, b in pairwise(ends)]
    return Result(
        f"self-convergence of a resolved random field, nu = {viscosity:g}, t = 1",
        described(grid),
        stepped(scheme, 1 / 200),
        changes[-1],
        "relative change by halving dt",
        (0, high),
        "an independent implementation saw 1.0e-5 at dt = 1/200, nu = 1e-3" if scheme is ETDRK4 else "100 times that",
        rate(changes),
        (scheme.order - 0.3, scheme.order + 0.3),
    )


QUICK: list[Case] = [
    taylor_green_vortices,
    shear,
    one_shell,
    advection_sign,
    dipole,
    partial(self_convergence, ETDRK4, 64, viscosity=5e-3, high=1e-5),
    partial(self_convergence, ETDRK2, 64, viscosity=5e-3, high=1e-3),
    *KOLMOGOROV_QUICK,
    *BALANCE_QUICK,
]
FULL: list[Case] = [
    partial(self_convergence, ETDRK4, 128, viscosity=1e-3, high=1e-5),
    *KOLMOGOROV_FULL,
    *BALANCE_FULL,
]

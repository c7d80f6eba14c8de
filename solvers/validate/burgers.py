"""Burgers: Cole-Hopf solutions, the inviscid wave until its shock, budgets."""

import math
from functools import partial

import torch
from torch import Tensor

from rollwave.solvers.burgers import Burgers
from rollwave.solvers.etdrk import ETDRK2, ETDRK4
from rollwave.solvers.exact import cole_hopf_sine, cole_hopf_wave
from rollwave.solvers.grid import Grid
from rollwave.solvers.stepper import Stepper

from .burgers_balance import FULL as BALANCE_FULL
from .burgers_balance import QUICK as BALANCE_QUICK
from .case import Case, Result, described, largest, rate, solve, stepped

CIRCLE = 2 * math.pi


WAVE = {"viscosity": 0.05, "amplitude": 0.9}


def wave_errors(scheme: type[Stepper], steps: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[float]:
    """Errors of the one-mode Cole-Hopf solution at `t = 2`."""
    grid = Grid((128,), (CIRCLE,), dtype)
    start, end = cole_hopf_wave(grid, 0.0, **WAVE), cole_hopf_wave(grid, 2.0, **WAVE)
    return [largest(solve(Burgers(0.05), grid, start, scheme, time=2.0, dt=2.0 / n) - end) for n in steps]


def one_mode(scheme: type[Stepper], *, high: float) -> Result:
    errors = wave_errors(scheme, (20, 40, 80))
    return Result(
        "Cole-Hopf, one mode: nu = 0.05, a = 0.9, t = 2",
        "128 on 6.283",
        stepped(scheme, 0.025),
        errors[-1],
        "largest error",
        (0, high),
        "twice the 4.0e-10 of an independent implementation" if scheme is ETDRK4 else "dt^2 / 10: the wave is 0.2 high",
        rate(errors),
        (scheme.order - 0.2, scheme.order + 0.2),
    )


def one_mode_rounding() -> Result:
    (error,) = wave_errors(ETDRK4, (1280,))
    return Result(
        "Cole-Hopf, one mode: dt -> 0",
        "128 on 6.283",
        stepped(ETDRK4, 2 / 1280),
        error,
        "largest error",
        (0, 1e-12),
        "dt^4 from 4e-10 at dt = 0.025 gives 6e-15; the tail 0.9^42 of the 2/3 rule is damped by e^{-nu k^2 t}",
    )


def one_mode_single_precision() -> Result:
    (error,) = wave_errors(ETDRK4, (5120,), torch.float32)
    return Result(
        "Cole-Hopf, one mode in float32: rounding does not grow with the steps",
        "128 on 6.283",
        stepped(ETDRK4, 2 / 5120, ", 5120 steps"),
        error,
        "largest error",
        (0, 1e-5),
        "increments reach 3e-6; the product form exp(L dt) u reaches 4e-4",
    )


def sine(viscosity: float, points: int, *, dt: float, high: float) -> Result:
    grid, equation = Grid((points,), (CIRCLE,)), Burgers(viscosity)
    start, end = torch.sin(grid.coordinates()[0])[None], cole_hopf_sine(grid, 1.6, viscosity=viscosity)
    return Result(
        f"shock from sin x: nu = {viscosity:g}, t = 1.6, when it is steepest",
        described(grid),
        stepped(ETDRK4, dt),
        largest(solve(equation, grid, start, ETDRK4, time=1.6, dt=dt) - end),
        "largest error",
        (0, high),
        "twice what an independent implementation reached; e^{-k_max delta} of the front's pole",
    )


def sine_order() -> Result:
    grid, equation = Grid((256,), (CIRCLE,)), Burgers(0.1)
    start, end = torch.sin(grid.coordinates()[0])[None], cole_hopf_sine(grid, 1.0, viscosity=0.1)
    errors = [largest(solve(equation, grid, start, ETDRK4, time=1.0, dt=1 / n) - end) for n in (100, 200, 400, 800)]
    return Result(
        "shock from sin x: nu = 0.1, t = 1, order in time",
        described(grid),
        stepped(ETDRK4, 1 / 800),
        errors[-1],
        "largest error",
        (0, 3e-12),
        "twice the 1.5e-12 of an independent implementation, and its slope 3.98",
        rate(errors),
        (3.8, 4.2),
    )


def characteristics(grid: Grid, time: float) -> Tensor:
    """The inviscid wave from `sin x` before `t = 1`: `u = sin(x - u t)`, by Newton's method."""
    (x,) = grid.coordinates()
    u = torch.sin(x)
    for _ in range(50):
        u = u - (u - torch.sin(x - u * time)) / (1 + time * torch.cos(x - u * time))
    return u[None]


def inviscid() -> Result:
    grid, equation = Grid((512,), (CIRCLE,)), Burgers(0.0)
    u = solve(equation, grid, torch.sin(grid.coordinates()[0])[None], ETDRK4, time=0.6, dt=0.0025)
    return Result(
        "inviscid wave from sin x before its shock at t = 1: characteristics at t = 0.6",
        described(grid),
        stepped(ETDRK4, 0.0025),
        largest(u - characteristics(grid, 0.6)),
        "largest error",
        (0, 1e-10),
        "dt^4 error constants below 1; Fourier tail e^{-170 delta}, delta(0.6) = 0.299",
    )


def inviscid_energy() -> Result:
    grid, equation = Grid((1024,), (CIRCLE,)), Burgers(0.0)
    u = torch.sin(grid.coordinates()[0])[None]
    drifts = []
    for dt in (0.01, 0.005, 0.0025):
        end = solve(equation, grid, u, ETDRK4, time=0.9, dt=dt)
        drifts.append(abs(equation.invariants(end, grid)["energy"].item() / (math.pi / 2) - 1))
    return Result(
        "inviscid wave from sin x: energy pi / 2 until the shock, t = 0.9",
        described(grid),
        stepped(ETDRK4, 0.0025),
        drifts[-1],
        "relative drift",
        (0, 4e-11),
        "dt^4: the truncated system conserves energy, so the drift is the scheme's",
        rate(drifts),
        (3.8, 5.3),
    )


QUICK: list[Case] = [
    partial(one_mode, ETDRK4, high=8e-10),
    partial(one_mode, ETDRK2, high=6e-5),
    one_mode_rounding,
    one_mode_single_precision,
    partial(sine, 0.05, 256, dt=0.0025, high=5e-7),
    partial(sine, 0.01, 1024, dt=0.000625, high=3.6e-5),
    sine_order,
    inviscid,
    inviscid_energy,
    *BALANCE_QUICK,
]
FULL: list[Case] = [
    partial(sine, 0.005, 2048, dt=0.0003125, high=4e-5),
    partial(sine, 0.01, 2304, dt=0.0003125, high=2e-10),
    *BALANCE_FULL,
]

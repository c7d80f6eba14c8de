"""Nonlinear Schroedinger: solitons, breathers, modulation instability, invariants, time reversal."""

import math
from functools import partial

import torch
from torch import Tensor

from rollwave.solvers.etdrk import ETDRK4
from rollwave.solvers.exact import (
    bright_soliton,
    dark_soliton_pair,
    two_solitons,
)
from rollwave.solvers.grid import Grid
from rollwave.solvers.splitting import BlanesMoan4, BlanesMoan6, Strang, Yoshida4
from rollwave.solvers.stepper import Stepper

from .case import Case, Result, about, described, largest, rate, solve, stepped
from .entropies import QUICK as ENTROPIES
from .plane_waves import DEFOCUSING, FOCUSING
from .plane_waves import FULL as PLANE_FULL
from .plane_waves import QUICK as PLANE_QUICK

LINE = Grid((512,), (40.0,))


def soliton(scheme: type[Stepper], *, dt: float, high: float, source: str) -> Result:
    start, end = (bright_soliton(LINE, t, turns=5, position=10.0) for t in (0.0, 10.0))
    errors = [largest(solve(FOCUSING, LINE, start, scheme, time=10.0, dt=dt * f) - end) for f in (2, 1)]
    return Result(
        "bright soliton A = 1, v = 0.785, t = 10",
        described(LINE),
        stepped(scheme, dt),
        errors[-1],
        "largest error",
        (0, high),
        source,
        rate(errors),
        about(scheme),
    )


def invariant(name: str, scheme: type[Stepper], *, high: float, source: str) -> Result:
    grid, moving = Grid((1024,), (60.0,)), {"amplitudes": (1.0, 1.2), "speeds": (0.8, -0.4)}
    start = two_solitons(grid, -12.0, **moving)
    end = solve(FOCUSING, grid, start, scheme, time=12.0, dt=0.02)
    change = FOCUSING.invariants(end, grid)[name] - FOCUSING.invariants(start, grid)[name]
    return Result(
        f"{name} of two solitons from apart until they overlap, t = 12",
        described(grid),
        stepped(scheme, 0.02),
        largest(change / FOCUSING.invariant_sizes(start, grid)[name]),
        "drift over the integral of absolute values",
        (0, high),
        source,
    )


def soliton_integral(name: str) -> Result:
    amplitude, turns = 1.3, 6
    speed = 2 * math.pi * turns / LINE.lengths[0]
    exact = {
        "mass": 2 * amplitude,
        "momentum": 2 * amplitude * speed,
        "energy": amplitude * speed**2 - amplitude**3 / 3,
    }[name]
    u = bright_soliton(LINE, 1.0, amplitude=amplitude, turns=turns)
    return Result(
        f"{name} of a moving soliton A = 1.3, v = {speed:.4g}: {exact:.6f}",
        described(LINE),
        "initial field",
        abs(FOCUSING.invariants(u, LINE)[name].item() / exact - 1),
        "relative error",
        (0, 1e-12),
        "2 A, 2 A v, A v^2 - A^3 / 3; rounding",
    )


def collision(scheme: type[Stepper], *, dt: float, high: float, source: str) -> Result:
    grid = Grid((768,), (60.0,))
    start, end = (two_solitons(grid, t, amplitudes=(1.0, 1.2), speeds=(0.8, -0.4)) for t in (-12.0, 12.0))
    errors = [largest(solve(FOCUSING, grid, start, scheme, time=24.0, dt=dt * f) - end) for f in (2, 1)]
    return Result(
        "two solitons through their collision, A = 1 and 1.2, v = 0.8 and -0.4, t = -12 .. 12",
        described(grid),
        stepped(scheme, dt),
        errors[-1],
        "largest error",
        (0, high),
        source,
        rate(errors),
        (3.8, 9.0),
    )


def centre(u: Tensor, grid: Grid, window: Tensor) -> float:
    """Centre of mass of `|psi|^2` within a window."""
    mass = u.square().sum(0) * window
    return ((mass * grid.coordinates()[0]).sum() / mass.sum()).item()


def phase_shift() -> Result:
    grid, turns, time = Grid((1024,), (100.0,)), 10, 50 / (2 * math.pi / 10 * 1.0)
    speed, (x,) = 2 * math.pi * turns / 100.0, grid.coordinates()
    start = bright_soliton(grid, 0.0, amplitude=1.0, turns=turns, position=25.0)
    start = start + bright_soliton(grid, 0.0, amplitude=1.2, turns=-turns, position=75.0)
    end, half = solve(FOCUSING, grid, start, BlanesMoan6, time=time, dt=time / 3200), x < 50
    shifts = (centre(end, grid, ~half) - 25.0 - speed * time, centre(end, grid, half) - 75.0 + speed * time)
    ratio = ((1.0 + 1.2) ** 2 + (2 * speed) ** 2) / ((1.0 - 1.2) ** 2 + (2 * speed) ** 2)
    exact = (math.log(ratio), -math.log(ratio) / 1.2)
    return Result(
        f"shifts of two solitons by their collision: {shifts[0]:.7f}, {shifts[1]:.7f}",
        described(grid),
        stepped(BlanesMoan6, time / 3200),
        max(abs(found - wanted) for found, wanted in zip(shifts, exact, strict=True)),
        "largest error of a shift",
        (0, 2e-7),
        f"log((A1+A2)^2+dv^2)/((A1-A2)^2+dv^2) / A: {exact[0]:.7f}, {exact[1]:.7f}; independently reached to 8e-8",
    )


def dark_solitons(scheme: type[Stepper], *, dt: float, high: float, source: str) -> Result:
    start, end = (dark_soliton_pair(LINE, t, speed=0.5) for t in (-8.0, 8.0))
    errors = [largest(solve(DEFOCUSING, LINE, start, scheme, time=16.0, dt=dt * f) - end) for f in (2, 1)]
    return Result(
        "defocusing: two dark solitons of speeds +-0.5 through their collision, t = -8 .. 8",
        described(LINE),
        stepped(scheme, dt),
        errors[-1],
        "largest error",
        (0, high),
        source,
        rate(errors),
        about(scheme),
    )


def reversal(scheme: type[Stepper]) -> Result:
    u = FOCUSING.initial_condition(LINE, batch=1, seed=2)[0]
    there = solve(FOCUSING, LINE, u, scheme, time=2.0, dt=0.02)
    conjugate = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    back = solve(FOCUSING, LINE, there * conjugate, scheme, time=2.0, dt=0.02) * conjugate
    return Result(
        "time reversal: conjugate, forward, conjugate returns to the start, t = 2",
        described(LINE),
        stepped(scheme, 0.02),
        largest(back - u),
        "largest difference",
        (0, 1e-10),
        "a symmetric scheme: rounding 1e-15, grown by e^{2 A^2 t} with A^2 = 2",
    )


ROUNDING = "both flows conserve it: rounding, 1e-16 per flow and step"


PEER = "an independent implementation: "


QUICK: list[Case] = [
    partial(soliton, Strang, dt=0.0025, high=1.2e-5, source=PEER + "5.7e-6; twice that"),
    partial(soliton, Yoshida4, dt=0.01, high=1.6e-7, source=PEER + "1.3e-6 at dt = 0.02; 1/16 of that, doubled"),
    partial(soliton, BlanesMoan4, dt=0.05, high=1e-8, source="below that of Yoshida's composition at equal cost"),
    partial(soliton, BlanesMoan6, dt=0.125, high=1e-7, source="dt^6 times the fraction 0.03 that its constants allow"),
    partial(soliton, ETDRK4, dt=0.02, high=1.8e-7, source=PEER + "9.1e-8; twice that"),
    partial(collision, BlanesMoan4, dt=0.02, high=1.6e-6, source="10 dt^4: frequencies near one over t = 24"),
    partial(collision, ETDRK4, dt=0.01, high=1.2e-6, source="120 dt^4: frequencies up to A^2 + v^2 over t = 24"),
    phase_shift,
    *(partial(soliton_integral, name) for name in ("mass", "momentum", "energy")),
    partial(dark_solitons, Yoshida4, dt=0.01, high=1e-7, source="10 dt^4; tails at the ends e^{-1.73 16} = 1e-12"),
    partial(dark_solitons, ETDRK4, dt=0.02, high=1.6e-6, source="10 dt^4"),
    partial(invariant, "mass", BlanesMoan4, high=1e-12, source="both flows conserve it: rounding"),
    partial(invariant, "momentum", BlanesMoan4, high=1e-12, source="both flows conserve it: rounding"),
    partial(invariant, "energy", BlanesMoan4, high=1.6e-7, source="dt^4"),
    partial(invariant, "energy", ETDRK4, high=1e-5, source="dt^4 over t = 12: 2e-6, and constants below five"),
    partial(reversal, Strang),
    partial(reversal, BlanesMoan6),
    *ENTROPIES,
    *PLANE_QUICK,
]
FULL: list[Case] = [
    *PLANE_FULL,
]

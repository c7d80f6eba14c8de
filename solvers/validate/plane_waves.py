"""Nonlinear Schroedinger: plane waves, their instability, and the breathers it grows into."""

import math
from functools import partial

import torch

from rollwave.solvers.exact import (
    akhmediev_breather,
    peregrine_breather,
    plane_wave,
)
from rollwave.solvers.grid import Grid
from rollwave.solvers.nonlinear_schrodinger import NonlinearSchrodinger
from rollwave.solvers.splitting import BlanesMoan4, BlanesMoan6, Strang, Yoshida4
from rollwave.solvers.stepper import Stepper

from .case import Case, Result, about, described, largest, rate, solve, stepped

FOCUSING, DEFOCUSING = NonlinearSchrodinger(), NonlinearSchrodinger(focusing=False)


def akhmediev(scheme: type[Stepper], *, dt: float, high: float) -> Result:
    grid = Grid((64,), (2 * math.pi / math.sqrt(2),))
    start, end = (akhmediev_breather(grid, t) for t in (-4.0, 4.0))
    errors = [largest(solve(FOCUSING, grid, start, scheme, time=8.0, dt=dt * f) - end) for f in (2, 1)]
    return Result(
        "Akhmediev breather a = 1/4, t = -4 .. 4",
        described(grid),
        stepped(scheme, dt),
        errors[-1],
        "largest error",
        (0, high),
        "an independent implementation reached 1.9e-5 (order two) and 1.2e-8 (order four) at its smallest steps",
        rate(errors),
        about(scheme),
    )


def akhmediev_peak() -> Result:
    grid = Grid((64,), (2 * math.pi / math.sqrt(2),))
    peak = solve(FOCUSING, grid, akhmediev_breather(grid, -4.0), BlanesMoan6, time=4.0, dt=0.005)
    return Result(
        "peak of the Akhmediev breather a = 1/4 at t = 0, from t = -4",
        described(grid),
        stepped(BlanesMoan6, 0.005),
        peak.square().sum(0).sqrt().max().item() - (1 + math.sqrt(2)),
        "peak less 1 + sqrt 2",
        (-1e-8, 1e-8),
        "an independent implementation of order four reached 8e-9",
    )


def peregrine(length: float, *, points: int, high: float) -> Result:
    grid = Grid((points,), (length,))
    start, end = (peregrine_breather(grid, t) for t in (-2.0, 2.0))
    return Result(
        f"Peregrine breather, t = -2 .. 2, L = {length:g}",
        described(grid),
        stepped(Yoshida4, 0.005),
        largest(solve(FOCUSING, grid, start, Yoshida4, time=4.0, dt=0.005) - end),
        "largest error",
        (high / 4, high),
        "twice the 6.9e-4 (L = 100) and 1.1e-5 (L = 400) of an independent implementation: the 1/x^2 tail at the seam",
    )


def modulation(wavenumber: float) -> Result:
    grid = Grid((32,), (2 * math.pi / wavenumber,))
    exact = wavenumber * math.sqrt(1 - wavenumber**2 / 4)
    (x,), first, last = grid.coordinates(), 6 / exact, 8 / exact
    u = torch.stack((1 + 1e-7 * torch.cos(wavenumber * x), 1e-7 * torch.cos(wavenumber * x)))
    sizes = []
    for time in (first, last - first):
        u = solve(FOCUSING, grid, u, BlanesMoan4, time=time, dt=time / round(time / 0.01))
        sizes.append(torch.fft.fft(torch.complex(u[0], u[1]))[1].abs().item())
    found = math.log(sizes[1] / sizes[0]) / (last - first)
    return Result(
        f"growth rate K sqrt(1 - K^2 / 4) of a small wave on the plane wave, K = {wavenumber:.4g}",
        described(grid),
        stepped(BlanesMoan4, 0.01),
        abs(found / exact - 1),
        "relative error",
        (0, 1e-5),
        "the decaying wave is e^{-12} of the growing one at the first of two times, and beats twice against it",
    )


def plane(scheme: type[Stepper]) -> Result:
    grid = Grid((64,), (10.0,))
    start, end = (plane_wave(grid, t, amplitude=0.8, turns=2) for t in (0.0, 10.0))
    found = solve(FOCUSING, grid, start, scheme, time=10.0, dt=0.02)
    return Result(
        "plane wave A = 0.8, two turns, t = 10",
        described(grid),
        stepped(scheme, 0.02),
        largest(found - end),
        "largest error",
        (0, 1e-12),
        "both flows are exact on it: rounding 1e-16 per step, grown by e^{0.64 t}",
    )


def resonance() -> Result:
    grid = Grid((64,), (10.0,))
    start = plane_wave(grid, 0.0) + 1e-14 * torch.randn(2, 64, generator=torch.Generator().manual_seed(1)).double()
    end = solve(FOCUSING, grid, start, Strang, time=1800 * 0.0083, dt=0.0083)
    high = torch.fft.fft(torch.complex(end[0], end[1])).abs()[12:53].max().item() / 64
    return Result(
        "no resonance of the splitting below dt = 2 pi / k_max^2 = 0.0155: waves with k > 7 stay at rounding, t = 15",
        described(grid),
        stepped(Strang, 0.0083),
        high,
        "largest amplitude",
        (0, 1e-13),
        "seeds of 1e-14; at dt = 0.0166, twice this one, a wave resonates and reaches 4e-10",
    )


QUICK: list[Case] = [
    partial(akhmediev, Strang, dt=0.00125, high=3.8e-5),
    partial(akhmediev, Yoshida4, dt=0.0025, high=2.4e-7),
    partial(akhmediev, BlanesMoan4, dt=0.01, high=1.2e-8),
    akhmediev_peak,
    partial(peregrine, 100.0, points=1024, high=1.4e-3),
    partial(modulation, 0.5),
    partial(modulation, 1.0),
    partial(modulation, math.sqrt(2)),
    partial(modulation, 1.8),
    partial(plane, Strang),
    partial(plane, BlanesMoan6),
    resonance,
]
FULL: list[Case] = [
    partial(peregrine, 400.0, points=4096, high=2.2e-5),
]

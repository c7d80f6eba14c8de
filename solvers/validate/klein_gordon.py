"""Klein-Gordon: dispersion, kinks, breathers, energy and momentum, time reversal."""

import math
from functools import partial

import torch
from torch import Tensor

from rollwave.solvers.exact import breather, kink_antikink, sine_gordon_kink_antikink, sine_gordon_kinks
from rollwave.solvers.grid import Grid
from rollwave.solvers.klein_gordon import KleinGordon, Linear
from rollwave.solvers.splitting import BlanesMoan6, Strang
from rollwave.solvers.stepper import Stepper
from rollwave.solvers.symplectic import StoermerVerlet, SymplecticRKN4, SymplecticRKN6

from .case import Case, Result, about, described, largest, rate, solve, stepped
from .kink_collisions import FULL as COLLISIONS_FULL
from .kink_collisions import QUICK as COLLISIONS_QUICK
from .klein_gordon_balance import FULL as BALANCE_FULL
from .klein_gordon_balance import LINE, PHI4, SINE_GORDON
from .klein_gordon_balance import QUICK as BALANCE_QUICK

CIRCLE = 2 * math.pi


def verlet_frequency(wavenumber: int) -> Result:
    grid, dt, time = Grid((64,), (CIRCLE,)), 0.02, 10.0
    w, wave = math.sqrt(wavenumber**2 + 1), torch.cos(wavenumber * grid.coordinates()[0])
    start = torch.stack((wave, torch.zeros_like(wave)))
    end = solve(KleinGordon(Linear(mass=1.0)), grid, start, StoermerVerlet, time=time, dt=dt)
    return Result(
        f"linear wave k = {wavenumber}: Stoermer-Verlet turns at the frequency 2 / dt asin(w dt / 2), t = 10",
        described(grid),
        stepped(StoermerVerlet, dt),
        largest(end[0] - math.cos(2 / dt * math.asin(w * dt / 2) * time) * wave),
        "largest error of phi",
        (0, 1e-11),
        "the recurrence of the scheme, solved exactly: rounding over 500 steps",
    )


def dispersion() -> Result:
    grid, equation = Grid((128,), (20.0,)), KleinGordon(Linear(mass=0.7))
    (x,), m = grid.coordinates(), torch.arange(1, 11, dtype=torch.float64)[:, None]
    k, time = 2 * math.pi * m / 20, 30.0
    w = torch.sqrt(k**2 + 0.7**2)

    def waves(t: float) -> Tensor:
        angle = k * x - w * t + m
        return torch.stack((torch.cos(angle).sum(0), (w * torch.sin(angle)).sum(0)))

    return Result(
        "ten travelling waves of frequency sqrt(k^2 + m^2), m = 0.7, t = 30",
        described(grid),
        stepped(Strang, 0.5),
        largest(solve(equation, grid, waves(0.0), Strang, time=time, dt=0.5) - waves(time)),
        "largest error",
        (0, 1e-11),
        "the linear flow is exact: rounding of the angles, 1e-15 w t, and of 60 steps",
    )


def kinks(scheme: type[Stepper], *, dt: float, high: float, source: str) -> Result:
    grid = Grid((768,), (120.0,))
    start, end = (kink_antikink(grid, t, speed=0.4, separation=64.0) for t in (0.0, 40.0))
    errors = [largest((solve(PHI4, grid, start, scheme, time=40.0, dt=dt * f) - end)[0]) for f in (2, 1)]
    return Result(
        "phi^4 kink and antikink, boosted to 0.4, far apart, t = 40",
        described(grid),
        stepped(scheme, dt),
        errors[-1],
        "largest error of phi",
        (0, high),
        source,
        rate(errors),
        (scheme.order - 0.2, 9.0),
    )


def breathing(scheme: type[Stepper], *, dt: float, high: float, source: str) -> Result:
    time = 5.25 * 4 * math.pi
    start, end = (breather(LINE, t, frequency=0.5) for t in (0.0, time))
    dts = [time / round(time / (dt * f)) for f in (2, 1)]
    errors = [largest((solve(SINE_GORDON, LINE, start, scheme, time=time, dt=h) - end)[0]) for h in dts]
    return Result(
        "sine-Gordon breather of frequency 0.5, five periods and a quarter",
        described(LINE),
        stepped(scheme, dts[-1]),
        errors[-1],
        "largest error of phi",
        (0, high),
        source,
        rate(errors),
        (scheme.order - 0.2, 9.0),
    )


def collision(scheme: type[Stepper], *, dt: float, high: float, source: str) -> Result:
    start, end = (sine_gordon_kink_antikink(LINE, t, speed=0.5) for t in (-15.0, 15.0))
    errors = [largest((solve(SINE_GORDON, LINE, start, scheme, time=30.0, dt=dt * f) - end)[0]) for f in (2, 1)]
    return Result(
        "sine-Gordon kink and antikink pass through each other, v = 0.5, t = -15 .. 15",
        described(LINE),
        stepped(scheme, dt),
        errors[-1],
        "largest error of phi",
        (0, high),
        source,
        rate(errors),
        about(scheme) if scheme is StoermerVerlet else (scheme.order - 0.2, 9.0),
    )


def repulsion() -> Result:
    grid = Grid((1024,), (160.0,))
    start, end = (sine_gordon_kinks(grid, t, speed=0.5) for t in (-15.0, 15.0))
    errors = [largest((solve(SINE_GORDON, grid, start, SymplecticRKN4, time=30.0, dt=h) - end)[0]) for h in (0.1, 0.05)]
    return Result(
        "sine-Gordon kinks repel each other, v = 0.5, t = -15 .. 15, with an antikink pair",
        described(grid),
        stepped(SymplecticRKN4, 0.05),
        errors[-1],
        "largest error of phi",
        (0, 6e-6),
        "dt^4; overlap of the pairs e^{-1.15 (80 - 15)}",
        rate(errors),
        (3.8, 9.0),
    )


PEER = "an independent implementation: "


SIX = "t (w dt / 6)^4 for six stages, w < 2"


ELEVEN = "t (w dt / 11)^6 for eleven stages, w < 2"


QUICK: list[Case] = [
    partial(verlet_frequency, 1),
    partial(verlet_frequency, 15),
    dispersion,
    partial(kinks, StoermerVerlet, dt=0.04, high=4.8e-4, source=PEER + "2.4e-4; twice that"),
    partial(kinks, SymplecticRKN4, dt=0.05, high=3e-6, source=SIX),
    partial(kinks, SymplecticRKN6, dt=0.0625, high=1e-10, source=ELEVEN),
    partial(breathing, StoermerVerlet, dt=0.02, high=1e-2, source=PEER + "0.005; twice that"),
    partial(breathing, SymplecticRKN4, dt=0.05, high=5e-6, source=SIX),
    partial(breathing, SymplecticRKN6, dt=0.0625, high=1e-10, source=ELEVEN),
    partial(breathing, BlanesMoan6, dt=0.0625, high=6e-10, source="t (w dt / 11)^6 for eleven stages, w < 2.5"),
    partial(collision, StoermerVerlet, dt=0.02, high=5e-4, source=PEER + "2.5e-4 at 0.04; twice that"),
    partial(collision, SymplecticRKN4, dt=0.05, high=2.3e-6, source=SIX),
    partial(collision, SymplecticRKN6, dt=0.0625, high=7e-11, source=ELEVEN),
    repulsion,
    *COLLISIONS_QUICK,
    *BALANCE_QUICK,
]
FULL: list[Case] = [
    *COLLISIONS_FULL,
    *BALANCE_FULL,
]

"""Kuramoto-Sivashinsky on its attractor: Lyapunov exponents, averages, spectra."""

import math
from functools import partial

import torch
from torch import Tensor

from rollwave.solvers.etdrk import ETDRK4
from rollwave.solvers.grid import Grid
from rollwave.solvers.initial_conditions import RandomFourierSeries, sample
from rollwave.solvers.kuramoto_sivashinsky import KuramotoSivashinsky
from rollwave.solvers.lyapunov import lyapunov_exponents
from rollwave.solvers.run import advance
from rollwave.solvers.simulate import simulate

from .case import Case, Result, described, largest, stepped

EQUATION = KuramotoSivashinsky()


SMALL = Grid((64,), (22.0,))


# Leading exponents and standard errors of an independent implementation: 16 trajectories of 3000 units.
REFERENCE = {
    22: (0.0484, 0.0008),
    36: (0.0781, 0.0011),
    64: (0.0855, 0.0009),
    100: (0.0912, 0.0010),
    200: (0.0953, 6e-4),
}


def attractor(grid: Grid, batch: int, time: float = 200.0, dt: float = 0.1, seed: int = 1) -> Tensor:
    """Fields after the transients of random initial fields."""
    start = RandomFourierSeries(modes=max(4, round(grid.lengths[0] / 9)), decay=0.0, rms=1.0)
    u = sample(start, grid, batch=batch, seed=seed)
    return simulate(EQUATION, grid, u, interval=1.0, frames=0, dt=dt, stepper=ETDRK4, warmup=time)[:, 0]


def exponent(length: int, points: int, batch: int, time: float, *, dt: float) -> Result:
    grid = Grid((points,), (float(length),))
    u = attractor(grid, batch, time=500.0, dt=dt)
    every = lyapunov_exponents(EQUATION, grid, u, dt=dt, time=time, transient=200.0, stepper=ETDRK4)
    found = every.chaotic(300)
    (reference, error), own = REFERENCE[length], found.standard_error[0].item()
    allowed = 4 * math.hypot(error, own)
    settled = f", {batch - len(found.each)} settled" if len(found.each) < batch else ""
    return Result(
        f"leading Lyapunov exponent, L = {length}: {batch} trajectories of {time:g} units, +- {own:.1g}{settled}",
        described(grid),
        stepped(ETDRK4, dt),
        found.mean[0].item(),
        "exponent",
        (reference - allowed, reference + allowed),
        f"{reference} +- {error} by an independent implementation; four standard errors of the difference",
    )


def dimension() -> Result:
    u = attractor(SMALL, 32, time=500.0)
    found = lyapunov_exponents(
        EQUATION, SMALL, u, dt=0.1, time=2000.0, transient=200.0, count=8, zero_mean=True, stepper=ETDRK4
    )
    each = ", ".join(f"{value:.4f}" for value in found.mean.tolist())
    return Result(
        f"Kaplan-Yorke dimension for L = 22 of eight exponents: {each}",
        described(SMALL),
        stepped(ETDRK4, 0.1),
        found.dimension(),
        "dimension",
        (4.1, 4.35),
        "4.2 from .0464, .0002, .0000, -.0042, -.187 by an independent implementation; +- .003 in their sum is +- .02",
    )


def neutral_exponents() -> Result:
    u = attractor(SMALL, 32, time=500.0)
    found = lyapunov_exponents(
        EQUATION, SMALL, u, dt=0.1, time=6000.0, transient=1000.0, count=3, zero_mean=True, stepper=ETDRK4
    )
    return Result(
        "two Lyapunov exponents vanish, those of shifts in time and in space, L = 22",
        described(SMALL),
        stepped(ETDRK4, 0.1),
        largest(found.mean[1:3]),
        "largest of the two",
        (0, 1.5e-3),
        "zero in the limit; over T = 6000 within log(size of u_t, u_x and their overlaps) / T",
    )


def averages(batch: int, time: int) -> tuple[Tensor, Tensor, Tensor]:
    """Time averages of energy, production and dissipation per length, of every trajectory."""
    u = attractor(SMALL, batch, time=500.0)
    scheme, sums = ETDRK4(EQUATION, SMALL, 0.1), torch.zeros(3, batch, dtype=torch.float64)
    for _ in range(time):
        u = advance(scheme, u, 10)
        budget = EQUATION.budget(u, SMALL)
        energy = EQUATION.invariants(u, SMALL)["energy"]
        sums += torch.stack((energy, budget["production"], -budget["dissipation"]))
    energy, production, dissipation = sums / (time * SMALL.lengths[0])
    return energy, production, dissipation


def balance(batch: int, time: int, *, high: float) -> Result:
    _, production, dissipation = averages(batch, time)
    return Result(
        f"production and dissipation balance on average, L = 22: {batch} trajectories of {time} units",
        described(SMALL),
        stepped(ETDRK4, 0.1),
        abs((production.mean() / dissipation.mean()).item() - 1),
        "|P / D - 1|",
        (0, high),
        "vanishes like the change of energy over T; sampled every unit",
    )


def mean_energy(batch: int, time: int) -> Result:
    energy, _, _ = averages(batch, time)
    error = energy.std().item() / math.sqrt(batch)
    return Result(
        f"mean of u^2 / 2, L = 22: {batch} trajectories of {time} units, +- {error:.1g}",
        described(SMALL),
        stepped(ETDRK4, 0.1),
        energy.mean().item(),
        "mean energy per length",
        (0.701 - 0.02, 0.701 + 0.02),
        "0.701 over T = 2e4 by an independent implementation: std 0.219, correlation time about 20, so +- 0.005 each",
    )


def spectrum(points: int, time: int) -> tuple[Tensor, Tensor]:
    """Wavenumbers and mean power of the modes for `L = 100`, averaged over 16 trajectories and the time."""
    grid = Grid((points,), (100.0,))
    u = attractor(grid, 16, time=200.0)
    scheme, power = ETDRK4(EQUATION, grid, 0.1), torch.zeros(points // 2 + 1, dtype=torch.float64)
    for _ in range(time // 5):
        u = advance(scheme, u, 50)
        power += (grid.rfft(u).abs() / points).square().mean((0, 1)) / (time // 5)
    return grid.wavenumbers(0), power


def spectral_peak(time: int) -> Result:
    k, power = spectrum(256, time)
    smooth = torch.nn.functional.avg_pool1d(power[None, None], 3, 1, 1)[0, 0]
    return Result(
        f"wavenumber of the largest power, L = 100, 16 trajectories of {time} units",
        "256 on 100",
        stepped(ETDRK4, 0.1),
        k[smooth.argmax()].item(),
        "wavenumber",
        (0.58, 0.84),
        "the fastest growing wave, 1 / sqrt 2, to within two modes of the box, 0.063 each",
    )


def spectral_tail(time: int) -> Result:
    k, power = spectrum(256, time)
    _, finer = spectrum(384, time)
    resolved = (k > 0) & (k < 4)
    decades = -math.log10((power[resolved].min() / power.max()).item())
    gap = largest(torch.log(power[resolved] / finer[: len(power)][resolved]))
    return Result(
        f"power spectrum the same on two grids over {decades:.0f} decades, k < 4",
        "256 and 384 on 100",
        stepped(ETDRK4, 0.1),
        gap,
        "largest |log ratio|",
        (0, 0.35),
        f"16 trajectories of {time} units, correlation time about 10: 5 % a mode, tails four times that",
    )


QUICK: list[Case] = [
    partial(exponent, 22, 64, 32, 300.0, dt=0.1),
    partial(balance, 16, 300, high=4e-3),
]
FULL: list[Case] = [
    partial(exponent, 22, 64, 16, 3000.0, dt=0.05),
    partial(exponent, 36, 108, 16, 3000.0, dt=0.05),
    partial(exponent, 64, 192, 16, 3000.0, dt=0.05),
    partial(exponent, 100, 300, 16, 3000.0, dt=0.05),
    partial(exponent, 200, 600, 16, 3000.0, dt=0.05),
    neutral_exponents,
    dimension,
    partial(balance, 64, 2000, high=1e-3),
    partial(mean_energy, 64, 2000),
    partial(spectral_peak, 2000),
    partial(spectral_tail, 2000),
]

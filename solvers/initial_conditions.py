"""Random initial fields that are functions, not arrays: the same on every grid, and sample by sample.

A random field is a finite Fourier sum whose coefficients are drawn first, in an order that knows neither the grid nor
the batch. Each sample has its own generator, seeded by `(seed, index of the trajectory)`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Generator, Tensor

from .exact import bright_soliton
from .grid import CPU, Grid, Number
from .shapes import Complex, Float


@runtime_checkable
class InitialCondition(Protocol):
    """A random field as a function: frozen, with plain numbers as attributes."""

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "c *space"]:
        """One sample at the points of a float64 CPU grid."""
        ...


def trajectory_generators(seed: int, first: int, batch: int) -> Iterator[Generator]:
    """One CPU generator for each of the trajectories `first, ..., first + batch - 1`.

    Torch's CPU generator acts on the low 32 bits of its seed, so two of `n` and `m` trajectories coincide with
    probability `n m / 2^32`. A generated dataset in which any do is refused.
    """
    for index in range(first, first + batch):
        state = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1, np.uint64)
        yield Generator(CPU).manual_seed(int(state[0]) >> 1)


def sample(
    initial_condition: InitialCondition, grid: Grid, *, batch: int, seed: int = 0, first: int = 0
) -> Float[Tensor, "b c *space"]:
    """A batch of initial fields; sample `i` depends on `(seed, first + i)` alone. Drawn on the CPU in float64, then
    cast to the grid.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    reference = Grid(grid.points, grid.lengths)
    fields = [initial_condition(reference, generator) for generator in trajectory_generators(seed, first, batch)]
    return torch.stack(fields).to(dtype=grid.dtype, device=grid.device)


def lattice(modes: int, ndim: int) -> Float[Tensor, "*modes d"]:
    """Mode numbers of the cube `-modes <= m_j <= modes`, vectors last."""
    axis = torch.arange(-modes, modes + 1, dtype=torch.float64)
    return torch.stack(torch.meshgrid(*[axis] * ndim, indexing="ij"), dim=-1)


def draw(amplitude: Float[Tensor, "*modes"], generator: Generator) -> Complex[Tensor, "*modes"]:
    """Independent complex normal coefficients, with `amplitude` the standard deviation of real and imaginary part."""
    re, im = torch.randn((2, *amplitude.shape), generator=generator, dtype=torch.float64)
    return torch.complex(amplitude * re, amplitude * im)


def fourier_sum(coefficients: Complex[Tensor, "*modes"], grid: Grid) -> Complex[Tensor, "*space"]:
    """`sum_m c_m exp(2 pi i m . x / L)` over the cube of modes, at the grid's points."""
    modes = coefficients.shape[0] // 2
    if 2 * modes >= min(grid.points):
        raise ValueError(
            f"{modes} modes need more than {2 * modes} points on every axis, got {grid.points}; refine the grid"
        )
    m = torch.arange(-modes, modes + 1, dtype=torch.float64)
    field = coefficients
    for n in grid.points:
        # m j / N is reduced to [0, 1) in integers, so that equal points of two grids see equal phases.
        turns = torch.outer(m, torch.arange(n, dtype=torch.float64)).remainder(n) / n
        waves = torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
        field = torch.tensordot(field, waves, dims=([0], [0]))
    return field


def unit_variance(amplitude: Float[Tensor, "*modes"]) -> Float[Tensor, "*modes"]:
    """Scaled so that the real part of the Fourier sum has variance one."""
    return amplitude / amplitude.square().sum().sqrt()


@dataclass(frozen=True)
class RandomFourierSeries:
    """Gaussian real field of zero mean, `|u_m| ~ |m|^-decay` on the modes `0 < |m| <= modes`; one channel, any
    dimension.

    Attributes:
        modes: largest mode number, in periods per box.
        decay: exponent of the amplitude.
        rms: expected root mean square over the box and over samples, in the unit of the field.
        mean: a constant added to the field.
    """

    modes: int = 8
    decay: Number = 1.0
    rms: Number = 1.0
    mean: Number = 0.0

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 *space"]:
        amplitude = unit_variance(power_law(self.modes, grid.ndim, self.decay))
        return self.mean + self.rms * fourier_sum(draw(amplitude, generator), grid).real[None]


def power_law(modes: int, ndim: int, decay: float) -> Float[Tensor, "*modes"]:
    """`|m|^-decay` for `0 < |m| <= modes`, zero elsewhere."""
    if modes < 1:
        raise ValueError(f"modes must be at least 1, got {modes}")
    size = lattice(modes, ndim).norm(dim=-1)
    return torch.where((size > 0) & (size <= modes + 1e-9), size.clamp(min=1) ** -decay, 0.0)


@dataclass(frozen=True)
class GaussianRandomField:
    """Gaussian real field of zero mean and covariance `sigma^2 (-Laplacian + tau^2)^-alpha`, cut to the modes `|m_j| <=
    modes`.

    On the box, `u = sum_m sigma (|k_m|^2 + tau^2)^(-alpha/2) (a_m cos k_m x + b_m sin k_m x)` with standard normal
    `a_m, b_m`: wavenumbers, not mode numbers, so `tau` is an inverse length. One channel, any dimension.

    Attributes:
        alpha: smoothness; in `d` dimensions samples are continuous for `alpha > d/2`.
        tau: inverse correlation length, in radians per length.
        sigma: scale; the pointwise variance is `sum_m sigma^2 (|k_m|^2 + tau^2)^-alpha`.
        modes: largest mode number on each axis.
    """

    alpha: Number = 2.5
    tau: Number = 7.0
    sigma: Number = 1.0
    modes: int = 12

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 *space"]:
        m = lattice(self.modes, grid.ndim)
        k = 2 * math.pi * m / torch.tensor(grid.lengths, dtype=torch.float64)
        amplitude = self.sigma * (k.square().sum(-1) + self.tau**2) ** (-self.alpha / 2)
        amplitude = torch.where(m.abs().sum(-1) > 0, amplitude, 0.0)
        return fourier_sum(draw(amplitude, generator), grid).real[None]


@dataclass(frozen=True)
class BandLimitedField:
    """Gaussian real field with equal amplitude on the modes `low <= |m| <= high`, zero elsewhere; one channel, any
    dimension.

    Attributes:
        low: smallest mode number, at least 1.
        high: largest mode number.
        rms: expected root mean square, in the unit of the field.
    """

    low: int = 2
    high: int = 6
    rms: Number = 1.0

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 *space"]:
        if not 1 <= self.low <= self.high:
            raise ValueError(f"low and high must satisfy 1 <= low <= high, got {self.low} and {self.high}")
        size = lattice(self.high, grid.ndim).norm(dim=-1)
        amplitude = ((size >= self.low - 1e-9) & (size <= self.high + 1e-9)).to(torch.float64)
        return self.rms * fourier_sum(draw(unit_variance(amplitude), generator), grid).real[None]


@dataclass(frozen=True)
class RandomComplexField:
    """Gaussian complex field `psi = background + ...`, `|psi_m| ~ |m|^-decay` on `0 < |m| <= modes`; channels (re, im).

    Attributes:
        modes: largest mode number.
        decay: exponent of the amplitude.
        rms: expected root mean square of `|psi - background|`.
        background: a real constant; with a small `rms` the field is a perturbed plane wave.
    """

    modes: int = 4
    decay: Number = 1.0
    rms: Number = 1.0
    background: Number = 0.0

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 *space"]:
        amplitude = unit_variance(power_law(self.modes, grid.ndim, self.decay)) / math.sqrt(2)
        psi = self.background + self.rms * fourier_sum(draw(amplitude, generator), grid)
        return torch.stack((psi.real, psi.imag))


@dataclass(frozen=True)
class RandomSolitons:
    """Bright solitons of the focusing NLSE at random places, one in each of `count` cells; channels (re, im), 1-D.

    Attributes:
        count: number of solitons.
        amplitude: range of `A`, uniform.
        turns: range of the periods of the carrier per box, whole numbers; the speed is `2 pi turns / L`.
    """

    count: int = 2
    amplitude: tuple[Number, Number] = (0.8, 1.6)
    turns: tuple[int, int] = (-6, 6)

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 *space"]:
        draws = torch.rand((self.count, 4), generator=generator, dtype=torch.float64)
        (low, high), (slow, fast) = self.amplitude, self.turns
        total = torch.zeros((2, *grid.points), dtype=torch.float64)
        for cell, (place, size, spin, angle) in enumerate(draws.tolist()):
            soliton = bright_soliton(
                grid,
                0.0,
                amplitude=low + (high - low) * size,
                turns=slow + min(int((fast - slow + 1) * spin), fast - slow),
                position=(cell + 0.25 + place / 2) / self.count * grid.lengths[0],
            )
            c, s = math.cos(2 * math.pi * angle), math.sin(2 * math.pi * angle)
            total += torch.stack((c * soliton[0] - s * soliton[1], s * soliton[0] + c * soliton[1]))
        return total


@dataclass(frozen=True)
class RandomWave:
    """Gaussian field and velocity, both `|m|^-decay` on the modes `0 < |m| <= modes`; channels (phi, phi_t).

    Attributes:
        modes: largest mode number.
        decay: exponent of the amplitude.
        rms: expected root mean square of the field.
        velocity_rms: expected root mean square of its velocity; zero starts from rest.
        mean: a constant added to the field, such as a vacuum.
    """

    modes: int = 4
    decay: Number = 1.0
    rms: Number = 1.0
    velocity_rms: Number = 0.0
    mean: Number = 0.0

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 *space"]:
        amplitude = unit_variance(power_law(self.modes, grid.ndim, self.decay))
        phi, velocity = (fourier_sum(draw(amplitude, generator), grid).real for _ in range(2))
        return torch.stack((self.mean + self.rms * phi, self.velocity_rms * velocity))

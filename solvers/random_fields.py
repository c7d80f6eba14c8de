"""Random fields that are functions, not arrays: the same on every grid, and sample by sample.

A random field is a finite Fourier sum (or a formula) whose numbers are drawn first, in an order that knows neither the
grid nor the batch. Each sample has its own generator, seeded by `(seed, index of the trajectory)`.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.random import PCG64, Generator, SeedSequence
from torch import Tensor

from .grid import Grid
from .shapes import Complex, Float


@runtime_checkable
class InitialCondition(Protocol):
    """A random field as a function: frozen, with plain numbers as attributes."""

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "..."]:
        """One sample `[channel, *space]` at the points of a float64 CPU grid."""
        ...


def trajectory_generators(seed: int, first: int, batch: int) -> Iterator[Generator]:
    """One generator (PCG64, 128 bits of state) for each of the trajectories `first, ..., first + batch - 1`."""
    for index in range(first, first + batch):
        yield Generator(PCG64(SeedSequence(seed, spawn_key=(index,))))


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


def normal(generator: Generator, *shape: int) -> Float[Tensor, "..."]:
    """Independent standard normal numbers."""
    return torch.from_numpy(np.asarray(generator.standard_normal(shape)))


def uniform(generator: Generator, *shape: int) -> Float[Tensor, "..."]:
    """Independent numbers from the uniform distribution on `[0, 1)`."""
    return torch.from_numpy(np.asarray(generator.random(shape)))


def draw(amplitude: Float[Tensor, "*modes"], generator: Generator) -> Complex[Tensor, "*modes"]:
    """Independent complex normal coefficients, with `amplitude` the standard deviation of real and imaginary part."""
    re, im = normal(generator, 2, *amplitude.shape)
    return torch.complex(amplitude * re, amplitude * im)


def lattice(modes: int, ndim: int) -> Float[Tensor, "*modes d"]:
    """Mode numbers of the cube `-modes <= m_j <= modes`, vectors last."""
    axis = torch.arange(-modes, modes + 1, dtype=torch.float64)
    return torch.stack(torch.meshgrid(*[axis] * ndim, indexing="ij"), dim=-1)


def fourier_sum(coefficients: Complex[Tensor, "*modes"], grid: Grid) -> Complex[Tensor, "*space"]:
    """`sum_m c_m exp(2 pi i m . x / L)` over the cube of modes, at the grid's points."""
    modes = coefficients.shape[0] // 2
    if 2 * modes >= min(grid.points):
        raise ValueError(
            f"{modes} modes need more than {2 * modes} points on every axis, got {grid.points}; refine the grid"
        )
    m = torch.arange(-modes, modes + 1)
    spectrum = torch.zeros(grid.points, dtype=coefficients.dtype)
    spectrum[torch.meshgrid(*[m % n for n in grid.points], indexing="ij")] = coefficients
    return torch.fft.ifftn(spectrum, norm="forward")


def unit_variance(amplitude: Float[Tensor, "*modes"]) -> Float[Tensor, "*modes"]:
    """Scaled so that the real part of the Fourier sum has variance one."""
    return amplitude / amplitude.square().sum().sqrt()


def power_law(modes: int, ndim: int, decay: float) -> Float[Tensor, "*modes"]:
    """`|m|^-decay` for `0 < |m| <= modes`, zero elsewhere."""
    at_least_one(modes=modes)
    size = lattice(modes, ndim).norm(dim=-1)
    return torch.where((size > 0) & (size <= modes + 1e-9), size.clamp(min=1) ** -decay, 0.0)


def at_least_one(**counts: int) -> None:
    """Refuse counts below one, by name."""
    for name, count in counts.items():
        if not count >= 1:
            raise ValueError(f"{name} must be at least 1, got {count}")


def on_a_line(grid: Grid, what: str) -> None:
    """Refuse grids with more than one axis."""
    if grid.ndim != 1:
        raise ValueError(f"{what} lives on 1 space axis, got {grid.ndim}: {grid.points}")

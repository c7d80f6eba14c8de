"""Random initial fields. Published series are in `initial_series.py`, those of wave equations in `initial_waves.py`."""

import math
from dataclasses import dataclass

import torch
from numpy.random import Generator
from torch import Tensor

from .grid import Grid, Number
from .initial_series import RandomSines, TruncatedFourierSeries
from .initial_waves import RandomBreathers, RandomComplexField, RandomKinks, RandomSolitons, RandomWave
from .random_fields import (
    InitialCondition,
    at_least_one,
    draw,
    fourier_sum,
    lattice,
    power_law,
    sample,
    trajectory_generators,
    uniform,
    unit_variance,
)
from .shapes import Float

__all__ = [
    "BandLimitedField",
    "GaussianRandomField",
    "InitialCondition",
    "RandomBreathers",
    "RandomComplexField",
    "RandomFourierSeries",
    "RandomKinks",
    "RandomSines",
    "RandomSolitons",
    "RandomWave",
    "TruncatedFourierSeries",
    "WhiteNoise",
    "sample",
    "trajectory_generators",
]


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

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 ..."]:
        amplitude = unit_variance(power_law(self.modes, grid.ndim, self.decay))
        return self.mean + self.rms * fourier_sum(draw(amplitude, generator), grid).real[None]


@dataclass(frozen=True)
class GaussianRandomField:
    """Gaussian real field of zero mean, `N(0, sigma^2 (-Laplacian + tau^2)^-alpha)` on the unit box, cut to the modes
    `|m_j| <= modes`.

    On any box `u = sum_m sigma (|k_m|^2 + tau^2)^(-alpha/2) (a_m cos k_m x + b_m sin k_m x)` over all `m` but zero,
    with standard normal `a_m, b_m`: wavenumbers, not mode numbers, so `tau` is an inverse length. `m` and `-m` are the
    same wave, which makes it `sqrt(2) cos` and `sqrt(2) sin`, the orthonormal functions of the unit box; on a box of
    volume `V` the covariance is `V` times the operator above. One channel, any dimension.

    Attributes:
        alpha: smoothness; in `d` dimensions samples are continuous for `alpha > d/2`.
        tau: inverse correlation length, in radians per length.
        sigma: scale; the pointwise variance is `sum_m sigma^2 (|k_m|^2 + tau^2)^-alpha`.
        modes: largest mode number on each axis; at most below half of the grid's points.
    """

    alpha: Number = 2.5
    tau: Number = 7.0
    sigma: Number = 1.0
    modes: int = 12

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 ..."]:
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

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 ..."]:
        if not 1 <= self.low <= self.high:
            raise ValueError(f"low and high must satisfy 1 <= low <= high, got {self.low} and {self.high}")
        size = lattice(self.high, grid.ndim).norm(dim=-1)
        amplitude = ((size >= self.low - 1e-9) & (size <= self.high + 1e-9)).to(torch.float64)
        return self.rms * fourier_sum(draw(unit_variance(amplitude), generator), grid).real[None]


@dataclass(frozen=True)
class WhiteNoise:
    """Independent values, uniform in `[-maximum, maximum]`, at `points` points per axis, and their trigonometric
    interpolant on finer grids; one channel, any dimension.

    The spectrum is flat up to the Nyquist mode of `points` and zero above: a finer grid adds no smaller scales, shows
    the same function, and between the points that function exceeds `maximum` here and there. Other `points` give
    another field. Coarser grids are refused. Steppers keep the lower two thirds of the modes of their own grid.

    Attributes:
        points: points per axis at which values are drawn.
        maximum: bound of the values, in the unit of the field; their variance is `maximum^2 / 3`.
    """

    points: int = 64
    maximum: Number = 1.0

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 ..."]:
        at_least_one(points=self.points)
        own = Grid((self.points,) * grid.ndim, grid.lengths)
        values = self.maximum * (2 * uniform(generator, *own.points) - 1)
        return own.interpolate(values, grid.points)[None]

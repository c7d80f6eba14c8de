"""Random Fourier series from which published datasets start."""

import math
from dataclasses import dataclass

import torch
from numpy.random import Generator
from torch import Tensor

from .grid import Grid, Number
from .random_fields import at_least_one, draw, fourier_sum, on_a_line, uniform
from .shapes import Float

# Points per shortest wave of the grid on which a truncated series finds its maximum: it is missed by (pi / 32)^2 / 2.
SEARCH = 32


@dataclass(frozen=True)
class RandomSines:
    """`u = sum_i A_i sin(2 pi l_i x / L + phi_i)`, `i = 1 .. count`, with `A_i` uniform in `[-a, a]`, `l_i` uniform
    among the whole numbers `low .. high` and `phi_i` uniform in `[0, 2 pi]`; one channel, 1-D.

    Bar-Sinai et al. (2019), doi:10.1073/pnas.1814058116; Lippe et al. (2023), arXiv:2308.05732.

    Attributes:
        count: number of sines.
        amplitude: `a`, in the unit of the field; the variance is `count a^2 / 6`.
        low: smallest `l`, at least 1.
        high: largest `l`.
    """

    count: int = 10
    amplitude: Number = 0.5
    low: int = 1
    high: int = 3

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "1 ..."]:
        on_a_line(grid, type(self).__name__)
        at_least_one(count=self.count)
        if not 1 <= self.low <= self.high:
            raise ValueError(f"low and high must satisfy 1 <= low <= high, got {self.low} and {self.high}")
        size, turn = uniform(generator, 2, self.count)
        wave = torch.from_numpy(generator.integers(self.low, self.high + 1, self.count))
        # A sine is the real part of a wave a quarter of a turn behind.
        terms = torch.polar(self.amplitude * torch.ones_like(size), 2 * math.pi * (turn - 0.25)) * (2 * size - 1)
        coefficients = torch.zeros(2 * self.high + 1, dtype=torch.complex128)
        coefficients.index_add_(0, wave + self.high, terms)
        return fourier_sum(coefficients, grid).real[None]


@dataclass(frozen=True)
class TruncatedFourierSeries:
    """Real Fourier series with random coefficients of equal size on all modes `0 < max_j |m_j| <= modes`, scaled so
    that the largest `|u|` of each component is `maximum`, plus a random constant; any dimension.

    The largest `|u|` is sought on a grid of 32 points per shortest wave, whatever the grid of the call. Uniform with
    `components = 1`: Koehler et al. (2024), arXiv:2411.00180. Gaussian with two components: the Burgers flows of Long
    et al. (2018), arXiv:1710.09668.

    Attributes:
        modes: largest mode number on each axis.
        maximum: largest absolute value before the constant is added, in the unit of the field.
        offset: the constant is uniform in `[-offset, offset]`, one for each component.
        components: number of channels, independent of each other.
        gaussian: normal coefficients of cosine and sine; otherwise waves with an amplitude uniform in `[-1, 1]` and a
            phase uniform in `[0, 2 pi]`.
    """

    modes: int = 5
    maximum: Number = 1.0
    offset: Number = 0.0
    components: int = 1
    gaussian: bool = True

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "c ..."]:
        at_least_one(modes=self.modes, components=self.components)
        if not (0 <= self.maximum < math.inf and 0 <= self.offset < math.inf):
            raise ValueError(f"maximum and offset must be finite, not negative, got {self.maximum} and {self.offset}")
        return torch.stack([self._component(grid, generator) for _ in range(self.components)])

    def _component(self, grid: Grid, generator: Generator) -> Float[Tensor, "..."]:
        shape = (2 * self.modes + 1,) * grid.ndim
        if self.gaussian:
            coefficients = draw(torch.ones(shape, dtype=torch.float64), generator)
        else:
            size, turn = uniform(generator, 2, *shape)
            coefficients = torch.polar(torch.ones_like(size), 2 * math.pi * turn) * (2 * size - 1)
        # One of `m` and `-m` is enough for a real field; neither is the mean.
        coefficients.view(-1)[: math.prod(shape) // 2 + 1] = 0
        search = Grid((SEARCH * self.modes,) * grid.ndim, grid.lengths)
        largest = fourier_sum(coefficients, search).real.abs().max()
        constant = self.offset * (2 * uniform(generator) - 1)
        return self.maximum / largest * fourier_sum(coefficients, grid).real + constant

"""Random initial fields of wave equations: Fourier sums, solitons, kinks and breathers."""

import math
from dataclasses import dataclass

import torch
from numpy.random import Generator
from torch import Tensor

from .exact_kinks import breather, kink_antikink
from .exact_schrodinger import bright_soliton
from .grid import Grid, Number
from .random_fields import at_least_one, draw, fourier_sum, on_a_line, power_law, uniform, unit_variance
from .shapes import Float


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

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 ..."]:
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

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 ..."]:
        on_a_line(grid, type(self).__name__)
        at_least_one(count=self.count)
        draws = uniform(generator, self.count, 4).tolist()
        slow, fast = self.turns
        total = torch.zeros((2, *grid.points), dtype=torch.float64)
        for cell, (place, size, spin, angle) in enumerate(draws):
            soliton = bright_soliton(
                grid,
                0.0,
                amplitude=between(self.amplitude, size),
                turns=slow + min(int((fast - slow + 1) * spin), fast - slow),
                position=in_cell(grid, cell, self.count, place),
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

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 ..."]:
        amplitude = unit_variance(power_law(self.modes, grid.ndim, self.decay))
        phi, velocity = (fourier_sum(draw(amplitude, generator), grid).real for _ in range(2))
        return torch.stack((self.mean + self.rms * phi, self.velocity_rms * velocity))


@dataclass(frozen=True)
class RandomKinks:
    """A kink and an antikink of the phi^4 potential that approach each other at a random speed, at a random place of
    the box; channels (phi, phi_t), 1-D. The formula is `kink_antikink`.

    Attributes:
        speed: range of the speed of each, uniform, in `(-1, 1)`.
        separation: distance between them, in length; about half of the box keeps all tails small.
        coupling: `lambda` of the potential.
        vacuum: `v` of the potential.
    """

    speed: tuple[Number, Number] = (0.1, 0.5)
    separation: Number = 20.0
    coupling: Number = 1.0
    vacuum: Number = 1.0

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 ..."]:
        on_a_line(grid, type(self).__name__)
        size, place = uniform(generator, 2).tolist()
        return kink_antikink(
            grid,
            0.0,
            speed=between(self.speed, size),
            separation=self.separation,
            coupling=self.coupling,
            vacuum=self.vacuum,
            position=place * grid.lengths[0],
        )


@dataclass(frozen=True)
class RandomBreathers:
    """Sine-Gordon breathers that stay where they are, of random frequency and phase, one in each of `count` cells;
    channels (phi, phi_t), 1-D. The formula is `breather`, with the velocity that belongs to the phase.

    Attributes:
        count: number of breathers.
        frequency: range of `w`, uniform, in `(0, 1)`; a breather is `1 / sqrt(1 - w^2)` wide.
    """

    count: int = 1
    frequency: tuple[Number, Number] = (0.3, 0.8)

    def __call__(self, grid: Grid, generator: Generator) -> Float[Tensor, "2 ..."]:
        on_a_line(grid, type(self).__name__)
        at_least_one(count=self.count)
        total = torch.zeros((2, *grid.points), dtype=torch.float64)
        for cell, (place, size, angle) in enumerate(uniform(generator, self.count, 3).tolist()):
            frequency, position = between(self.frequency, size), in_cell(grid, cell, self.count, place)
            total += breather(grid, 2 * math.pi * angle / frequency, frequency=frequency, position=position)
        return total


def between(limits: tuple[Number, Number], share: float) -> float:
    """The point at a share of a range."""
    low, high = limits
    return low + (high - low) * share


def in_cell(grid: Grid, cell: int, count: int, share: float) -> float:
    """A place in the middle half of one of `count` equal cells of the box."""
    return (cell + 0.25 + share / 2) / count * grid.lengths[0]

"""What an equation keeps, asked of the equation: of its tendency, and of the densities that it calls conserved."""

import itertools
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Equation, Grid

from .files import DatasetError
from .instantiate import instantiate
from .metadata import DatasetMetadata

# From frames `[b, t, c, *space]` at times `[t]` to frames at the same times.
Transform: TypeAlias = Callable[[Float[Tensor, "b t c *space"], Float[Tensor, " t"]], Float[Tensor, "b t c *space"]]
SAMPLES = 6
LEAST_POINTS = 24


def equation_of(metadata: DatasetMetadata) -> tuple[Equation, Grid]:
    """The equation that a dataset solves, and a grid that holds the points of its own, on which fields of the equation
    are resolved.

    Raises:
        DatasetError: the dataset does not say what it solves.
    """
    if metadata.equation_config is None:
        raise DatasetError(
            f"dataset '{metadata.name}' does not say which equation it solves, so nothing can be checked"
        )
    equation = instantiate(metadata.equation_config)
    points = tuple(-(-LEAST_POINTS // N) * N for N in metadata.points)
    return equation, Grid(points, metadata.lengths)


def is_symmetry(equation: Equation, grid: Grid, transform: Transform, *, tolerance: float = 1e-6) -> bool:
    """Whether `transform` maps solutions to solutions: `F(v) = v_t` for the image `v(t)` of `u(t)`, `F(u) = u_t`.

    `v_t` is the central difference of the images of `u - h F(u)`, `u` and `u + h F(u)`, for random fields `u`.
    """
    u = _smooth(equation, grid)
    rate = equation.tendency(u, grid)
    h = 1e-5 * float(u.abs().max() / rate.abs().max())
    frames = torch.stack((u - h * rate, u, u + h * rate), dim=1)
    before, now, after = transform(frames, h * torch.arange(3, dtype=u.dtype)).unbind(1)
    wanted = equation.tendency(now, grid)
    return bool(((after - before) / (2 * h) - wanted).abs().max() <= tolerance * wanted.abs().max())


def conserved_channels(equation: Equation, grid: Grid) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels whose mean an equation conserves, and those whose squares, summed over them, it conserves: what of
    its `conserved` has a density that is one channel, or a sum of squares of channels, up to a factor.
    """
    u = _smooth(equation, grid)
    channels = dict(zip(equation.channels, u.unbind(1), strict=True))
    means: tuple[str, ...] = ()
    squares: tuple[str, ...] = ()
    for name, density in equation.densities(u, grid).items():
        if name not in equation.conserved:
            continue
        means += tuple(channel for channel, field in channels.items() if _proportional(density, field))
        for count in range(1, len(channels) + 1):
            for group in itertools.combinations(channels, count):
                if _proportional(density, torch.stack([channels[key].square() for key in group]).sum(0)):
                    squares = group
    return means, squares


def _smooth(equation: Equation, grid: Grid) -> Float[Tensor, "b c *space"]:
    """Random fields of order one on a few modes, with nothing that is zero or equal by chance in any channel."""
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(SAMPLES, len(equation.channels), *grid.points, generator=generator, dtype=grid.dtype)
    smooth = grid.irfft(grid.dealias(10 / min(grid.points)) * grid.rfft(u))
    return smooth / smooth.std()


def _proportional(a: Float[Tensor, "..."], b: Float[Tensor, "..."]) -> bool:
    factor = (a * b).sum() / b.square().sum()
    return bool((a - factor * b).abs().max() <= 1e-10 * a.abs().max())

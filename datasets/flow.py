"""The step map of the truth, for those who want to ask it something else than the stored frames."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Grid, SimulationError, simulate

from .blocks import subsample
from .files import DatasetError
from .open_source import open_source
from .recipe import load_recipe


def flow(folder: str | Path, *, time_stride: int = 1) -> Callable[[Tensor], Tensor]:
    """`Phi(u(t)) = u(t + time_stride interval)`: the solver that made a dataset, as a map of its stored frames.

    The map takes and gives `[b, c, *space]` in physical units on the stored grid, in the precision of what it is
    given; inside it is the recipe's equation, grid, scheme and step in float64. Differentiable in `u`. Where the data
    keeps every `space_stride`-th point of the solver's grid, the frame is interpolated back by its Fourier series, so
    what the solver carried beyond the stored grid's Nyquist wavenumber starts from zero. A batch from which the solver
    cannot go on gives NaN, for whoever trains on it to find as any other value that is not finite.

    Args:
        folder: of a dataset that `generate.py` finished.
        time_stride: stored frames in a step.

    Raises:
        DatasetError: the data holds no recipe.
        ValueError: `time_stride` is not a positive number of frames.
    """
    if time_stride < 1:
        raise ValueError(f"time_stride of a flow must be at least 1 stored frame, got {time_stride}")
    if open_source(folder).metadata.equation_config is None:
        raise DatasetError(
            f"{folder}: holds no recipe, so its flow is not known; expected a dataset that generate.py finished"
        )
    recipe = load_recipe(folder)
    equation, grid, stepper = recipe.build_equation(), recipe.build_grid(), recipe.stepper_class
    stored = Grid(recipe.stored_points, recipe.lengths)
    interval = time_stride * recipe.interval

    def step(u: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        if u.shape[1:] != (len(equation.channels), *stored.points):
            expected = ("batch", len(equation.channels), *stored.points)
            raise ValueError(f"the flow of {recipe.name} takes {expected}, got {tuple(u.shape)}")
        start = stored.interpolate(u.to(torch.float64), grid.points)
        try:
            frames = simulate(equation, grid, start, interval=interval, frames=1, stepper=stepper, dt=recipe.dt)
        except SimulationError:
            return torch.full_like(u, math.nan)
        return subsample(frames[:, 1], recipe.space_stride, grid.ndim).to(u.dtype)

    return step

"""What `simulate` and `certify` refuse before anything runs."""

import math
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from .equation import Equation
from .grid import Grid, Number
from .run import SimulationError, finite
from .shapes import Float


def check_field(equation: Equation, grid: Grid, u0: Float[Tensor, "b c *space"]) -> None:
    """Refuse fields that do not fit the equation on the grid."""
    equation.check(grid)
    check_shape("u0", u0, (len(equation.channels), *grid.points), "(channels, *points)")
    if not len(u0):
        raise ValueError(f"u0 must hold at least one sample, got the shape {tuple(u0.shape)}")
    if u0.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"u0 must be float32 or float64, got {u0.dtype}")
    if not bool(torch.isfinite(u0).all()):
        raise SimulationError("u0 is not finite", time=0.0, sample=int((~finite(u0)).nonzero()[0]))


def check_shape(name: str, u: Tensor, wanted: tuple[int, ...], words: str) -> None:
    """Refuse a batch of fields whose axes after the first are not these."""
    got = tuple(u.shape[1:])
    if wanted != got:
        raise ValueError(f"{name} must end in {words} = {wanted}, got {got}")


def check_samples(name: str, u: Tensor, u0: Tensor) -> None:
    """Refuse a batch of another length than that of `u0`."""
    if len(u) != len(u0):
        raise ValueError(f"{name} must hold the samples of u0, {len(u0)}, got {len(u)}")


def check_times(interval: Number, frames: Any, warmup: Number = 0.0, *, certify: bool = False) -> None:
    """Refuse times that are none; a certificate needs a frame."""
    if not isinstance(frames, Integral):
        raise TypeError(f"frames must be an integer, got {frames!r}")
    if not (interval > 0 and warmup >= 0 and math.isfinite(interval) and math.isfinite(warmup)) or frames < 0:
        raise ValueError(
            f"interval must be positive, frames and warmup not negative, all finite; got {interval}, {frames}, {warmup}"
        )
    if certify and frames < 1:
        raise ValueError(f"a certificate needs frames of at least 1, got {frames}")

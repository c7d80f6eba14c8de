"""How many steps an interval takes: as many as asked for, or as many as step doubling confirms."""

import math

import torch
from torch import Tensor

from .equation import Equation
from .grid import Grid, Number
from .run import SimulationError, advance
from .shapes import Float
from .stepper import Stepper

# An automatic step keeps the step-doubling error over one interval, relative to the field's root mean square, below
# this (or below ROUNDINGS roundings of the type), over at most HORIZON suggested steps.
TOLERANCE = 1e-6
ROUNDINGS = 200
HORIZON = 100
HALVINGS = 10


def steps_in(duration: Number, dt: Number, what: str = "interval") -> int:
    """The number of steps `dt` in a duration, which must be whole to rounding."""
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"dt must be positive and finite, got {dt}")
    steps = round(duration / dt)
    if abs(steps * dt - duration) > 1e-9 * max(duration, dt):
        nearest = duration / max(steps, 1)
        raise ValueError(f"dt must divide {what} = {duration}, got dt = {dt}; the nearest that does is {nearest!r}")
    return steps


@torch.no_grad()
def accurate_steps(
    equation: Equation,
    grid: Grid,
    u: Float[Tensor, "b c *space"],
    scheme: type[Stepper],
    interval: Number,
    start: int = 1,
    time: float = 0.0,
) -> int:
    """The number of steps per interval, at least `start`, at which step doubling moves no sample by the tolerance."""
    suggested = equation.suggested_step(grid)
    steps = max(start, math.ceil(interval / suggested - 1e-9))
    tolerance = max(TOLERANCE, ROUNDINGS * torch.finfo(grid.dtype).eps)
    count = min(steps, math.ceil(HORIZON * suggested * steps / interval))
    coarse = advance(scheme(equation, grid, interval / steps), u, count)
    for _ in range(HALVINGS):
        fine = advance(scheme(equation, grid, interval / (2 * steps)), u, 2 * count)
        error = _difference(coarse, fine)
        if bool((error < tolerance).all()):
            return steps
        steps, count, coarse = 2 * steps, 2 * count, fine
    worst = int(torch.nan_to_num(error, nan=math.inf).argmax())
    raise SimulationError(
        f"sample {worst} of {type(equation).__name__}: no dt down to {interval / steps:.1e} makes step doubling agree "
        f"to {tolerance:.0e} from t = {time:.6g} on with {scheme.__name__} (last: {error[worst].item():.1e}); "
        "refine the grid, smooth u0, or give dt",
        time=time,
        sample=worst,
    )


def _difference(a: Tensor, b: Tensor) -> Float[Tensor, " b"]:
    """Root mean square of `a - b` relative to that of `b`, of each sample; not a number where one is not finite."""
    axes = tuple(range(1, a.ndim))
    scale = b.square().mean(axes).sqrt().clamp(min=torch.finfo(b.dtype).tiny)
    return (a - b).square().mean(axes).sqrt() / scale

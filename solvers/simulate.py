"""From an equation, a grid and initial fields to trajectories."""

import math

import torch
from torch import Tensor

from .equation import Equation
from .grid import Grid, Number
from .run import SimulationError, advance, finite, run
from .shapes import Float
from .stepper import Stepper

# An automatic step keeps the step-doubling error over one interval, relative to the field's root mean square, below
# this (or below ROUNDINGS roundings of the type). It is measured on the first interval and on up to CHECKS later ones,
# over at most HORIZON suggested steps.
TOLERANCE = 1e-6
ROUNDINGS = 200
HORIZON = 100
HALVINGS = 10
CHECKS = 8


def simulate(
    equation: Equation,
    grid: Grid,
    u0: Float[Tensor, "b c *space"],
    *,
    interval: Number,
    frames: int,
    stepper: type[Stepper] | None = None,
    dt: Number | None = None,
    warmup: Number = 0.0,
) -> Float[Tensor, "b t c *space"]:
    """Trajectories `u(t_0), u(t_0 + interval), ..., u(t_0 + frames interval)`, with `t_0 = warmup` after `u0`.

    Runs on the device and in the type of `u0`, and is differentiable in `u0` and in coefficients that are tensors.
    Frame 0 is `u0` itself without a warm-up. Fields outside the modes that the equation keeps (see its `transform`) are
    projected onto them in the first step.

    Without `dt` the step starts from `equation.suggested_step(grid)` and is halved until two half steps agree with one
    to `TOLERANCE` over an interval; the choice depends on the batch, so name `dt` where trajectories must not depend on
    each other.

    Args:
        interval: time between frames.
        frames: number of intervals.
        stepper: scheme, by default the equation's own.
        dt: step; must divide `interval` and `warmup`.
        warmup: time to integrate before frame 0.

    Raises:
        SimulationError: a state stopped being finite; the error names time and sample.
    """
    _check_field(equation, grid, u0)
    if not (interval > 0 and math.isfinite(interval)) or frames < 0 or not warmup >= 0:
        raise ValueError(
            f"interval must be positive, frames and warmup not negative; got {interval}, {frames}, {warmup}"
        )
    grid, scheme = grid.to(u0), stepper or equation.default_stepper
    if dt is not None:
        steps, before = steps_in(interval, dt, "interval"), steps_in(warmup, dt, "warmup")
        u = run(scheme(equation, grid, warmup / before), u0, before)[:, -1] if before else u0
        return run(scheme(equation, grid, interval / steps), u, steps, frames, warmup)
    return _run_accurate(equation, grid, u0, scheme, interval, frames, warmup)


def _run_accurate(
    equation: Equation,
    grid: Grid,
    u: Tensor,
    scheme: type[Stepper],
    interval: Number,
    frames: int,
    warmup: Number,
) -> Tensor:
    """The run of `simulate` with a step that step doubling confirms, refined until it does."""
    steps = accurate_steps(equation, grid, u, scheme, interval)
    if warmup:
        before = math.ceil(warmup * steps / interval - 1e-9)
        u = run(scheme(equation, grid, warmup / before), u, before)[:, -1]
        steps = accurate_steps(equation, grid, u, scheme, interval, steps, warmup)
    finest = steps * 2**HALVINGS
    while True:
        tried = steps
        try:
            trajectory = run(scheme(equation, grid, interval / steps), u, steps, frames, warmup)
        except SimulationError:
            if steps >= finest:
                raise
            steps = 2 * steps
            continue
        for frame in sorted({(frames - 1) * j // CHECKS for j in range(CHECKS + 1)} - {0, -1}):
            time = warmup + frame * interval
            steps = accurate_steps(equation, grid, trajectory[:, frame], scheme, interval, steps, time)
        if steps == tried:
            return trajectory


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


def _check_field(equation: Equation, grid: Grid, u0: Tensor) -> None:
    """Refuse fields that do not fit the equation on the grid."""
    equation.check(grid)
    wanted, got = (len(equation.channels), *grid.points), tuple(u0.shape[1:])
    if wanted != got:
        raise ValueError(f"u0 must end in (channels, *points) = {wanted}, got {got}")
    if u0.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"u0 must be float32 or float64, got {u0.dtype}")
    if not bool(torch.isfinite(u0).all()):
        raise SimulationError("u0 is not finite", time=0.0, sample=int((~finite(u0)).nonzero()[0]))

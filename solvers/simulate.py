"""From an equation, a grid and initial fields to trajectories."""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .equation import Equation
from .grid import Grid
from .stepper import Stepper

# An automatic step keeps the step-doubling error over one interval, relative to the field's root mean square, below
# this (or below ROUNDINGS roundings of the type). It is measured on the first, the middle and the last interval, over
# at most HORIZON suggested steps.
TOLERANCE = 1e-6
ROUNDINGS = 200
HORIZON = 100
HALVINGS = 14
# Non-finite states are looked for this often between frames.
CHECK_EVERY = 64


class SimulationError(RuntimeError):
    """A state stopped being finite, or no step was accurate.

    Attributes:
        time: the first time at which it was seen.
        sample: index in the batch of the first sample concerned.
    """

    def __init__(self, message: str, *, time: float, sample: int) -> None:
        super().__init__(message)
        self.time, self.sample = time, sample


def simulate(
    equation: Equation,
    grid: Grid,
    u0: Float[Tensor, "b c *space"],
    *,
    interval: float,
    frames: int,
    stepper: type[Stepper] | None = None,
    dt: float | None = None,
    warmup: float = 0.0,
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
        u = _run(scheme(equation, grid, warmup / before), u0, before, 1, 0.0)[:, -1] if before else u0
        return _run(scheme(equation, grid, interval / steps), u, steps, frames, warmup)
    u, steps = u0, accurate_steps(equation, grid, u0, scheme, interval)
    if warmup:
        before = math.ceil(warmup * steps / interval - 1e-9)
        u = _run(scheme(equation, grid, warmup / before), u0, before, 1, 0.0)[:, -1]
        steps = accurate_steps(equation, grid, u, scheme, interval)
    while True:
        trajectory = _run(scheme(equation, grid, interval / steps), u, steps, frames, warmup)
        needed = max(
            (
                accurate_steps(equation, grid, trajectory[:, t], scheme, interval, steps)
                for t in {frames // 2, max(frames - 1, 0)}
            ),
            default=steps,
        )
        if needed == steps:
            return trajectory
        steps = needed


def steps_in(duration: float, dt: float, what: str = "interval") -> int:
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
    interval: float,
    start: int | None = None,
) -> int:
    """The number of steps per interval, at least `start`, at which step doubling moves no sample by more than the
    tolerance.
    """
    suggested = equation.suggested_step(grid)
    first = math.ceil(interval / suggested - 1e-9)
    steps, share = start or first, min(1.0, HORIZON / first)
    tolerance = max(TOLERANCE, ROUNDINGS * torch.finfo(grid.dtype).eps)
    coarse, error = None, math.inf
    for _ in range(HALVINGS):
        count = max(1, math.ceil(steps * share))
        if coarse is None:
            coarse = _advance(scheme(equation, grid, interval / steps), u, count)
        fine = _advance(scheme(equation, grid, interval / (2 * steps)), u, 2 * count)
        error = _difference(coarse, fine)
        if error < tolerance:
            return steps
        steps, coarse = 2 * steps, fine if 2 * count == max(1, math.ceil(2 * steps * share)) else None
    raise ValueError(
        f"no dt down to {interval / steps:.1e} makes step doubling agree to {tolerance:.0e} over {interval * share:.3g} "
        f"time units (last: {error:.1e}); refine the grid, smooth u0 or give dt"
    )


def _advance(scheme: Stepper, u: Tensor, steps: int) -> Tensor:
    """The field after some steps, whatever it is."""
    state = scheme.encode(u)
    for _ in range(steps):
        state = scheme.step(state)
    return scheme.decode(state)


def _difference(a: Tensor, b: Tensor) -> float:
    """Largest relative difference of any sample; infinite unless both are finite."""
    axes = tuple(range(1, a.ndim))
    ratio = (a - b).square().mean(axes).sqrt() / b.square().mean(axes).sqrt().clamp(min=torch.finfo(b.dtype).tiny)
    worst = ratio.max().item()
    return worst if math.isfinite(worst) else math.inf


def _run(scheme: Stepper, u: Tensor, steps: int, frames: int, start: float) -> Tensor:
    """Frames `[b, frames + 1, c, *space]`, `steps` steps apart; raises as soon as a state is seen not to be finite."""
    trajectory, state, done = [u], scheme.encode(u), 0
    for frame in range(frames):
        inner = 0
        while inner < steps:
            count, known = min(CHECK_EVERY, steps - inner), state
            for _ in range(count):
                state = scheme.step(state)
            if not bool(_finite(state).all()):
                raise _blow_up(scheme, known, count, start, done, frame)
            inner, done = inner + count, done + count
        trajectory.append(scheme.decode(state))
    return torch.stack(trajectory, dim=1)


def _finite(state: Any) -> Bool[Tensor, " b"]:
    """Which samples of a state are finite."""
    parts = state if isinstance(state, tuple) else (state,)
    finite = [torch.isfinite(part).flatten(1).all(dim=1) for part in parts]
    return torch.stack(finite).all(dim=0)


@torch.no_grad()
def _blow_up(scheme: Stepper, state: Any, count: int, start: float, done: int, frame: int) -> SimulationError:
    """Steps again from the last finite state to name the step and the sample."""
    for _ in range(count):
        state, done = scheme.step(state), done + 1
        if not bool(_finite(state).all()):
            break
    time, index = start + done * scheme.dt, int((~_finite(state)).nonzero()[0])
    return SimulationError(
        f"sample {index} of {type(scheme.equation).__name__} stopped being finite at t = {time:.6g}, between frames "
        f"{frame} and {frame + 1}, with {type(scheme).__name__} and dt = {scheme.dt:.6g}; "
        "halve dt, refine the grid, or check that u0 is resolved",
        time=time,
        sample=index,
    )


def _check_field(equation: Equation, grid: Grid, u0: Tensor) -> None:
    """Refuse fields that do not fit the equation on the grid."""
    equation.check(grid)
    wanted, got = (len(equation.channels), *grid.points), tuple(u0.shape[1:])
    if wanted != got:
        raise ValueError(f"u0 must end in (channels, *points) = {wanted}, got {got}")
    if u0.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"u0 must be float32 or float64, got {u0.dtype}")
    if not bool(torch.isfinite(u0).all()):
        raise SimulationError("u0 is not finite", time=0.0, sample=int((~_finite(u0)).nonzero()[0]))

"""From an equation, a grid and initial fields to trajectories."""

import math
from typing import Literal, overload

from torch import Tensor

from . import certificate
from .certificate import Certificate
from .checks import check_field, check_times
from .equation import Equation
from .grid import Grid, Number
from .resolution import refuse_unresolved
from .run import SimulationError, run
from .shapes import Float
from .stepper import Stepper
from .steps import HALVINGS, accurate_steps, steps_in

# An automatic step is confirmed on the first interval and on up to this many later ones.
CHECKS = 8
# Samples of a batch, the first ones, that a certificate follows.
CERTIFIED = 4


@overload
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
    checkpoint: bool = False,
    certify: Literal[False] = False,
) -> Float[Tensor, "b t c *space"]: ...


@overload
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
    checkpoint: bool = False,
    certify: Literal[True],
) -> tuple[Float[Tensor, "b t c *space"], Certificate]: ...


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
    checkpoint: bool = False,
    certify: bool = False,
) -> Float[Tensor, "b t c *space"] | tuple[Float[Tensor, "b t c *space"], Certificate]:
    """Trajectories `u(t_0), u(t_0 + interval), ..., u(t_0 + frames interval)`, with `t_0 = warmup` after `u0`.

    Runs on the device and in the type of `u0`, and is differentiable in `u0` and in coefficients that are tensors.
    Frame 0 is `u0` itself without a warm-up. Fields outside the modes that the equation keeps (see its `transform`) are
    projected onto them in the first step.

    Without `dt` the step starts from `equation.suggested_step(grid)` and is halved until two half steps agree with one
    to `TOLERANCE` over an interval; the choice depends on the batch, so name `dt` where trajectories must not depend on
    each other. What the grid then turns out not to resolve (see `resolution.py`) is refused, and warned of in doubt.

    With `certify` the errors of the run are measured too, on the first `CERTIFIED` samples and over its own frames. The
    certificate refuses nothing; `complaints()` names what misses a tolerance, and the knob to turn. It costs `2 +
    2^(d+1)` more runs of those samples on `d` axes of space, and for equations with a budget two more.

    Args:
        interval: time between frames.
        frames: number of intervals.
        stepper: scheme, by default the equation's own.
        dt: step; must divide `interval` and `warmup`.
        warmup: time to integrate before frame 0.
        checkpoint: for gradients through many steps: store about the square root of their number of states, and make
            the steps again in the backward pass.
        certify: return a pair, of the trajectories and their `Certificate`.

    Raises:
        SimulationError: a state stopped being finite, or without `dt` no step was accurate or the grid too coarse; the
            error names time and sample.
    """
    check_field(equation, grid, u0)
    check_times(interval, frames, warmup, certify=certify)
    grid, scheme = grid.to(u0), stepper or equation.default_stepper
    if dt is not None:
        steps, before = steps_in(interval, dt, "interval"), steps_in(warmup, dt, "warmup")
        u = run(scheme(equation, grid, warmup / before), u0, before, checkpoint=checkpoint)[:, -1] if before else u0
        trajectory = run(scheme(equation, grid, interval / steps), u, steps, frames, warmup, checkpoint=checkpoint)
    else:
        trajectory, steps = _run_accurate(equation, grid, u0, scheme, interval, frames, warmup, checkpoint)
        refuse_unresolved(scheme(equation, grid, interval / steps), trajectory, interval, warmup)
    if not certify:
        return trajectory
    some = trajectory[:CERTIFIED].detach()
    return trajectory, certificate.certify(
        equation,
        grid,
        some[:, 0],
        interval=interval,
        frames=frames,
        dt=interval / steps,
        stepper=scheme,
        trajectory=some,
    )


def _run_accurate(
    equation: Equation,
    grid: Grid,
    u: Tensor,
    scheme: type[Stepper],
    interval: Number,
    frames: int,
    warmup: Number,
    checkpoint: bool,
) -> tuple[Tensor, int]:
    """The run of `simulate` with a step that step doubling confirms, refined until it does, and its steps a frame."""
    steps = accurate_steps(equation, grid, u, scheme, interval)
    if warmup:
        before = math.ceil(warmup * steps / interval - 1e-9)
        u = run(scheme(equation, grid, warmup / before), u, before, checkpoint=checkpoint)[:, -1]
        steps = accurate_steps(equation, grid, u, scheme, interval, steps, warmup)
    finest = steps * 2**HALVINGS
    while True:
        tried = steps
        try:
            trajectory = run(scheme(equation, grid, interval / steps), u, steps, frames, warmup, checkpoint=checkpoint)
        except SimulationError:
            if steps >= finest:
                raise
            steps = 2 * steps
            continue
        for frame in sorted({(frames - 1) * j // CHECKS for j in range(CHECKS + 1)} - {0, -1}):
            time = warmup + frame * interval
            steps = accurate_steps(equation, grid, trajectory[:, frame], scheme, interval, steps, time)
        if steps == tried:
            return trajectory, steps

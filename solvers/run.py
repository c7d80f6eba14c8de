"""Many steps of one scheme: frames, and what happens when a state stops being finite."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .shapes import Bool
from .stepper import Stepper

# On a CPU, samples on planes of at least this many points run one by one: they stay in the cache.
LARGE_PLANE = 4096
# Non-finite states are looked for this often between frames.
CHECK_EVERY = 64


class SimulationError(RuntimeError):
    """A state stopped being finite, or no step was accurate.

    Attributes:
        time: when, counted from `u0` (a warm-up included).
        sample: index in the batch of the first sample concerned.
    """

    def __init__(self, message: str, *, time: float, sample: int) -> None:
        super().__init__(message)
        self.time, self.sample = time, sample

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(SimulationError, time=self.time, sample=self.sample), self.args


def run(scheme: Stepper, u: Tensor, steps: int, frames: int | None = None, start: float = 0.0) -> Tensor:
    """`_run_block` over the whole batch, or sample by sample where that is faster."""
    alone = u.device.type == "cpu" and scheme.grid.ndim > 1 and math.prod(scheme.grid.points) >= LARGE_PLANE
    blocks = u.split(1) if alone else (u,)
    runs = [_run_block(scheme, block, steps, frames, start, first) for first, block in enumerate(blocks)]
    return runs[0] if len(runs) == 1 else torch.cat(runs)


def _run_block(scheme: Stepper, u: Tensor, steps: int, frames: int | None, start: float, first: int) -> Tensor:
    """Frames `[b, frames + 1, c, *space]` (None: one, of warm-up); raises once a state is not finite."""
    trajectory, state, done = [u], scheme.encode(u), 0
    for frame in range(1 if frames is None else frames):
        inner = 0
        while inner < steps:
            count, known = min(CHECK_EVERY, steps - inner), state
            for _ in range(count):
                state = scheme.step(state)
            sound = finite(state)
            if not bool(sound.all()):
                where = "in the warm-up" if frames is None else f"between frames {frame} and {frame + 1}"
                raise _blow_up(scheme, known, sound, count, start + done * scheme.dt, where, first)
            inner, done = inner + count, done + count
        trajectory.append(scheme.decode(state))
    return torch.stack(trajectory, dim=1)


def finite(state: Any) -> Bool[Tensor, " b"]:
    """Which samples of a state are finite."""
    parts = state if isinstance(state, tuple) else (state,)
    return torch.stack([torch.isfinite(part).flatten(1).all(dim=1) for part in parts]).all(dim=0)


@torch.no_grad()
def _blow_up(
    scheme: Stepper, state: Any, sound: Tensor, count: int, time: float, where: str, first: int
) -> SimulationError:
    """Steps again from the last finite state to name the step and the sample; where it does not happen again, which a
    device with sums in no fixed order allows, the end of the `count` steps and the sample seen there.
    """
    for _ in range(count):
        state, time = scheme.step(state), time + scheme.dt
        if not bool(finite(state).all()):
            sound = finite(state)
            break
    index = first + int((~sound).nonzero()[0])
    return SimulationError(
        f"sample {index} of {type(scheme.equation).__name__} stopped being finite at t = {time:.6g}, {where}, "
        f"with {type(scheme).__name__} and dt = {scheme.dt:.6g}; halve dt, refine the grid, or check that u0 is smooth",
        time=time,
        sample=index,
    )


def advance(scheme: Stepper, u: Tensor, steps: int) -> Tensor:
    """The field after some steps, finite or not."""
    state = scheme.encode(u)
    for _ in range(steps):
        state = scheme.step(state)
    return scheme.decode(state)

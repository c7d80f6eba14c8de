"""Many steps of one scheme: frames, blocks, recomputed segments, and what happens when a state is no longer finite."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recomputed

from .allocation import keep_freed_memory
from .cuda_graph import parts, recorded
from .shapes import Bool
from .stepper import Stepper

# On a CPU a batch runs in blocks of at most this many bytes of field: what a step touches stays in the cache. Measured
# on cores with 1 MiB of second-level cache.
BLOCK = 2**19
# Where samples do not begin at whole vectors, their bits depend on what they lie next to: planes with an axis that is
# no multiple of one, and lines of several channels (the exponentials of a splitting), run sample by sample. Real
# transforms along lines of one channel kept their bits at every length tried.
VECTOR = 16
# Non-finite states are looked for this often.
CHECK_EVERY = 64
# Fewer steps than this do not pay for recording one.
RECORD_FROM = 16

March = Callable[[Any, int], Any]


class SimulationError(RuntimeError):
    """A state stopped being finite, or no step was accurate or small enough.

    Attributes:
        time: when, counted from `u0` (a warm-up included).
        sample: index in the batch of the first sample concerned.
    """

    def __init__(self, message: str, *, time: float, sample: int) -> None:
        super().__init__(message)
        self.time, self.sample = time, sample

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(SimulationError, time=self.time, sample=self.sample), self.args


def run(
    scheme: Stepper,
    u: Tensor,
    steps: int,
    frames: int | None = None,
    start: float = 0.0,
    *,
    checkpoint: bool = False,
) -> Tensor:
    """Frames `[b, frames + 1, c, *space]`, `steps` apart, of fields `u` at time `start`; None: one frame, of warm-up.

    With `checkpoint` only about as many states as the square root of the number of steps are stored for the backward
    pass, which makes the steps between them again.

    Raises:
        SimulationError: a state stopped being finite, or an adaptive scheme found no step small enough.
    """
    runs, first = [], 0
    for block in blocks(u):
        runs.append(_run_block(scheme, block, steps, frames, start, first, checkpoint))
        first += len(block)
    return runs[0] if len(runs) == 1 else torch.cat(runs)


def advance(scheme: Stepper, u: Tensor, steps: int) -> Tensor:
    """The field after some steps, finite or not."""
    ends = []
    for block in blocks(u):
        state = scheme.encode(block)
        ends.append(scheme.decode(_march(scheme, state, steps)(state, steps)))
    return ends[0] if len(ends) == 1 else torch.cat(ends)


def blocks(u: Tensor) -> tuple[Tensor, ...]:
    """The batch in pieces that run one after the other."""
    if u.device.type != "cpu":
        return (u,)
    keep_freed_memory()
    channels, points = u.shape[1], u.shape[2:]
    if (len(points) > 1 or channels > 1) and any(n % VECTOR for n in points):
        return u.split(1)
    return u.split(max(1, BLOCK // (u[0].numel() * u.element_size())))


def _march(scheme: Stepper, state: Any, total: int, segment: int = 0) -> March:
    """How to make steps from states like this one: replayed, one by one, or in recomputed segments of some length."""

    whole = isinstance(state, tuple)

    def march(state: Any, count: int) -> Any:
        for number in range(count):
            try:
                state = scheme.step(state)
            except SimulationError as error:
                error.time += number * scheme.dt
                raise
        return state

    def again(*state: Tensor, count: int) -> Any:
        return march(state if whole else state[0], count)

    def segments(state: Any, count: int) -> Any:
        for done in range(0, count, segment):
            length = min(segment, count - done)
            try:
                state = recomputed(again, *parts(state), count=length, use_reentrant=False, preserve_rng_state=False)
            except SimulationError as error:
                error.time += done * scheme.dt
                raise
        return state

    if segment:
        return segments
    return (recorded(scheme.step, state) if total >= RECORD_FROM else None) or march


def _run_block(
    scheme: Stepper, u: Tensor, steps: int, frames: int | None, start: float, first: int, checkpoint: bool
) -> Tensor:
    """`run` for samples that run together, of which the first has this index in the batch."""
    trajectory, state, total = [u], scheme.encode(u), steps * (1 if frames is None else frames)
    segment = math.ceil(math.sqrt(total)) if checkpoint else 0
    every = segment * math.ceil(CHECK_EVERY / segment) if segment else CHECK_EVERY
    march, known, done, since = _march(scheme, state, total, segment), state, 0, 0
    while done < total:
        count = min(every - since, steps - done % steps)
        try:
            state, done, since = march(state, count), done + count, since + count
        except SimulationError as error:
            time, sample = start + done * scheme.dt + error.time, first + error.sample
            raise SimulationError(f"sample {sample} at t = {time:.6g}: {error}", time=time, sample=sample) from error
        if since == every or done == total:
            sound = finite(state)
            if not bool(sound.all()):
                number, sample = _blow_up(scheme, known, sound, since)
                raise _error(scheme, done - since + number, first + sample, steps, frames, start)
            known, since = state, 0
        if done % steps == 0:
            trajectory.append(scheme.decode(state))
    return torch.stack(trajectory, dim=1)


def finite(state: Any) -> Bool[Tensor, " b"]:
    """Which samples of a state are finite."""
    return torch.stack([torch.isfinite(part).flatten(1).all(dim=1) for part in parts(state)]).all(dim=0)


@torch.no_grad()
def _blow_up(scheme: Stepper, state: Any, sound: Tensor, count: int) -> tuple[int, int]:
    """Steps again from the last finite state for the number of the step and the sample; where it does not happen
    again, which a device with sums in no fixed order allows, the last step and the sample seen there.
    """
    number = 0
    while number < count:
        state, number = scheme.step(state), number + 1
        if not bool(finite(state).all()):
            sound = finite(state)
            break
    return number, int((~sound).nonzero()[0])


def _error(scheme: Stepper, number: int, sample: int, steps: int, frames: int | None, start: float) -> SimulationError:
    """What to say of a step, counted from one, after which a sample is not finite."""
    frame, time = (number - 1) // steps, start + number * scheme.dt
    where = "in the warm-up" if frames is None else f"between frames {frame} and {frame + 1}"
    return SimulationError(
        f"sample {sample} of {type(scheme.equation).__name__} stopped being finite at t = {time:.6g}, {where}, "
        f"with {type(scheme).__name__} and dt = {scheme.dt:.6g}; halve dt, refine the grid, or check that u0 is smooth",
        time=time,
        sample=sample,
    )

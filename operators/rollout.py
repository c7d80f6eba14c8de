"""Long free runs of an emulator, and what to tell the user about them."""

import warnings
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

if TYPE_CHECKING:
    from .emulator import Emulator

# A state may leave the training range by this fraction of its width before a rollout warns.
MARGIN = 0.2
# A run in which no sample is finite any more is cut short; looking every step would make a GPU wait.
LOOK_EVERY = 32


def rollout(
    emulator: "Emulator", u_history: Float[Tensor, "b h c *space"], steps: int
) -> Float[Tensor, "b t c *space"]:
    """See `Emulator.rollout`."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    finite = torch.isfinite(u_history).flatten(1).all(1)
    if not finite.all():
        raise ValueError(f"the history of sample {int((~finite).int().argmax())} is not finite")
    training = emulator.training
    emulator.eval()
    try:
        with torch.no_grad():
            history = u_history.to(emulator.normalizer.mean)
            u = _run(emulator, history, steps)
            _warn_out_of_range(emulator, history, u)
            _warn_not_finite(u)
    finally:
        emulator.train(training)
    return u


def _run(emulator: "Emulator", u_history: Tensor, steps: int) -> Tensor:
    """The frames; a sample is NaN from the first step in which it has a value that is not finite."""
    z = emulator.encode(u_history)
    u = torch.full_like(u_history[:, :1], torch.nan).repeat_interleave(steps, dim=1)
    alive = torch.ones(len(z), dtype=torch.bool, device=z.device).reshape(-1, *[1] * (z.ndim - 2))
    for step in range(steps):
        frame = emulator.advance(z)
        decoded = emulator.decode(frame)
        alive = alive & torch.isfinite(decoded).flatten(1).all(1).reshape(alive.shape)
        u[:, step] = torch.where(alive, decoded, torch.nan)
        # A lost sample goes on as the mean state, so that it cannot slow down or disturb the others.
        z = torch.where(alive[:, None], torch.cat([z[:, 1:], frame[:, None]], dim=1), 0.0)
        if step % LOOK_EVERY == LOOK_EVERY - 1 and not alive.any():
            break
    return u


def _first(hits: Bool[Tensor, "b t *rest"]) -> tuple[int, ...] | None:
    """Indices (time first, then sample, ..) of the earliest hit."""
    indices = hits.movedim(1, 0).nonzero()
    return tuple(indices[0].tolist()) if len(indices) else None


def _warn_out_of_range(emulator: "Emulator", u_history: Tensor, u: Tensor) -> None:
    normalizer, metadata, history = emulator.normalizer, emulator.metadata, u_history.shape[1]
    width = normalizer.high - normalizer.low
    frames = torch.cat([u_history, u], dim=1).flatten(3)
    low, high = frames.amin(-1), frames.amax(-1)
    hit = _first((low < normalizer.low - MARGIN * width) | (high > normalizer.high + MARGIN * width))
    if hit is None:
        return
    frame, sample, channel = hit
    step = frame - history + 1
    where = f"step {step} (time {step * metadata.interval:g})" if step > 0 else "the given history"
    warnings.warn(
        f"rollout leaves the training range at {where}: sample {sample}, channel {metadata.channels[channel]!r} spans "
        f"[{low[sample, frame, channel]:.4g}, {high[sample, frame, channel]:.4g}], the training data "
        f"[{normalizer.low[channel]:.4g}, {normalizer.high[channel]:.4g}], beyond it by "
        f"more than {MARGIN:.0%} of its width",
        stacklevel=4,
    )


def _warn_not_finite(u: Tensor) -> None:
    lost = torch.isnan(u).flatten(2).any(2)
    hit = _first(lost)
    if hit is not None:
        step, sample = hit
        warnings.warn(
            f"rollout stops being finite at step {step + 1} in sample {sample}; "
            f"{int(lost[:, -1].sum())} of {len(u)} samples are NaN at the end",
            stacklevel=4,
        )

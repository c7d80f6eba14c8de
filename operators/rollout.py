"""Long free runs of an emulator, and what to tell the user about them."""

import warnings
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

if TYPE_CHECKING:
    from .emulator import Emulator

# A state may leave the training range by this fraction of the range's width before a rollout warns.
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
    modes = [(module, module.training) for module in emulator.modules()]
    emulator.eval()
    try:
        with torch.no_grad():
            u, low, high = _run(emulator, u_history, steps)
            _warn_out_of_range(emulator, low, high)
            _warn_not_finite(torch.isnan(low[:, -steps:, 0]))
    finally:
        for module, training in modes:
            module.training = training
    return u


def _run(emulator: "Emulator", u_history: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The frames, and the smallest and largest value of each channel in the history's frames and in these.

    A sample is NaN from the first step in which it has a value that is not finite.
    """
    z = emulator.encode(u_history)
    u = torch.full_like(u_history[:, :1], torch.nan).repeat_interleave(steps, dim=1)
    alive = torch.ones(len(z), *[1] * (z.ndim - 2), dtype=torch.bool, device=z.device)
    extremes = torch.full(
        (2, len(z), u_history.shape[1] + steps, z.shape[2]), torch.nan, dtype=z.dtype, device=z.device
    )
    values = u_history.flatten(3)
    extremes[:, :, :-steps] = torch.stack([values.amin(-1), values.amax(-1)])
    for step in range(steps):
        frame = emulator.advance(z)
        decoded = emulator.decode(frame)
        alive = alive & torch.isfinite(decoded).flatten(1).all(1).reshape(alive.shape)
        u[:, step] = torch.where(alive, decoded, torch.nan)
        values = u[:, step].flatten(2)
        extremes[:, :, step - steps] = torch.stack([values.amin(-1), values.amax(-1)])
        # A lost sample goes on as the mean state, so that it cannot slow down or disturb the others.
        z = torch.where(alive[:, None], torch.cat([z[:, 1:], frame[:, None]], dim=1), 0.0)
        if step % LOOK_EVERY == LOOK_EVERY - 1 and not alive.any():
            break
    return u, extremes[0], extremes[1]


def _first(hits: Bool[Tensor, "b t *rest"]) -> tuple[int, ...] | None:
    """Indices (time first, then sample, ..) of the earliest hit."""
    indices = hits.movedim(1, 0).nonzero()
    return tuple(indices[0].tolist()) if len(indices) else None


def _warn_out_of_range(emulator: "Emulator", low: Float[Tensor, "b t c"], high: Float[Tensor, "b t c"]) -> None:
    normalizer, metadata = emulator.normalizer, emulator.metadata
    margin = MARGIN * (normalizer.high - normalizer.low)
    hit = _first((low < normalizer.low - margin) | (high > normalizer.high + margin))
    if hit is None:
        return
    frame, sample, channel = hit
    step = frame - emulator.history + 1
    where = f"step {step} (time {step * metadata.interval:g})" if step > 0 else "the given history"
    warnings.warn(
        f"rollout leaves the training range at {where}: sample {sample}, channel {metadata.channels[channel]!r} spans "
        f"[{low[sample, frame, channel]:.4g}, {high[sample, frame, channel]:.4g}], the training data "
        f"[{normalizer.low[channel]:.4g}, {normalizer.high[channel]:.4g}]; that is more than {MARGIN:.0%} of its width "
        "beyond it",
        stacklevel=4,
    )


def _warn_not_finite(lost: Bool[Tensor, "b t"]) -> None:
    hit = _first(lost)
    if hit is not None:
        step, sample = hit
        warnings.warn(
            f"rollout stops being finite at step {step + 1} in sample {sample}; "
            f"{int(lost[:, -1].sum())} of {len(lost)} samples are NaN at the end",
            stacklevel=4,
        )

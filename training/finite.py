"""Noticing a loss that is not a number, without making the device wait at every step."""

import torch
from torch import Tensor, nn


class NonFiniteLossError(RuntimeError):
    """The loss or the weights stopped being finite."""


class FiniteWatch:
    """Remembers, on the device, the first step whose loss was not finite; `first_bad` reads it."""

    def __init__(self) -> None:
        self._first: Tensor | None = None

    def see(self, loss: Tensor, step: int) -> None:
        """Take note of a step's loss. Nothing is read back."""
        if self._first is None:
            self._first = torch.full((), torch.inf, device=loss.device)
        now = torch.where(torch.isfinite(loss.detach()), torch.inf, float(step))
        self._first = torch.minimum(self._first, now)

    @property
    def first_bad(self) -> Tensor:
        """The first bad step, infinity if there is none."""
        return torch.tensor(torch.inf) if self._first is None else self._first


def first_non_finite(module: nn.Module) -> str | None:
    """The name of the first parameter that is not finite."""
    for name, value in module.named_parameters():
        if not torch.isfinite(value.detach()).all():
            return name
    return None


def message(what: str, step: int) -> str:
    """What happened, and what to do."""
    return (
        f"{what} at step {step}. The last checkpoint written before it is good: resume with "
        "ckpt_path=<run folder>/checkpoints/last.ckpt and a lower optimizer.lr, a smaller trainer.gradient_clip_val, "
        "or trainer.precision=32-true if this run was in bfloat16"
    )

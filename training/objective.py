"""What an objective and a loss are to the training step."""

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws


class Loss(Protocol):
    """`l(prediction, target)`, one number for each sample, zero where they agree."""

    def __call__(
        self, prediction: Float[Tensor, "b c *space"], target: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, " b"]: ...


class Objective(Protocol):
    """What is asked of the emulator on a window of normalised frames, `history` of them followed by `horizon`.

    The mean of what it returns, over samples and processes, is minimised.
    """

    @property
    def horizon(self) -> int:
        """Frames after the history that a training window must hold."""
        ...

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]: ...


def history_of(emulator: Emulator, z: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b h c *space"]:
    """The frames that the emulator sees first, in memory of their own: a compiled network is compiled anew for each
    layout.
    """
    return z[:, : emulator.history].contiguous()


def shifted(
    history: Float[Tensor, "b h c *space"], frame: Float[Tensor, "b c *space"]
) -> Float[Tensor, "b h c *space"]:
    """The history one step later: its oldest frame dropped, `frame` appended."""
    return torch.cat([history[:, 1:], frame[:, None]], dim=1)


@torch.no_grad()
def own_step(emulator: Emulator, history: Float[Tensor, "b h c *space"]) -> Float[Tensor, "b h c *space"]:
    """The history after one step of the emulator, without gradient."""
    kind = history.device.type
    # Weights that autocast casts here, without gradient, must not be reused by a call that has one.
    with torch.autocast(kind, enabled=torch.is_autocast_enabled(kind), cache_enabled=False):
        return shifted(history, emulator.advance(history)).to(history.dtype)

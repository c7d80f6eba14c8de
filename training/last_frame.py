"""The step of an emulator as a map of its last frame, whose Jacobian is square."""

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .jacobian import Map
from .objective import history_of


def step_from_last_frame(
    emulator: Emulator, z: Float[Tensor, "b t c *space"]
) -> tuple[Map, Float[Tensor, "b c *space"]]:
    """`x -> advance(z_{n-h+1}, .., z_{n-1}, x)` and `z_n`, of a window that begins with the history; the older frames
    stay what they are.
    """
    history = history_of(emulator, z).detach()
    older = history[:, :-1]

    def step(x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        return emulator.advance(torch.cat([older, x[:, None]], dim=1))

    return step, history[:, -1].contiguous()

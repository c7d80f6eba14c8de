"""What a regulariser is to the training step."""

from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws


class Regularizer(Protocol):
    """A penalty that is added to the objective, one number for each sample, its weight included.

    It may be a module: its parameters are then trained and saved with the emulator's, and left behind with the
    training. A module says in `config` how it was made.
    """

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws, progress: float
    ) -> Float[Tensor, " b"]:
        """Of a window of normalised frames, when the share `progress` of all training steps is done."""
        ...


def ramp(progress: float, *, start: float = 0.05, length: float = 0.1) -> float:
    """The share of its final weight that a penalty has: 0 until `start`, then linear over `length`, then 1."""
    return min(1.0, max(0.0, (progress - start) / length)) if length > 0 else float(progress >= start)

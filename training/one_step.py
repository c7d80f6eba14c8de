from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .objective import Loss, history_of


@dataclass(frozen=True)
class OneStep:
    """`l( f(u_n), u_{n+1} )`: each true state to the next one."""

    horizon: ClassVar[int] = 1

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        return loss(emulator.advance(history_of(emulator, z)), z[:, emulator.history])

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .objective import Loss, history_of, own_step


@dataclass(frozen=True)
class Pushforward:
    """`l( f(v), u_{n+m+1} )` with `v = f^m(u_n)` computed without gradient and `m` uniform in `0, .., M - 1`, one draw
    for a batch.

    `v - u_{n+m}` is a sample of the emulator's own error, so the last call, the only one that is differentiated, learns
    to act on states that the emulator makes. Memory is that of one step.

    Attributes:
        max_steps: M, the largest number of calls.

    Reference:
        Brandstetter, Worrall & Welling (2022), arXiv:2202.03376, section 3.1.
    """

    max_steps: int

    def __post_init__(self) -> None:
        if self.max_steps < 1:
            raise ValueError(f"max_steps of a pushforward objective must be at least 1, got {self.max_steps}")

    @property
    def horizon(self) -> int:
        return self.max_steps

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        pushed = draws.integer(self.max_steps)
        history = history_of(emulator, z)
        for _ in range(pushed):
            history = own_step(emulator, history)
        return loss(emulator.advance(history), z[:, emulator.history + pushed])

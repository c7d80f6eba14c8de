from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .objective import Loss, history_of, shifted


@dataclass(frozen=True)
class TeacherForcing:
    """`1/K sum_{k = 1..K} l( v_k, u_{n+k} )` with `v_k = f(w_{k-1})`, `w_k = alpha u_{n+k} + (1 - alpha) v_k` and
    `w_0 = u_n`: each step starts between the truth and the emulator's own state.

    The gradient goes through all steps, and each of them scales it by `1 - alpha`: along a trajectory whose Jacobians
    stretch by `g` a step, the product of `K` factors `(1 - alpha) J` stays bounded where `alpha >= 1 - 1 / g`, while an
    unroll's grows like `g^K`. `alpha = 1` is the mean of `K` one-step losses, `alpha = 0` unrolling.

    `alpha` is constant here; the source also anneals it from 1 while it estimates `g`.

    Attributes:
        steps: K.
        alpha: share of the truth in the state that the next step starts from.

    Reference:
        Hess, Monfared, Brenner & Durstewitz (2023), arXiv:2306.04406.
    """

    steps: int
    alpha: float

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps of a teacher forcing objective must be at least 1, got {self.steps}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha of a teacher forcing objective must lie in [0, 1], got {self.alpha}")

    @property
    def horizon(self) -> int:
        return self.steps

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        history, terms = history_of(emulator, z), []
        for step in range(self.steps):
            truth, frame = z[:, emulator.history + step], emulator.advance(history)
            terms.append(loss(frame, truth))
            history = shifted(history, self.alpha * truth + (1 - self.alpha) * frame)
        return torch.stack(terms).mean(0)

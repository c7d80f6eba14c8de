from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rollwave.operators import Emulator

from .draws import Draws
from .objective import Loss, history_of, shifted


@dataclass(frozen=True)
class Unrolled:
    """`1/K sum_{k = 1..K} l( f^k(u_n), u_{n+k} )`: the emulator follows its own states for `K` steps.

    With `gradient_steps = m` the state is detached after every `m`-th step: the term of step `k` then sends its
    gradient through the last `(k - 1) mod m + 1` calls of `f`. `m = 1` is unrolling without gradient across steps, `m
    >= K` or None the full gradient. The value is the same.

    Attributes:
        steps: K.
        checkpoint: recompute each call of `f` in the backward pass instead of keeping its activations: about a third
            more time, memory that hardly grows with K.
        gradient_steps: m.

    Reference:
        List, Chen, Bali & Thuerey (2024), arXiv:2402.12971, section 3 (there WIG and NOG).
    """

    steps: int
    checkpoint: bool = False
    gradient_steps: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "gradient_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} of an unrolled objective must be at least 1, got {value}")

    @property
    def horizon(self) -> int:
        return self.steps

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        history, terms = history_of(emulator, z), []
        advance = partial(checkpoint, emulator.as_given(), use_reentrant=False) if self.checkpoint else emulator.advance
        for step in range(self.steps):
            if self.gradient_steps is not None and step % self.gradient_steps == 0:
                history = history.detach()
            frame = advance(history)
            terms.append(loss(frame, z[:, emulator.history + step]))
            history = shifted(history, frame)
        return torch.stack(terms).mean(0)

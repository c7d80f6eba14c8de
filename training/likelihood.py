from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rollwave.operators import Emulator

from .draws import Draws
from .objective import Loss, history_of, shifted
from .tolerances import ToleranceHead


class Likelihood(nn.Module):
    """`1/K sum_{k = 1..K} mean_i sg(exp(beta s_i)) [ exp(-s_i) e_i^2 + s_i ]` with `e = f^k(u_n) - u_{n+k}`: the
    emulator's errors are Gaussian, and their variance `exp(s_i)` at every output is learned beside it.

    `s` is a `ToleranceHead` of the state that step `k` starts from, held; `sg` stops the gradient. Were `s` free, it
    would be `log e_i^2`. With `beta = 0` this is twice the negative logarithm of the likelihood: places whose errors
    are large, fronts above all, count so little that the emulator may give them up. With `beta = 1` its gradient in the
    emulator is that of the mean square error. In between, `s` still learns the variance, and an error counts by
    `exp((beta - 1) s_i)`.

    It is a loss of its own and takes no other; the configured one is that of validation. With `regularizer=jaws` errors
    and the Jacobian have a tolerance each, with `regularizer=jaws_tied` they share one.

    Args:
        channels: of a frame.
        dimensions: space axes.
        steps: K.
        beta: how much of the variance is taken out of the weights.
        width: hidden channels of the head.
        bound: of `|s - s_0|`, with `s_0` the log of the mean square error in the first batch, a power of ten for
            every 2.3.

    Reference:
        Nix and Weigend (1994) for the likelihood; Seitzer, Tavakoli, Antic and Martius (2022), arXiv:2203.09168, eq. 5,
        for `beta`.
    """

    def __init__(
        self,
        channels: int,
        dimensions: int,
        *,
        steps: int = 1,
        beta: float = 0.5,
        width: int = 16,
        bound: float = 16.0,
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps of a likelihood must be at least 1, got {steps}")
        if not 0 <= beta <= 1:
            raise ValueError(f"beta of a likelihood must lie in [0, 1], got {beta}")
        self.steps, self.beta, self.width = steps, beta, width
        self.head = ToleranceHead(channels, dimensions, width=width, bound=bound)

    @property
    def horizon(self) -> int:
        return self.steps

    @property
    def config(self) -> dict[str, Any]:
        """What a resumed run is compared with."""
        return {"steps": self.steps, "beta": self.beta, "width": self.width, "bound": self.head.bound}

    def forward(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        history, terms = history_of(emulator, z), []
        for step in range(self.steps):
            frame = emulator.advance(history)
            squares = (frame - z[:, emulator.history + step]).square()
            terms.append(self.cost(history[:, -1].detach(), squares))
            history = shifted(history, frame)
        return torch.stack(terms).mean(0)

    def cost(self, u: Float[Tensor, "b c *space"], squares: Float[Tensor, "b c *space"]) -> Float[Tensor, " b"]:
        """The mean over outputs, of squared errors of a step from `u`."""
        self.head.start(u, squares.detach())
        s = self.head(u)
        return (torch.exp(self.beta * s.detach()) * (torch.exp(-s) * squares + s)).flatten(1).mean(1)

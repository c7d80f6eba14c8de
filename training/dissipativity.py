from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws

# Apart from the streams of the objectives, which count from 0.
DIRECTION, RADIUS = 20, 21


@dataclass(frozen=True)
class Dissipativity:
    """`weight || f(x) - scale x ||^2 / ||x||^2` at a state `x` drawn far outside the data: from there the emulator
    learns to come back.

    `x = r xi / rms(xi)` with `xi` white and normal and `r` uniform in `[inner, outer]`, in standard deviations of the
    data: a shell around the mean. Every frame of a history is the same `x`. The penalty acts where no data is, and
    does not touch the dynamics near the attractor.

    The source does not divide by `||x||^2` and writes the shell in physical units, `156.25 <= rms(x) <= 681.25` for its
    Kolmogorov flow, with weight 0.01 and scale 0.5; relative, the weight means the same for any shell and any grid.
    `outer / inner` is the source's here, `inner` is our choice.

    Attributes:
        weight: of the penalty.
        scale: share of the state that is left after a step.
        inner: smallest rms of a state, in standard deviations of the data.
        outer: largest rms of a state.

    Reference:
        Li et al. (2022), arXiv:2106.06898, section 3.2.
    """

    weight: float = 0.01
    scale: float = 0.5
    inner: float = 10.0
    outer: float = 43.6

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0 <= self.scale < 1:
            raise ValueError(
                f"weight must not be negative and scale must lie in [0, 1), got weight={self.weight}, "
                f"scale={self.scale}"
            )
        if not 0 < self.inner <= self.outer:
            raise ValueError(f"the shell must have 0 < inner <= outer, got inner={self.inner}, outer={self.outer}")

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws, progress: float
    ) -> Float[Tensor, " b"]:
        if emulator.conserve is not None and emulator.conserve.squares:
            raise ValueError(
                "states outside the data cannot come back to it while conserve keeps the square of "
                f"{list(emulator.conserve.squares)}; set conserve=null, or keep means alone"
            )
        x = self.states(z[:, 0], draws)
        y = emulator.advance(x[:, None].expand(-1, emulator.history, *x.shape[1:]).contiguous())
        error, size = (v.flatten(1).square().sum(1) for v in (y - self.scale * x, x))
        return self.weight * error / size

    def states(self, like: Float[Tensor, "b c *space"], draws: Draws) -> Float[Tensor, "b c *space"]:
        """States in the shell, of the shape of `like`, in normalised units."""
        xi = draws.normal_like(like, stream=DIRECTION)
        share = torch.special.ndtr(draws.normal_like(like[:, 0].flatten(1)[:, 0], stream=RADIUS))
        radius = self.inner + (self.outer - self.inner) * share
        rms = xi.flatten(1).square().mean(1).sqrt()
        return xi * (radius / rms).reshape(-1, *[1] * (xi.ndim - 1))

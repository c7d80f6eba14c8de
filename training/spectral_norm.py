from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .jacobian import ForwardMode, JacobianProduct, Map, transposed_product, unit
from .last_frame import step_from_last_frame
from .regularizer import ramp

# Apart from the streams of the objectives, which count from 0.
PROBE = 23


@dataclass(frozen=True)
class SpectralNorm:
    """`weight max(0, sigma_max(J) - bound)^2`: no perturbation of a true state grows by more than `bound` in a step.

    `J` is the Jacobian of the step with respect to its last frame, in normalised units, `sigma_max` its largest
    singular value, from below, by power iteration on `J^T J` from random signs. The direction found is held fixed where
    the gradient is taken, which at a singular vector changes nothing. A step that contracts has no penalty, whatever
    the rest of its spectrum; a bound of 1 forbids chaos.

    Weight and bound are our choice, the weight reached by `ramp`.

    Attributes:
        weight: of the penalty.
        bound: of the growth in one step.
        iterations: of the power iteration.
        product: how `J v` is computed.

    Reference:
        Yoshida & Miyato (2017), arXiv:1705.10941, for weights; here for the map itself.
    """

    weight: float = 0.01
    bound: float = 1.0
    iterations: int = 3
    product: JacobianProduct = field(default_factory=ForwardMode)

    def __post_init__(self) -> None:
        if self.weight < 0 or self.bound < 0:
            raise ValueError(f"weight and bound must not be negative, got weight={self.weight}, bound={self.bound}")
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}")

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws, progress: float
    ) -> Float[Tensor, " b"]:
        step, state = step_from_last_frame(emulator, z)
        start = draws.rademacher_like(state, stream=PROBE)
        sigma = self.largest(step, state, start)
        return self.weight * ramp(progress) * (sigma - self.bound).clamp_min(0).square()

    def largest(
        self, f: Map, u: Float[Tensor, "b c *space"], start: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, " b"]:
        """`||J v||` for the `v` of unit length that the power iteration ends at."""
        v = unit(start)
        with torch.no_grad():
            for _ in range(self.iterations):
                _, forth = self.product(f, u, v)
                _, back = transposed_product(f, u, forth)
                v = unit(back)
        _, stretched = self.product(f, u, v)
        return stretched.flatten(1).norm(dim=1)

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .jacobian import ForwardMode, JacobianProduct, transposed_product
from .last_frame import step_from_last_frame
from .regularizer import ramp

# Apart from the streams of the objectives, which count from 0.
PROBE = 24


@dataclass(frozen=True)
class Commutativity:
    """`weight ||(J^T J - J J^T) v||^2 / ||v||^2` with random signs `v`; its mean over `v` is `weight ||J^T J - J
    J^T||_F^2 / N`, `N` numbers in a state.

    `J` is the Jacobian of the step with respect to its last frame, in normalised units. Where it commutes with its
    transpose no perturbation grows by more than its eigenvalues say; where it does not, perturbations may grow for a
    while although every eigenvalue decays, and a penalty on the size of `J` need not mend that. The identity of the
    residual form drops out. Rotations and growth are both free.

    The weight is our choice, reached by `ramp`.

    Attributes:
        weight: of the penalty.
        product: how `J v` is computed.

    Reference:
        After Pervez & Locatello (2026), arXiv:2605.08856, who also ask it of the Jacobians of successive steps.
    """

    weight: float = 0.01
    product: JacobianProduct = field(default_factory=ForwardMode)

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"weight of a commutativity penalty must not be negative, got {self.weight}")

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws, progress: float
    ) -> Float[Tensor, " b"]:
        step, state = step_from_last_frame(emulator, z)
        v = draws.rademacher_like(state, stream=PROBE)
        _, forth = self.product(step, state, v)
        _, first = transposed_product(step, state, forth)
        _, back = transposed_product(step, state, v)
        _, second = self.product(step, state, back)
        return self.weight * ramp(progress) * (first - second).square().flatten(1).mean(1)

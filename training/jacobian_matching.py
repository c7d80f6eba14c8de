from dataclasses import InitVar, dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .jacobian import ForwardMode, JacobianProduct, Map, norms, unit
from .last_frame import step_from_last_frame
from .regularizer import ramp
from .true_flow import check_flow, normalised

# Apart from the streams of the objectives, which count from 0.
DIRECTION = 22
# Displacement of the central difference, relative to the state: its error is the square of it.
STEP = 1e-4


@dataclass(frozen=True)
class JacobianMatching:
    """`weight ||J_f v - J_Phi v||^2 / ||J_Phi v||^2` at the true state, with `Phi` the flow of the data and `v` white
    and normal: the emulator's step is to stretch and turn small perturbations as the equation does.

    An emulator that is close to the flow in value alone may have any Lyapunov exponents; close in value and Jacobian,
    its exponents and invariant measure are the flow's. `J_Phi v` is a central difference of the solver in float64,
    right to some 1e-8, and costs two steps of it; both Jacobians are those of normalised states, with respect to the
    last frame of a history.

    The weight is our choice, reached by `ramp`.

    Attributes:
        flow: `Phi`, physical units in and out; see `rollwave.datasets.flow`.
        weight: of the penalty.
        product: how `J_f v` is computed.

    Reference:
        Park, Yang & Chandramoorthy (2024), arXiv:2411.06311.
    """

    flow: InitVar[Map | None]
    weight: float = 0.1
    product: JacobianProduct = field(default_factory=ForwardMode)

    def __post_init__(self, flow: Map | None) -> None:
        check_flow("Jacobian matching", flow)
        if self.weight < 0:
            raise ValueError(f"weight of Jacobian matching must not be negative, got {self.weight}")
        object.__setattr__(self, "_true", flow)

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws, progress: float
    ) -> Float[Tensor, " b"]:
        step, state = step_from_last_frame(emulator, z)
        v = unit(draws.normal_like(state, stream=DIRECTION))
        _, ours = self.product(step, state, v)
        true = self.true_product(emulator, state, v).to(ours)
        error, size = ((w.flatten(1)).square().sum(1) for w in (ours - true, true))
        return self.weight * ramp(progress) * error / size

    @torch.no_grad()
    def true_product(
        self, emulator: Emulator, state: Float[Tensor, "b c *space"], v: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, "b c *space"]:
        """`J_Phi v` of normalised states, in float64: `(Phi(z + h v) - Phi(z - h v)) / (2 h)`."""
        state, v = state.double(), v.double()
        h = (STEP * norms(state) / norms(v)).reshape(-1, *[1] * (v.ndim - 1))
        both = torch.cat([state + h * v, state - h * v])
        above, below = normalised(vars(self)["_true"], emulator, both).chunk(2)
        return (above - below) / (2 * h)

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .objective import Loss, history_of


@dataclass(frozen=True)
class Noise:
    """`l( f(u_n + sigma xi), u_{n+1} )` with `xi` white and standard normal: from a perturbed state to the true next
    one.

    For small `sigma` and a squared loss its expectation is the one-step loss plus `sigma^2 ||J||_F^2` and a curvature
    term (Bishop, 1995, doi:10.1162/neco.1995.7.1.108): it shrinks the Jacobian of `f` in every direction alike.

    Attributes:
        std: sigma, in standard deviations of each channel.

    Reference:
        Sanchez-Gonzalez et al. (2020), arXiv:2002.09405, section 4.3; Stachenfeld et al. (2022), arXiv:2112.15275,
        section 3.
    """

    std: float
    horizon: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.std < 0:
            raise ValueError(f"std of a noise objective must not be negative, got {self.std}")

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        history = history_of(emulator, z)
        return loss(emulator.advance(history + self.std * draws.normal_like(history)), z[:, emulator.history])

from dataclasses import InitVar, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .jacobian import Map
from .objective import Loss, history_of, own_step


@dataclass(frozen=True)
class Diverted:
    """`1/K sum_{k = 1..K} l( f(v_{k-1}), Phi(v_{k-1}) )` with `v_0 = u_n`, `v_k = f(v_{k-1})`, and `Phi` the flow of
    the data: the emulator follows its own states, and from each of them the solver says what comes next.

    Every term is an error of one step, at states where rollouts lead; a target never lies where chaos alone has taken
    the truth away from the emulator, as those of a long unroll do. Neither states nor targets have a gradient. `K = 1`
    is `OneStep`, but for what the solver carries beyond the stored grid. It takes the memory of a batch `K` times as
    large, and besides its time that of `K - 1` calls of `f` without gradient and of `K` steps of the solver in float64.

    Attributes:
        flow: `Phi`, physical units in and out; see `rollwave.datasets.flow`.
        steps: K.

    Reference:
        Koehler, Niedermayr, Westermann & Thuerey (2024), arXiv:2411.00180, the diverted chain, there with gradients
        through states and solver; without them it is Ross, Gordon & Bagnell (2011), arXiv:1011.0686.
    """

    # No field, and so no part of what a checkpoint says of this object: fields there are plain data.
    flow: InitVar[Map | None]
    steps: int

    def __post_init__(self, flow: Map | None) -> None:
        if not callable(flow):
            raise ValueError(
                f"a diverted objective needs the flow of its data, got {flow!r}; leave flow: null to train.py, or give "
                "rollwave.datasets.flow(folder)"
            )
        if self.steps < 1:
            raise ValueError(f"steps of a diverted objective must be at least 1, got {self.steps}")
        object.__setattr__(self, "_true", flow)

    @property
    def horizon(self) -> int:
        return 1

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        histories = [history_of(emulator, z)]
        for _ in range(self.steps - 1):
            histories.append(own_step(emulator, histories[-1]))
        # The states of a sample lie next to each other, as parameters of samples expect it.
        given = torch.stack(histories, dim=1).flatten(0, 1)
        return loss(emulator.advance(given), self.target(emulator, given[:, -1])).reshape(len(z), -1).mean(1)

    @torch.no_grad()
    def target(self, emulator: Emulator, z: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """`Phi` of normalised states, computed in float64."""
        flow: Map = vars(self)["_true"]
        return emulator.encode(flow(emulator.decode(z.double()))).to(z)

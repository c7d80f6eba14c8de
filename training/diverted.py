from dataclasses import InitVar, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .jacobian import Map
from .objective import Loss, history_of, shifted
from .true_flow import check_flow, normalised


@dataclass(frozen=True)
class Diverted:
    """`1/K sum_{k = 1..K} l( f(v_{k-1}), Phi(v_{k-1}) )` with `v_0 = u_n`, `v_k = f(v_{k-1})`, and `Phi` the flow of
    the data: the emulator follows its own states, and from each of them the solver says what comes next.

    Every term is an error of one step, at states where rollouts lead; a target never lies where chaos alone has taken
    the truth away from the emulator, as those of a long unroll do. `K = 1` is `OneStep`, but for what the solver
    carries beyond the stored grid. It takes `K` calls of `Phi`, in float64, and the memory of `K` calls of `f`; with
    gradients also that of every step of the solver. Where the solver cannot go on from a state, the value is NaN.

    Attributes:
        flow: `Phi`, physical units in and out; see `rollwave.datasets.flow`.
        steps: K.
        gradient: whether states and targets have a gradient, through all calls of `f` and through the solver. Without
            one every term trains the last call alone.

    Reference:
        Koehler, Niedermayr, Westermann & Thuerey (2024), arXiv:2411.00180, the diverted chain; without gradients it is
        what Ross, Gordon & Bagnell (2011), arXiv:1011.0686, do with an expert who labels the learner's own states.
    """

    flow: InitVar[Map | None]
    steps: int
    gradient: bool = False

    def __post_init__(self, flow: Map | None) -> None:
        check_flow("a diverted objective", flow)
        if self.steps < 1:
            raise ValueError(f"steps of a diverted objective must be at least 1, got {self.steps}")
        object.__setattr__(self, "_true", flow)

    @property
    def horizon(self) -> int:
        return 1

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        history, states, frames = history_of(emulator, z), [], []
        for _ in range(self.steps):
            states.append(history[:, -1])
            frames.append(emulator.advance(history))
            history = shifted(history, frames[-1] if self.gradient else frames[-1].detach())
        # One call of the solver for all states: they are small.
        targets = normalised(vars(self)["_true"], emulator, torch.cat(states)).to(z).chunk(self.steps)
        return torch.stack([loss(frame, target) for frame, target in zip(frames, targets, strict=True)]).mean(0)

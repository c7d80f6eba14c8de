from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .jacobian import ForwardMode, JacobianProduct, Map, row_energies
from .objective import history_of, own_step

# Streams of `Draws`, none of them an objective's.
SIGNS, STEPS = 11, 12


@dataclass(frozen=True)
class JacobianProbe:
    """`r_i ~ ((J - a I) v)_i^2` with random signs `v`: what one product says about the energies of the rows of the
    emulator's Jacobian, without bias.

    `J` is the derivative of the next normalised frame by all frames of the history, `I` gives the last of them. It is
    taken at a state without gradient: of the data at one half of the steps, and at the other half one to `own_steps`
    of the emulator's own steps further, where rollouts lead.

    A mean over an input of `N` points shrinks with `N`, and so do the energies of a smoothing map: for a kernel,
    `J_ij = k(x_i, x_j) dx` and `r_i = dx int k(x_i, y)^2 dy`. What is tuned on a grid holds on that grid.

    Attributes:
        product: how `J v` is computed.
        own_steps: most steps of the emulator between the data and the state; 0 keeps to the data.
        identity: `a`; with 1 a residual emulator's change of state is measured, and a map that changes nothing gives 0.
    """

    product: JacobianProduct = field(default_factory=ForwardMode)
    own_steps: int = 2
    identity: float = 0.0

    def __post_init__(self) -> None:
        if self.own_steps < 0:
            raise ValueError(f"own_steps of a probe must not be negative, got {self.own_steps}")

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws
    ) -> tuple[Float[Tensor, "b h c *space"], Float[Tensor, "b c *space"]]:
        """The state, and the energies there."""
        state = self.state(emulator, z, draws)
        signs = draws.rademacher_like(state, stream=SIGNS)
        return state, row_energies(self.map_of(emulator), state, signs, self.product)

    def state(self, emulator: Emulator, z: Float[Tensor, "b t c *space"], draws: Draws) -> Tensor:
        """The history at which the Jacobian is taken."""
        state = history_of(emulator, z).detach()
        if self.own_steps == 0:
            return state
        for _ in range(draws.integer(2 * self.own_steps, stream=STEPS) - self.own_steps + 1):
            state = own_step(emulator, state)
        return state

    def map_of(self, emulator: Emulator) -> Map:
        """`u -> f(u) - a u_last`."""
        if self.identity == 0:
            return emulator.advance
        return lambda u: emulator.advance(u) - self.identity * u[:, -1]

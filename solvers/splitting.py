"""Splitting into two parts that are solved exactly."""

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor

from .composition import ELEVEN_STAGES, SECOND_ORDER, SIX_STAGES, TRIPLE_JUMP, Composition
from .equation import Equation, Reversible, Split
from .grid import Grid
from .shapes import Float
from .stepper import Stepper


class Splitting(Stepper):
    """`B(b_1 dt) A(a_1 dt) B(b_2 dt) ... A(a_s dt) B(b_1 dt)`: `A` the exact linear flow, `B` the exact nonlinear one.

    What both flows conserve is conserved to rounding. The last flow of a step is joined with the first of the next, so
    `B` must also run back by `b_1 dt` from where it has just been. Waves whose frequency `w` makes `w dt` a multiple of
    `pi` resonate with the splitting and can grow out of rounding: on a plane wave of the Schroedinger equation that is
    `dt > 2 pi / k_max^2`, Weideman & Herbst (1986), doi:10.1137/0723033.
    """

    @property
    @abstractmethod
    def composition(self) -> Composition:
        """Its coefficients."""

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        super().__init__(equation, grid, dt)
        if not isinstance(equation, Split):
            raise TypeError(f"expected a Split equation, got {type(equation).__name__}")
        self.split, stages = equation, self.composition.stages()
        linear = {drift: equation.linear_flow(grid, drift * dt) for drift, _ in stages}
        nonlinear = {kick: equation.nonlinear_flow(grid, kick * dt) for _, kick in stages}
        self.flows = [flow for drift, kick in stages for flow in (linear[drift], nonlinear[kick])]
        first = self.composition.kicks[0]
        self.enter, self.leave = equation.nonlinear_flow(grid, first * dt), equation.nonlinear_flow(grid, -first * dt)

    def encode(self, u: Float[Tensor, "b c *space"]) -> Tensor:
        return self.enter(self.split.pack(u))

    def step(self, state: Tensor) -> Tensor:
        for flow in self.flows:
            state = flow(state)
        return state

    def decode(self, state: Tensor) -> Float[Tensor, "b c *space"]:
        return self.split.unpack(self.leave(state))


class Strang(Splitting):
    """Second order, one linear flow per step: Strang (1968), doi:10.1137/0705041."""

    order: ClassVar[int] = 2
    requires: ClassVar[type] = Split
    composition = SECOND_ORDER


class Yoshida4(Splitting):
    """Fourth order, three linear flows per step: Yoshida (1990), doi:10.1016/0375-9601(90)90092-3."""

    order: ClassVar[int] = 4
    requires: ClassVar[type] = Reversible
    composition = TRIPLE_JUMP


class BlanesMoan4(Splitting):
    """Fourth order, six linear flows per step: Blanes & Moan (2002), doi:10.1016/S0377-0427(01)00492-7."""

    order: ClassVar[int] = 4
    requires: ClassVar[type] = Reversible
    composition = SIX_STAGES


class BlanesMoan6(Splitting):
    """Sixth order, eleven linear flows per step: Blanes & Moan (2002), doi:10.1016/S0377-0427(01)00492-7."""

    order: ClassVar[int] = 6
    requires: ClassVar[type] = Reversible
    composition = ELEVEN_STAGES

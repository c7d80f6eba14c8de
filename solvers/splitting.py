"""Splitting into two parts that are solved exactly."""

from typing import ClassVar

from torch import Tensor

from .equation import Equation, Split
from .grid import Grid
from .shapes import Float
from .stepper import Stepper


class Strang(Stepper):
    """Second order, symmetric: `B(dt/2) A(dt) B(dt/2)`, Strang (1968), doi:10.1137/0705041.

    `A` is the exact linear flow, `B` the exact nonlinear flow; what both conserve is conserved to rounding. Half
    flows of neighbouring steps are joined into one, so `B` must also run back by `dt/2` from where it has just been.
    On a plane wave of the Schroedinger equation steps above `2 pi / k_max^2` can excite resonances of the splitting.
    """

    order: ClassVar[int] = 2
    requires: ClassVar[type] = Split

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        super().__init__(equation, grid, dt)
        if not isinstance(equation, Split):
            raise TypeError(f"expected a Split equation, got {type(equation).__name__}")
        self.split = equation
        self.linear = equation.linear_flow(grid, dt)
        self.forward, self.half = equation.nonlinear_flow(grid, dt), equation.nonlinear_flow(grid, dt / 2)
        self.back = equation.nonlinear_flow(grid, -dt / 2)

    def encode(self, u: Float[Tensor, "b c *space"]) -> Tensor:
        return self.half(self.split.pack(u))

    def step(self, state: Tensor) -> Tensor:
        return self.forward(self.linear(state))

    def decode(self, state: Tensor) -> Float[Tensor, "b c *space"]:
        return self.split.unpack(self.back(state))

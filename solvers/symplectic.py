"""Symplectic integration of second-order equations."""

from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from .equation import Equation, Separable
from .grid import Grid
from .shapes import Float
from .stepper import Stepper

State: TypeAlias = tuple[Tensor, Tensor, Tensor]


class StoermerVerlet(Stepper):
    """Second order, symplectic, kick-drift-kick: Hairer, Lubich & Wanner (2003), doi:10.1017/S0962492902000144.

    For `q_tt = F(q)` without damping: a force that depends on `q_t` does not fit. One force per step; the energy
    error stays bounded at `O(dt^2)`. Stable for `dt < 2 / (highest frequency)`; larger steps are refused.
    """

    order: ClassVar[int] = 2
    requires: ClassVar[type] = Separable

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        super().__init__(equation, grid, dt)
        if not isinstance(equation, Separable):
            raise TypeError(f"expected a Separable equation, got {type(equation).__name__}")
        limit = 2 / equation.largest_frequency(grid)
        if dt >= limit:
            raise ValueError(
                f"StoermerVerlet is unstable on this grid for dt >= {limit:.6g}, got {dt:.6g}; use a smaller dt"
            )
        self.force = equation.force(grid)

    def encode(self, u: Float[Tensor, "b c *space"]) -> State:
        q, velocity = u.chunk(2, dim=1)
        return q, velocity, self.force(q)

    def step(self, state: State) -> State:
        q, velocity, force = state
        middle = torch.add(velocity, force, alpha=self.dt / 2)
        q = torch.add(q, middle, alpha=self.dt)
        force = self.force(q)
        return q, torch.add(middle, force, alpha=self.dt / 2), force

    def decode(self, state: State) -> Float[Tensor, "b c *space"]:
        return torch.cat(state[:2], dim=1)

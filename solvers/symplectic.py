"""Symplectic integration of second-order equations: Runge-Kutta-Nystroem compositions of kicks and drifts."""

from abc import abstractmethod
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from .composition import ELEVEN_STAGES, SECOND_ORDER, SIX_STAGES, Composition
from .equation import Equation, Separable
from .grid import Grid
from .shapes import Float
from .stepper import Stepper

State: TypeAlias = tuple[Tensor, Tensor]


class SymplecticRKN(Stepper):
    """Kicks `q_t += b_j dt F(q)` and drifts `q += a_j dt q_t` in turn, one force for each drift.

    For `q_tt = F(q)` without damping: a force that depends on `q_t` does not fit. Symplectic and symmetric: the energy
    error stays bounded, at `O(dt^order)`. The last kick of a step is joined with the first of the next. Steps at which
    the highest frequency would grow are refused.
    """

    requires: ClassVar[type] = Separable

    @property
    @abstractmethod
    def composition(self) -> Composition:
        """Its coefficients."""

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        super().__init__(equation, grid, dt)
        if not isinstance(equation, Separable):
            raise TypeError(f"expected a Separable equation, got {type(equation).__name__}")
        limit = self.composition.stability_limit() / equation.largest_frequency(grid)
        if dt >= limit:
            raise ValueError(
                f"{type(self).__name__} is unstable on this grid for dt >= {limit:.6g}, got {dt:.6g}; use a smaller dt"
            )
        self.force, self.first = equation.force(grid), self.composition.kicks[0] * dt
        self.stages = [(drift * dt, kick * dt) for drift, kick in self.composition.stages()]

    def encode(self, u: Float[Tensor, "b c *space"]) -> State:
        q, velocity = u.chunk(2, dim=1)
        return q, torch.add(velocity, self.force(q), alpha=self.first)

    def step(self, state: State) -> State:
        q, velocity = state
        for drift, kick in self.stages:
            q = torch.add(q, velocity, alpha=drift)
            velocity = torch.add(velocity, self.force(q), alpha=kick)
        return q, velocity

    def decode(self, state: State) -> Float[Tensor, "b c *space"]:
        q, velocity = state
        return torch.cat((q, torch.sub(velocity, self.force(q), alpha=self.first)), dim=1)


class StoermerVerlet(SymplecticRKN):
    """Second order, one force per step: Hairer, Lubich & Wanner (2003), doi:10.1017/S0962492902000144.

    Stable for `dt < 2 / (highest frequency)`.
    """

    order: ClassVar[int] = 2
    composition = SECOND_ORDER


class SymplecticRKN4(SymplecticRKN):
    """Fourth order, six forces per step: Blanes & Moan (2002), doi:10.1016/S0377-0427(01)00492-7.

    Stable for `dt < 3.16 / (highest frequency)`.
    """

    order: ClassVar[int] = 4
    composition = SIX_STAGES


class SymplecticRKN6(SymplecticRKN):
    """Sixth order, eleven forces per step: Blanes & Moan (2002), doi:10.1016/S0377-0427(01)00492-7.

    Stable for `dt < 3.14 / (highest frequency)`.
    """

    order: ClassVar[int] = 6
    composition = ELEVEN_STAGES

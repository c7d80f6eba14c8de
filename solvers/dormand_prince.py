"""Adaptive integration, to check the other schemes against."""

import math
from functools import cache
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from .dormand_prince_coefficients import DIFFERENCE_3, DIFFERENCE_5, NODES, ROWS, WEIGHTS
from .equation import Equation, Semilinear
from .grid import Grid
from .run import SimulationError
from .shapes import Float
from .stepper import Stepper

State: TypeAlias = tuple[Tensor, Tensor]

# Internal steps below this part of `dt` are given up.
SMALLEST = 1e-9
# No tolerance is held below this many roundings of the type.
ROUNDINGS = 20
# Stages are not all in the order of time: on the way back from a later to an earlier one, damping turns to growth. The
# internal step is kept below the one at which rounding would grow by `e` to this power.
GROWTH = 4.0
BACKWARD = max(NODES[j] - NODES[i] for i, row in enumerate(ROWS) for j in row)


class DormandPrince853(Stepper):
    """Eighth order with error control: Hairer, Norsett & Wanner (1993), doi:10.1007/978-3-540-78862-1, section II.10.

    One step covers `dt` by as many internal ones as keep every sample's local error below `tolerance` of its norm; they
    are the same for the whole batch, so samples see each other at the level of the tolerance. `Semilinear` equations
    are integrated as `w_t = e^{-Lt} N(e^{Lt} w)`, within a step, others by their `tendency`. Explicit: the price of
    stiffness is many small steps. Gradients hold the internal steps fixed.

    Attributes:
        tolerance: of the local error of an internal step; infinite, each `dt` is a single one of order eight, or as few
            as damping allows: where `dt |L|` is large, rounding would grow within a step, and it is still cut.

    Raises:
        SimulationError: no internal step is small enough; its time is counted from the start of the step.
    """

    order: ClassVar[int] = 8
    requires: ClassVar[type] = Equation
    tolerance: ClassVar[float] = 1e-12

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        super().__init__(equation, grid, dt)
        double = grid.to(torch.float64)
        self.semilinear = equation if isinstance(equation, Semilinear) else None
        if isinstance(equation, Semilinear):
            self.symbol, self.rate = equation.linear(double), equation.nonlinear(grid)
        else:
            self.symbol, self.rate = torch.zeros((), dtype=torch.float64, device=grid.device), self.tendency
        damping = max(-self.symbol.detach().real.min().item(), 0.0)
        self.largest = min(self.dt, GROWTH / (BACKWARD * damping)) if damping else self.dt
        self.allowed = max(self.tolerance, ROUNDINGS * torch.finfo(grid.dtype).eps)

    def tendency(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """`u_t`, on the scheme's grid."""
        return self.equation.tendency(u, self.grid)

    def encode(self, u: Float[Tensor, "b c *space"]) -> State:
        trial = torch.full((u.shape[0], 1), self.largest, dtype=torch.float64, device=u.device)
        return (self.semilinear.transform(u, self.grid) if self.semilinear else u), trial

    def step(self, state: State) -> State:
        v, trial = state
        left, trusted = self.dt, trial[0].item()
        while left > 0:
            h = min(trusted, left)
            candidate, errors = self.attempt(v, h)
            error = errors.max().item()
            # An error that is no number asks for a smaller step.
            factor = min(6.0, max(0.2, 0.9 * max(error, 1e-12) ** (-1 / 8))) if error < math.inf else 0.2
            if error <= 1:
                v, left = candidate, left - h if left - h > SMALLEST * self.dt else 0.0
                # A step cut short by the end of `dt` says nothing against the one that was trusted.
                trusted = min(max(factor * h, trusted if left == 0 else 0.0), self.largest)
            else:
                trusted = factor * h
            if trusted < SMALLEST * self.dt:
                raise SimulationError(
                    f"DormandPrince853 needs steps below {trusted:.1e} for {type(self.equation).__name__} "
                    f"to keep errors under {self.allowed:.0e}; the solution may blow up, or ask for less accuracy",
                    time=self.dt - left,
                    sample=int(errors.argmax()),
                )
        return v, torch.full_like(trial, trusted)

    def decode(self, state: State) -> Float[Tensor, "b c *space"]:
        return self.semilinear.inverse(state[0], self.grid) if self.semilinear else state[0]

    def attempt(self, v: Tensor, h: float) -> tuple[Tensor, Float[Tensor, " b"]]:
        """`v` after one internal step, and the samples' errors in units of what is allowed."""

        @cache
        def carried(time: float) -> Tensor:
            return torch.exp(time * h * self.symbol).to(v.dtype)

        rates: list[Tensor] = []

        def moved(node: float, row: dict[int, float]) -> Tensor:
            """Rates of the stages so far, carried to a node by the linear flow."""
            return h * sum((a * carried(node - NODES[j]) * rates[j] for j, a in row.items()), torch.zeros_like(v))

        for node, row in zip(NODES, ROWS, strict=True):
            # An increment, not a product: float32 keeps its digits over many steps.
            rates.append(self.rate(v + (torch.expm1(node * h * self.symbol).to(v.dtype) * v + moved(node, row))))
        after = v + (torch.expm1(h * self.symbol).to(v.dtype) * v + moved(1.0, WEIGHTS))
        scale = torch.maximum(size(v), size(after)).clamp(min=torch.finfo(self.grid.dtype).tiny)
        fifth, third = (size(moved(1.0, row)) / scale for row in (DIFFERENCE_5, DIFFERENCE_3))
        # The two estimates together fall like `h^8`.
        error = fifth.square() / torch.hypot(fifth, third / 10).clamp(min=torch.finfo(self.grid.dtype).tiny)
        return after, error.nan_to_num(nan=math.inf, posinf=math.inf) / self.allowed


def size(v: Tensor) -> Float[Tensor, " b"]:
    """The norm of each sample."""
    return torch.linalg.vector_norm(v.detach().flatten(1), dim=1)

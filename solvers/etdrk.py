"""Exponential time differencing Runge-Kutta schemes with complex symbols, in increment form.

For `v_t = L v + N(v)` the linear part is solved exactly. Every stage is written as `v + (expm1(z) v + ...)`: in float32
the rounding of `exp(z) v` would otherwise grow linearly with the number of steps. The weights are combinations of

    phi_1(z) = (e^z - 1) / z,    phi_{j+1}(z) = (phi_j(z) - 1/j!) / z,    z = L dt,

evaluated for complex `z`: keeping only their real part costs every dispersive equation its order of convergence.
"""

import math
from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor

from .equation import Equation, Map, Scaled, Semilinear
from .grid import Grid
from .shapes import Complex, Float
from .stepper import Stepper

# Inside the unit disk `phi_3` needs this many Taylor terms for full double precision.
TAYLOR_TERMS = 20


def phi_functions(
    z: Complex[Tensor, "*k"],
) -> tuple[Complex[Tensor, "*k"], Complex[Tensor, "*k"], Complex[Tensor, "*k"]]:
    """`phi_1, phi_2, phi_3` at every complex `z` with bounded `e^z`, differentiable also at zero."""
    near = z.abs() < 1
    # Each branch sees only arguments it is good for, so that neither sends infinities through the gradient of `where`.
    inside, outside = torch.where(near, z, 0), torch.where(near, 1, z)
    taylor = torch.full_like(inside, 1 / math.factorial(TAYLOR_TERMS + 3))
    for j in range(TAYLOR_TERMS - 1, -1, -1):
        taylor = taylor * inside + 1 / math.factorial(j + 3)
    third, second = taylor, taylor * inside + 1 / 2
    first = second * inside + 1
    phi_1 = torch.expm1(outside) / outside
    phi_2 = (phi_1 - 1) / outside
    phi_3 = (phi_2 - 1 / 2) / outside
    return torch.where(near, first, phi_1), torch.where(near, second, phi_2), torch.where(near, third, phi_3)


def semilinear(equation: Equation) -> Semilinear:
    """The same equation, known to be semilinear."""
    if not isinstance(equation, Semilinear):
        raise TypeError(f"expected a Semilinear equation, got {type(equation).__name__}")
    return equation


def weighted(nonlinear: Map, weights: Iterable[Tensor]) -> tuple[Map, tuple[Tensor, ...]]:
    """The core of a nonlinear map and the weights of its values, which take in the factor of a `Scaled` one."""
    if not isinstance(nonlinear, Scaled):
        return nonlinear, tuple(weights)
    return nonlinear.core, tuple(nonlinear.factor * weight for weight in weights)


class ETDRK2(Stepper):
    """Second order, two stages: Cox & Matthews (2002), eq. (22), doi:10.1006/jcph.2002.6995."""

    order: ClassVar[int] = 2
    requires: ClassVar[type] = Semilinear

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        super().__init__(equation, grid, dt)
        self.semilinear = semilinear(equation)
        z = self.semilinear.linear(grid.to(torch.float64)) * dt
        phi_1, phi_2, _ = phi_functions(z)
        self.growth, *weights = (w.to(grid.complex_dtype) for w in (z * phi_1, dt * phi_1, dt * phi_2))
        self.core, (self.first, self.second) = weighted(self.semilinear.nonlinear(grid), weights)

    def encode(self, u: Float[Tensor, "b c *space"]) -> Tensor:
        return self.semilinear.transform(u, self.grid)

    def step(self, state: Tensor) -> Tensor:
        n_0 = self.core(state)
        a = state + torch.addcmul(self.growth * state, self.first, n_0)
        return torch.addcmul(a, self.second, self.core(a) - n_0)

    def decode(self, state: Tensor) -> Float[Tensor, "b c *space"]:
        return self.semilinear.inverse(state, self.grid)


class ETDRK4(Stepper):
    """Fourth order, four stages: Cox & Matthews (2002), eqs. (26)-(29), doi:10.1006/jcph.2002.6995.

    Very stiff damping (`|L| dt >> 1` on modes that the nonlinearity feeds) lowers the observed order towards three
    until `dt` is small.
    """

    order: ClassVar[int] = 4
    requires: ClassVar[type] = Semilinear

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        super().__init__(equation, grid, dt)
        self.semilinear = semilinear(equation)
        z = self.semilinear.linear(grid.to(torch.float64)) * dt
        half, _, _ = phi_functions(z / 2)
        phi_1, phi_2, phi_3 = phi_functions(z)
        self.half_growth, self.growth, *weights = (
            w.to(grid.complex_dtype)
            for w in (
                z / 2 * half,
                z * phi_1,
                dt / 2 * half,
                dt * z / 4 * half**2,
                dt * half,
                dt * (phi_1 - 3 * phi_2 + 4 * phi_3),
                dt * (2 * phi_2 - 4 * phi_3),
                dt * (4 * phi_3 - phi_2),
            )
        )
        self.core, taken = weighted(self.semilinear.nonlinear(grid), weights)
        self.half, self.start, self.turn, self.first, self.middle, self.last = taken

    def encode(self, u: Float[Tensor, "b c *space"]) -> Tensor:
        return self.semilinear.transform(u, self.grid)

    def step(self, state: Tensor) -> Tensor:
        n_0 = self.core(state)
        half_linear = torch.addcmul(state, self.half_growth, state)
        n_a = self.core(torch.addcmul(half_linear, self.half, n_0))
        n_b = self.core(torch.addcmul(half_linear, self.half, n_a))
        increment = self.growth * state
        # `e^{z/2} a + half (2 n_b - n_0)` with the stage `a = half_linear + half n_0` put in.
        c = torch.addcmul(torch.addcmul(state + increment, self.start, n_0), self.turn, n_b)
        n_c = self.core(c)
        increment = torch.addcmul(torch.addcmul(increment, self.first, n_0), self.middle, n_a + n_b)
        return state + torch.addcmul(increment, self.last, n_c)

    def decode(self, state: Tensor) -> Float[Tensor, "b c *space"]:
        return self.semilinear.inverse(state, self.grid)

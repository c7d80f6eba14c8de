"""The Korteweg-de Vries equation."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .convection import convection, inverse, transform
from .equation import Coefficient, Equation, Map, not_negative, semilinear_tendency
from .etdrk import ETDRK4
from .grid import Grid
from .initial_conditions import InitialCondition, RandomFourierSeries
from .shapes import Complex, Float
from .stepper import Stepper


@dataclass(frozen=True)
class KortewegDeVries(Equation):
    """Korteweg-de Vries equation in one dimension,

        u_t = -a u u_x - b u_xxx + nu u_xx - eta u_xxxx.

    Long waves on shallow water: they steepen, and break up into solitons `3 c / a sech^2(sqrt(c / b) (x - c t) / 2)`
    that pass through each other. `a = 6, b = 1` is the usual form, `a = 1, b = 0.022^2` on a box of 2 with `u = cos pi
    x` the recurrence of Zabusky & Kruskal. Without `nu` and `eta` mass, momentum and energy are conserved and the
    symbol is imaginary: nothing is damped, and shocks become trains of waves of length `~ sqrt(b / (a u))`. With them,
    mass alone.

    A soliton of speed `c` reaches rounding with `N = 6 L sqrt(c / b)` points, 1e-10 with four instead of six, on the
    modes `|m| < N/3`, free of aliasing. For `c = 4` in the usual form `dt = 0.001` keeps it to 1e-8 over a unit time.

    Attributes:
        advection: `a`; its sign is that of the solitons.
        dispersion: `b`, in length^3 / time.
        viscosity: `nu >= 0`, in length^2 / time.
        hyperviscosity: `eta >= 0`, in length^4 / time.

    Reference:
        Korteweg & de Vries (1895), doi:10.1080/14786449508620739; Zabusky & Kruskal (1965),
        doi:10.1103/PhysRevLett.15.240.
    """

    advection: Coefficient = 6.0
    dispersion: Coefficient = 1.0
    viscosity: Coefficient = 0.0
    hyperviscosity: Coefficient = 0.0

    name: ClassVar[str] = "korteweg_de_vries"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    units: ClassVar[tuple[str, ...]] = ("length / time",)
    default_stepper: ClassVar[type[Stepper]] = ETDRK4
    default_initial_condition: ClassVar[InitialCondition] = RandomFourierSeries(modes=3, decay=1.0, rms=0.5)

    def __post_init__(self) -> None:
        not_negative(viscosity=self.viscosity, hyperviscosity=self.hyperviscosity)
        for name, value in (("advection", self.advection), ("dispersion", self.dispersion)):
            if not isinstance(value, Tensor) and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}")

    @property
    def conserved(self) -> tuple[str, ...]:
        """Damping, also by coefficients that are tensors, leaves the mass alone."""
        damped = any(isinstance(c, Tensor) or c > 0 for c in (self.viscosity, self.hyperviscosity))
        return ("mass",) if damped else ("mass", "momentum", "energy")

    def transform(self, u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
        return transform(u, grid)

    def inverse(self, u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return inverse(u_hat, grid)

    def linear(self, grid: Grid) -> Complex[Tensor, "1 k"]:
        damping = self.viscosity * grid.derivative(2) - self.hyperviscosity * grid.derivative(4)
        return (damping - self.dispersion * grid.derivative(3))[None]

    def nonlinear(self, grid: Grid) -> Map:
        return convection(grid, self.advection)

    def tendency(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return semilinear_tendency(self, u, grid)

    def densities(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """`mass`: `u`; `momentum`: `u^2/2`; `energy`: `b u_x^2 / 2 - a u^3 / 6`, all conserved without damping."""
        field = u.select(-2, 0)
        slope = grid.to(u).differentiate(field)
        energy = self.dispersion / 2 * slope.square() - self.advection / 6 * field**3
        return {"mass": field, "momentum": field.square() / 2, "energy": energy}

    def budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d energy / dt`: `nu int u_xx f` and `-eta int u_xxxx f`, with `f = -b u_xx - a u^2 / 2`."""
        field, grid = u.select(-2, 0), grid.to(u)
        force = -self.dispersion * grid.differentiate(field, 2) - self.advection / 2 * field.square()
        return {
            "viscosity": self.viscosity * grid.integrate(grid.differentiate(field, 2) * force),
            "hyperviscosity": -self.hyperviscosity * grid.integrate(grid.differentiate(field, 4) * force),
        }

    def momentum_budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d momentum / dt`: `-nu int u_x^2` and `-eta int u_xx^2`."""
        field, grid = u.select(-2, 0), grid.to(u)
        return {
            "viscosity": -self.viscosity * grid.integrate(grid.differentiate(field).square()),
            "hyperviscosity": -self.hyperviscosity * grid.integrate(grid.differentiate(field, 2).square()),
        }

    def suggested_step(self, grid: Grid) -> float:
        """A tenth of a cell per step at the speed `a`, at most 0.05."""
        speed = abs(torch.as_tensor(self.advection).detach().item())
        return min(0.05, 0.1 * grid.spacing[0] / max(speed, 1e-9))

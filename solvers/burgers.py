"""The viscous Burgers equation."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .convection import convection, inverse, transform
from .equation import Coefficient, Equation, Map, not_negative, semilinear_tendency
from .etdrk import ETDRK4
from .grid import Grid
from .initial_conditions import InitialCondition, RandomFourierSeries
from .shapes import Complex, Float
from .stepper import Stepper


@dataclass(frozen=True)
class Burgers(Equation):
    """Viscous Burgers equation in one dimension,

        u_t = -u u_x + nu u_xx.

    Waves steepen into fronts of width `~ nu / jump(u)` and then decay. The mean of `u` is conserved; the energy `u^2/2`
    decays at the rate `nu u_x^2`. The Cole-Hopf map `u = -2 nu (log f)_x` turns it into the heat equation `f_t = nu
    f_xx`, which gives exact solutions.

    A front of jump `J` needs `N >~ L J / nu` points for errors of 1e-6: on a box of `2 pi` with `u ~ 1`, 128 for
    `nu = 0.1`, 256 for 0.05 and 1024 for 0.01. Steps of half a cell (`dt = 0.01` at 256 points) are accurate.

    Attributes:
        viscosity: `nu > 0`, in length^2 / time.

    Reference:
        Hopf (1950), doi:10.1002/cpa.3160030302; Cole (1951), doi:10.1090/qam/42889.
    """

    viscosity: Coefficient = 0.1

    name: ClassVar[str] = "burgers"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    units: ClassVar[tuple[str, ...]] = ("length / time",)
    conserved: ClassVar[tuple[str, ...]] = ("mass",)
    default_stepper: ClassVar[type[Stepper]] = ETDRK4
    default_initial_condition: ClassVar[InitialCondition] = RandomFourierSeries(modes=4, decay=1.0, rms=0.7)

    def __post_init__(self) -> None:
        not_negative(viscosity=self.viscosity)

    def transform(self, u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
        return transform(u, grid)

    def inverse(self, u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return inverse(u_hat, grid)

    def linear(self, grid: Grid) -> Complex[Tensor, "1 k"]:
        return (self.viscosity * grid.laplacian())[None].to(grid.complex_dtype)

    def nonlinear(self, grid: Grid) -> Map:
        return convection(grid)

    def tendency(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return semilinear_tendency(self, u, grid)

    def densities(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """`mass`: `u`, conserved; `energy`: `u^2/2`, which decays (see `budget`)."""
        field = u.select(-2, 0)
        return {"mass": field, "energy": field.square() / 2}

    def budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d energy / dt`: `dissipation = -nu int u_x^2`."""
        slope = grid.to(u).differentiate(u.select(-2, 0))
        return {"dissipation": -self.viscosity * grid.integrate(slope.square())}

    def suggested_step(self, grid: Grid) -> float:
        """Half a cell per step at unit speed."""
        return min(0.05, 0.5 * grid.spacing[0])

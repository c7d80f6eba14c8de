"""The Kuramoto-Sivashinsky equation."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .convection import convection, inverse, transform
from .equation import Equation, Map, semilinear_tendency
from .etdrk import ETDRK4
from .grid import Grid
from .initial_conditions import InitialCondition, RandomFourierSeries
from .shapes import Complex, Float
from .stepper import Stepper


@dataclass(frozen=True)
class KuramotoSivashinsky(Equation):
    """Kuramoto-Sivashinsky equation in one dimension,

        u_t = -u u_x - u_xx - u_xxxx.

    Modes with `k < 1` grow, shorter ones are damped, and advection carries energy between them: spatio-temporal chaos
    of wavelength about `2 pi sqrt(2)` for `L` above about 20. The mean of `u` is conserved; the energy `u^2/2` is
    produced at the rate `u_x^2` and dissipated at the rate `u_xx^2`, which balance on average. Lengths and times are
    dimensionless.

    Three points per unit length resolve it to 1e-7, six to rounding; `dt = 0.05` keeps the error of a unit of time
    near 1e-6. The usual box `L = 22` with 64 points has a largest Lyapunov exponent of 0.048. Smooth random
    fields need a warm-up of about 100 to reach the attractor.

    Reference:
        Kuramoto & Tsuzuki (1976), doi:10.1143/PTP.55.356; Sivashinsky (1977), doi:10.1016/0094-5765(77)90096-0.
    """

    name: ClassVar[str] = "kuramoto_sivashinsky"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    units: ClassVar[tuple[str, ...]] = ("1",)
    conserved: ClassVar[tuple[str, ...]] = ("mass",)
    default_stepper: ClassVar[type[Stepper]] = ETDRK4
    default_initial_condition: ClassVar[InitialCondition] = RandomFourierSeries(modes=4, decay=0.5, rms=1.0)

    def transform(self, u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
        return transform(u, grid)

    def inverse(self, u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return inverse(u_hat, grid)

    def linear(self, grid: Grid) -> Complex[Tensor, "1 k"]:
        return -(grid.derivative(2) + grid.derivative(4))[None]

    def nonlinear(self, grid: Grid) -> Map:
        return convection(grid)

    def tendency(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return semilinear_tendency(self, u, grid)

    def densities(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """`mass`: `u`, conserved; `energy`: `u^2/2`, which follows `budget`."""
        field = u.select(-2, 0)
        return {"mass": field, "energy": field.square() / 2}

    def budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d energy / dt`: `production = int u_x^2` and `dissipation = -int u_xx^2`."""
        field, grid = u.select(-2, 0), grid.to(u)
        return {
            "production": grid.integrate(grid.differentiate(field).square()),
            "dissipation": -grid.integrate(grid.differentiate(field, 2).square()),
        }

    def suggested_step(self, grid: Grid) -> float:
        """A quarter of a cell per step at unit speed, at most 0.1."""
        return min(0.1, 0.25 * grid.spacing[0])

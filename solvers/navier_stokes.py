"""Two-dimensional incompressible Navier-Stokes equations in vorticity form."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from .equation import Coefficient, Equation, Map, not_negative, semilinear_tendency
from .etdrk import ETDRK4
from .grid import Grid, columns
from .initial_conditions import BandLimitedField, InitialCondition
from .shapes import Complex, Float
from .stepper import Stepper


@runtime_checkable
class Forcing(Protocol):
    """A steady body force, as acceleration `[2, x, y]`."""

    def __call__(self, grid: Grid) -> Float[Tensor, "2 x y"]:
        """Its components along `x` and `y` at the grid's points."""
        ...


@dataclass(frozen=True)
class KolmogorovForcing:
    """Shear force `f = F sin(2 pi n y / L) e_x`.

    Its laminar flow has the vorticity `w = -F k cos(k y) / (nu k^2 + mu)`, `k = 2 pi n / L`, on a box of any size.

    Attributes:
        amplitude: `F`, in length / time^2.
        wavenumber: `n`, the number of periods in the box along `y`.
    """

    amplitude: Coefficient = 1.0
    wavenumber: int = 4

    def __call__(self, grid: Grid) -> Float[Tensor, "2 x y"]:
        if not 0 < 3 * self.wavenumber < grid.points[1]:
            raise ValueError(
                f"wavenumber must be in 1 .. points / 3 of axis y ({grid.points[1]}), got {self.wavenumber}"
            )
        y = grid.coordinates()[1].expand(grid.points)
        shear = self.amplitude * torch.sin(2 * math.pi * self.wavenumber / grid.lengths[1] * y)
        return torch.stack((shear, torch.zeros_like(shear)))


@dataclass(frozen=True)
class NavierStokes(Equation):
    """Navier-Stokes equations in two dimensions for the vorticity `w = v_x - u_y` of the velocity `(u, v)`,

        w_t = -u w_x - v w_y + nu (w_xx + w_yy) - mu w + curl f.

    The space axes are `x, y`. The velocity `u = psi_y, v = -psi_x` with `psi_xx + psi_yy = -w` has no mean, nor has
    `w`; a mean of the initial field is dropped. Decaying flows merge like-signed vortices. Without viscosity, drag
    and force, energy and enstrophy are conserved; with them `budget` and `enstrophy_budget` hold.

    Products are formed under the 2/3 rule as `curl div (u u) = (d_xx - d_yy)(u v) + d_xy (v^2 - u^2)`, four
    transforms instead of five and the same result to rounding: Basdevant (1983), J. Comput. Phys. 50, 209. States hold
    the kept modes of the last axis alone. Resolving enstrophy cascades of unit velocity on a box of `2 pi` wants about
    `N = 4 / sqrt(nu)` points: 128^2, and `dt = 0.01`, for a viscosity of 1e-3.

    Attributes:
        viscosity: `nu >= 0`, in length^2 / time.
        drag: `mu >= 0`, linear friction, in 1 / time.
        forcing: `f`, a steady body force such as `KolmogorovForcing`, or none.
    """

    viscosity: Coefficient = 1e-3
    drag: Coefficient = 0.0
    forcing: Forcing | None = None

    name: ClassVar[str] = "navier_stokes"
    channels: ClassVar[tuple[str, ...]] = ("vorticity",)
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    units: ClassVar[tuple[str, ...]] = ("1 / time",)
    conserved: ClassVar[tuple[str, ...]] = ("circulation",)
    default_stepper: ClassVar[type[Stepper]] = ETDRK4
    default_initial_condition: ClassVar[InitialCondition] = BandLimitedField(low=2, high=5, rms=3.0)

    def __post_init__(self) -> None:
        not_negative(viscosity=self.viscosity, drag=self.drag)

    def transform(self, u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
        return columns(kept(grid)) * grid.rfft(u, grid.kept())

    def inverse(self, u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return grid.irfft(u_hat)

    def linear(self, grid: Grid) -> Complex[Tensor, "1 k l"]:
        symbol = self.viscosity * grid.laplacian()[..., : grid.kept()] - self.drag
        return columns(symbol[None].to(grid.complex_dtype))

    def nonlinear(self, grid: Grid) -> Map:
        keep = grid.kept()
        to_u, to_v = (columns(symbol) for symbol in velocity_symbol(grid)[..., :keep].split(1))
        shear = grid.derivative(2, 0) - grid.derivative(2, 1)
        strain = grid.derivative(1, 0) * grid.derivative(1, 1)
        shear, strain = (columns(-kept(grid) * symbol[None, ..., :keep]) for symbol in (shear, strain))
        source = self._curl(grid)

        def advection(w_hat: Tensor) -> Tensor:
            # One field at a time: half the size, twice the chance to find it in the cache.
            u, v = grid.irfft(to_u * w_hat), grid.irfft(to_v * w_hat)
            difference = torch.addcmul(v.square(), u, u, value=-1)
            tendency = torch.addcmul(shear * grid.rfft(u * v, keep), strain, grid.rfft(difference, keep))
            return tendency if source is None else tendency + source

        return advection

    def tendency(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return semilinear_tendency(self, u, grid)

    def velocity(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        """Velocity `[..., 2, x, y]` of the vorticity `[..., 1, x, y]`, in length / time."""
        grid = grid.to(u)
        return grid.irfft(velocity_symbol(grid) * grid.rfft(u))

    def densities(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """`circulation`: `w`, of integral zero; `energy`: `(u^2 + v^2) / 2`; `enstrophy`: `w^2 / 2`."""
        vorticity = u.select(-3, 0)
        return {
            "circulation": vorticity,
            "energy": self.velocity(u, grid).square().sum(-3) / 2,
            "enstrophy": vorticity.square() / 2,
        }

    def budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d energy / dt`: dissipation `-nu int w^2`, drag `-2 mu energy`, injection `int f . (u, v)`."""
        grid, velocity = grid.to(u), self.velocity(u, grid)
        force = torch.zeros_like(velocity) if self.forcing is None else self.forcing(grid)
        return {
            "dissipation": -self.viscosity * grid.integrate(u.select(-3, 0).square()),
            "drag": -self.drag * grid.integrate(velocity.square().sum(-3)),
            "injection": grid.integrate((force * velocity).sum(-3)),
        }

    def enstrophy_budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d enstrophy / dt`: `-nu int |grad w|^2`, `-2 mu enstrophy`, `int w curl f`."""
        grid, w = grid.to(u), u.select(-3, 0)
        slope = grid.differentiate(w, 1, 0).square() + grid.differentiate(w, 1, 1).square()
        source = self._curl(grid)
        curl = torch.zeros_like(w) if source is None else grid.irfft(source)[0]
        return {
            "dissipation": -self.viscosity * grid.integrate(slope),
            "drag": -self.drag * grid.integrate(w.square()),
            "injection": grid.integrate(curl * w),
        }

    def suggested_step(self, grid: Grid) -> float:
        """Half a cell per step at unit speed."""
        return min(0.05, 0.5 * min(grid.spacing))

    def _curl(self, grid: Grid) -> Complex[Tensor, "1 k l"] | None:
        """Coefficients of `curl f` on the kept modes."""
        if self.forcing is None:
            return None
        along_x, along_y = grid.rfft(self.forcing(grid), grid.kept())
        curl = grid.derivative(1, 0) * along_y - grid.derivative(1, 1)[..., : grid.kept()] * along_x
        return columns((kept(grid) * curl)[None])


def kept(grid: Grid) -> Float[Tensor, "k l"]:
    """One on the modes that the state lives on: the 2/3 rule, without the mean. Columns of zeros are left out."""
    return (grid.dealias() * (grid.laplacian() < 0).to(grid.dtype))[..., : grid.kept()]


def velocity_symbol(grid: Grid) -> Complex[Tensor, "2 k l"]:
    """`(d_y, -d_x) / -(d_xx + d_yy)`, from vorticity to velocity; zero for the mean."""
    laplacian = grid.laplacian()
    inverse = torch.where(laplacian < 0, -1 / laplacian.clamp(max=-torch.finfo(grid.dtype).tiny), 0.0)
    return torch.stack((grid.derivative(1, 1) * inverse, -grid.derivative(1, 0) * inverse))

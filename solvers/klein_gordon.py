"""The nonlinear Klein-Gordon equation and its potentials."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from .equation import Coefficient, Equation, Map
from .grid import Grid
from .initial_conditions import InitialCondition, RandomWave
from .shapes import Float
from .stepper import Stepper
from .symplectic import SymplecticRKN4


@runtime_checkable
class Potential(Protocol):
    """`V(phi)` of a field equation `phi_tt = Laplacian phi - V'(phi)`."""

    def energy(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """`V(phi)`."""
        ...

    def slope(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """`V'(phi)`."""
        ...

    def curvature(self) -> Coefficient:
        """`V''` in the vacuum: the squared frequency of long waves."""
        ...


@dataclass(frozen=True)
class Linear:
    """`V = m^2 phi^2 / 2`: waves of frequency `sqrt(k^2 + m^2)`.

    Attributes:
        mass: `m`, in 1 / time.
    """

    mass: Coefficient = 1.0

    def energy(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.mass**2 / 2 * phi.square()

    def slope(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.mass**2 * phi

    def curvature(self) -> Coefficient:
        return self.mass**2


@dataclass(frozen=True)
class Phi4:
    """`V = lambda (phi^2 - v^2)^2 / 4`: two vacua `+-v`, joined by kinks `v tanh(sqrt(lambda / 2) v x)`.

    Attributes:
        coupling: `lambda`.
        vacuum: `v`.
    """

    coupling: Coefficient = 1.0
    vacuum: Coefficient = 1.0

    def energy(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.coupling / 4 * (phi.square() - self.vacuum**2).square()

    def slope(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.coupling * phi * (phi.square() - self.vacuum**2)

    def curvature(self) -> Coefficient:
        return 2 * self.coupling * self.vacuum**2


@dataclass(frozen=True)
class SineGordon:
    """`V = 1 - cos phi`: vacua `2 pi n`, kinks `4 atan e^x`, breathers; integrable."""

    def energy(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return 1 - torch.cos(phi)

    def slope(self, phi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.sin(phi)

    def curvature(self) -> Coefficient:
        return 1.0


@dataclass(frozen=True)
class KleinGordon(Equation):
    """Klein-Gordon equation in one or two dimensions, with the velocity `phi_t` as second channel,

        phi_tt = Laplacian phi - V'(phi).

    Signals travel at most at speed one. Linear waves disperse; `Phi4` kinks collide, bounce and radiate; `SineGordon`
    solitons pass through each other. Energy is conserved, and momentum as far as the field is resolved. Dimensionless.

    Kinks and breathers of width one want six points per unit length: 512 for `L = 80` reach rounding. All modes are
    kept. A breather over 60 time units is in error by 2e-8 with `SymplecticRKN4` and `dt = 0.08`, half of what keeps it
    stable on that grid; `StoermerVerlet` is in error by 2e-6 with five times the work.

    Attributes:
        potential: `V`, an object with `energy`, `slope` and `curvature`.
    """

    potential: Potential = field(default_factory=SineGordon)

    name: ClassVar[str] = "klein_gordon"
    channels: ClassVar[tuple[str, ...]] = ("phi", "phi_t")
    dimensions: ClassVar[tuple[int, ...]] = (1, 2)
    units: ClassVar[tuple[str, ...]] = ("1", "1 / time")
    conserved: ClassVar[tuple[str, ...]] = ("energy", "momentum")
    default_stepper: ClassVar[type[Stepper]] = SymplecticRKN4
    default_initial_condition: ClassVar[InitialCondition] = RandomWave(modes=4, decay=1.0, rms=1.0)

    def force(self, grid: Grid) -> Map:
        # Complex, as are the coefficients: a product of two types is slower.
        laplacian, slope = grid.laplacian().to(grid.complex_dtype), self.potential.slope

        def acceleration(phi: Tensor) -> Tensor:
            return grid.irfft(grid.rfft(phi).mul_(laplacian)).sub_(slope(phi))

        return acceleration

    def largest_frequency(self, grid: Grid) -> float:
        curvature = torch.as_tensor(self.potential.curvature()).detach().item()
        return math.sqrt((-grid.laplacian()).max().item() + max(curvature, 0.0))

    def pack(self, u: Float[Tensor, "..."]) -> Tensor:
        return u

    def unpack(self, state: Tensor) -> Float[Tensor, "..."]:
        return state

    def linear_flow(self, grid: Grid, dt: float) -> Map:
        """Waves of frequency `w = sqrt(k^2 + V''(vacuum))`, exactly."""
        double = grid.to(torch.float64)
        frequency = torch.sqrt(self.potential.curvature() - double.laplacian())
        # An increment, not a product: float32 keeps its digits over many steps.
        c, s = -2 * torch.sin(frequency * dt / 2) ** 2, dt * torch.sinc(frequency * dt / math.pi)
        c, s, r = (weight.to(grid.dtype) for weight in (c, s, -(frequency**2) * s))
        axis = -1 - grid.ndim

        def rotation(state: Tensor) -> Tensor:
            phi, velocity = grid.rfft(state).unbind(axis)
            return state + grid.irfft(torch.stack((c * phi + s * velocity, r * phi + c * velocity), dim=axis))

        return rotation

    def nonlinear_flow(self, grid: Grid, dt: float) -> Map:
        """A kick by the force that is left when `V''(vacuum) phi` is taken out."""
        axis, stiffness, slope = -1 - grid.ndim, self.potential.curvature(), self.potential.slope

        def kick(state: Tensor) -> Tensor:
            phi, velocity = state.unbind(axis)
            return torch.stack((phi, velocity + dt * (stiffness * phi - slope(phi))), dim=axis)

        return kick

    def tendency(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        phi, velocity = u.unbind(-1 - grid.ndim)
        return torch.stack((velocity, self.force(grid.to(u))(phi)), dim=-1 - grid.ndim)

    def densities(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Both conserved: `energy`, `phi_t^2/2 + |grad phi|^2/2 + V`; `momentum`, `-phi_t phi_x`.

        Slopes leave out the Nyquist mode (see `Grid.derivative`), which a resolved field does not carry.
        """
        grid = grid.to(u)
        phi, velocity = u.unbind(-1 - grid.ndim)
        slopes = [grid.differentiate(phi, axis=axis) for axis in range(grid.ndim)]
        stretch = sum((slope.square() / 2 for slope in slopes), velocity.square() / 2)
        return {"energy": stretch + self.potential.energy(phi), "momentum": -velocity * slopes[0]}

    def suggested_step(self, grid: Grid) -> float:
        """Three quarters of the stability limit of Stoermer-Verlet, half of that of `SymplecticRKN4`."""
        return 1.5 / self.largest_frequency(grid)

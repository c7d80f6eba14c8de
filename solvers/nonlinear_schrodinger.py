"""The cubic nonlinear Schroedinger equation."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .equation import Equation, Map, semilinear_tendency
from .grid import Grid
from .initial_conditions import InitialCondition, RandomComplexField
from .shapes import Complex, Float
from .splitting import BlanesMoan4
from .stepper import Stepper


@dataclass(frozen=True)
class NonlinearSchrodinger(Equation):
    """Cubic nonlinear Schroedinger equation in one dimension, for `psi = re + i im`,

        psi_t = i psi_xx / 2 + i g |psi|^2 psi,

    with `g = 1` (focusing) or `g = -1` (defocusing). Focusing: bright solitons `A sech(A (x - vt)) exp(i (vx + (A^2 -
    v^2) t / 2))` that pass through each other, and modulation instability of plane waves `A` at wavenumbers `K < 2
    A`, with growth rate `K sqrt(A^2 - K^2/4)`. Defocusing: dispersive shocks and dark solitons. Mass, momentum and
    energy are conserved. Dimensionless.

    Solitons of amplitude `A` reach rounding with `N = 7 A L` points in splittings, which use all modes, and with twice
    as many in `ETDRK4`, which works on the modes `|m| < N/4` free of aliasing. `BlanesMoan4` keeps mass to rounding and
    carries a soliton of `A = 2` over 20 time units with errors of 2e-7 for `dt = 0.02` and 8e-10 for `dt = 0.01`.

    On plane waves, steps of `dt > 2 pi / k_max^2 = pi / (highest frequency)` can resonate with a splitting. Noise on a
    wave of amplitude one then grows at a rate of 0.9 in `Strang`, 0.7 in `Yoshida4`, 0.4 in `BlanesMoan4` and there
    only from twice that step on, and not measurably in `BlanesMoan6`.

    Attributes:
        focusing: the sign of `g`.

    Reference:
        Zakharov & Shabat (1972), Soviet Physics JETP 34, 62.
    """

    focusing: bool = True

    name: ClassVar[str] = "nonlinear_schrodinger"
    channels: ClassVar[tuple[str, ...]] = ("re", "im")
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    units: ClassVar[tuple[str, ...]] = ("1", "1")
    conserved: ClassVar[tuple[str, ...]] = ("mass", "momentum", "energy")
    default_stepper: ClassVar[type[Stepper]] = BlanesMoan4
    default_initial_condition: ClassVar[InitialCondition] = RandomComplexField(modes=4, decay=1.0, rms=1.0)

    @property
    def coupling(self) -> float:
        """`g`, one or minus one."""
        return 1.0 if self.focusing else -1.0

    def transform(self, u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
        return grid.dealias(1 / 2, full=True) * grid.fft(self.pack(u))

    def inverse(self, u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return self.unpack(grid.ifft(u_hat))

    def linear(self, grid: Grid) -> Complex[Tensor, "1 k"]:
        return 0.5j * grid.laplacian(full=True)[None]

    def nonlinear(self, grid: Grid) -> Map:
        factor = 1j * self.coupling * grid.dealias(1 / 2, full=True)

        def interaction(psi_hat: Tensor) -> Tensor:
            psi = grid.ifft(psi_hat)
            return factor * grid.fft(density(psi) * psi)

        return interaction

    def pack(self, u: Float[Tensor, "..."]) -> Tensor:
        re, im = u.split(1, dim=-2)
        return torch.complex(re, im)

    def unpack(self, state: Tensor) -> Float[Tensor, "..."]:
        return torch.cat((state.real, state.imag), dim=-2)

    def linear_flow(self, grid: Grid, dt: float) -> Map:
        # An increment, not a product: float32 keeps its digits over many steps.
        turn = torch.expm1(self.linear(grid.to(torch.float64)) * dt).to(grid.complex_dtype)

        def dispersion(psi: Tensor) -> Tensor:
            return grid.ifft(grid.fft(psi).mul_(turn)).add_(psi)

        return dispersion

    def largest_frequency(self, grid: Grid) -> float:
        return (-grid.laplacian(full=True)).max().item() / 2

    def nonlinear_flow(self, grid: Grid, dt: float) -> Map:
        rate = self.coupling * dt / 2

        def rotation(psi: Tensor) -> Tensor:
            # e^{ia} - 1 = 2 t (i - t) / (1 + t^2) with t = tan(a/2): one tangent is faster than a sine and a cosine.
            tangent = torch.tan(density(psi).mul_(rate))
            imaginary = tangent / tangent.square().add_(1).mul_(0.5)
            return (psi * torch.complex(-imaginary * tangent, imaginary)).add_(psi)

        return rotation

    def tendency(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        return semilinear_tendency(self, u, grid)

    def densities(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """All conserved: `mass` `|psi|^2`, `momentum` `Im psi* psi_x`, `energy` `(|psi_x|^2 - g |psi|^4) / 2`."""
        slope = grid.to(u).differentiate(u)
        (re, im), (re_x, im_x) = u.unbind(-2), slope.unbind(-2)
        squared = re.square() + im.square()
        return {
            "mass": squared,
            "momentum": re * im_x - im * re_x,
            "energy": (re_x.square() + im_x.square() - self.coupling * squared.square()) / 2,
        }

    def suggested_step(self, grid: Grid) -> float:
        """A step below the resonances of splittings, `pi / (highest frequency)`, at most 0.05."""
        return min(0.05, 0.95 * torch.pi / self.largest_frequency(grid))


def density(psi: Complex[Tensor, "..."]) -> Float[Tensor, "..."]:
    """`|psi|^2`, smooth at zero."""
    re, im = psi.real, psi.imag
    return re.square().addcmul_(im, im)

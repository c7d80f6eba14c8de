"""The term `-u u_x` of one-dimensional equations, and the Fourier coefficients it acts on."""

from torch import Tensor

from .equation import Coefficient, Scaled
from .grid import Grid
from .shapes import Complex, Float


def transform(u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
    """Coefficients on the modes that the 2/3 rule keeps; zero on the others."""
    return grid.dealias() * grid.rfft(u)


def inverse(u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
    """Field of the coefficients."""
    return grid.irfft(u_hat)


def convection(grid: Grid, speed: Coefficient = 1.0) -> Scaled:
    """`-speed (u^2 / 2)_x` on the kept modes, from coefficients to coefficients: two transforms, and no aliasing."""
    factor = -speed * grid.dealias() * grid.derivative() / 2
    return Scaled(factor, lambda u_hat: grid.rfft(grid.irfft(u_hat).square()))

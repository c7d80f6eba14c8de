"""Steady body forces of the two-dimensional Navier-Stokes equations, beside `KolmogorovForcing`."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .equation import Coefficient
from .grid import Grid
from .shapes import Float


@dataclass(frozen=True)
class DiagonalForcing:
    """Body force without divergence whose curl is

        A (sin s + cos s),  s = 2 pi n (x / L_x + y / L_y),

    so the vorticity is driven in stripes along a diagonal of the box: `f = A (-k_y, k_x) (sin s - cos s) / |k|^2` with
    `k = 2 pi n (1 / L_x, 1 / L_y)`. `A = 0.1`, `n = 1` on the unit square is the flow of Li et al. (2021),
    arXiv:2010.08895, section 5.3.

    Attributes:
        amplitude: `A`, of the curl, in 1 / time^2.
        wavenumber: `n`, periods of the force in the box along each axis.
    """

    amplitude: Coefficient = 0.1
    wavenumber: int = 1

    def __call__(self, grid: Grid) -> Float[Tensor, "2 x y"]:
        if not 0 < 3 * self.wavenumber < min(grid.points):
            raise ValueError(f"wavenumber must be in 1 .. points / 3 of {grid.points}, got {self.wavenumber}")
        kx, ky = (2 * math.pi * self.wavenumber / length for length in grid.lengths)
        x, y = grid.coordinates()
        wave = self.amplitude / (kx * kx + ky * ky) * (torch.sin(kx * x + ky * y) - torch.cos(kx * x + ky * y))
        return torch.stack((-ky * wave, kx * wave))

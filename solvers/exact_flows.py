"""Exact solutions of the Burgers and Navier-Stokes equations on periodic boxes."""

import math

import torch
from torch import Tensor

from .exact_kinks import line, plane
from .grid import Grid, Number
from .shapes import Float

# Trapezoid steps per width of the narrowest peak, and how far `e^-REACH` reaches.
PER_WIDTH = 3
REACH = 40


def cole_hopf_wave(grid: Grid, time: Number, *, viscosity: Number, amplitude: Number = 0.9) -> Float[Tensor, "1 n"]:
    """Burgers: `u = 2 nu k b sin kx / (1 + b cos kx)`, with `b = a e^{-nu k^2 t}`, `k = 2 pi / L` and `|a| < 1`.

    Cole (1951), doi:10.1090/qam/42889.
    """
    if not abs(amplitude) < 1:
        raise ValueError(f"amplitude must be between -1 and 1, got {amplitude}")
    (x,), k = line(grid), 2 * math.pi / grid.lengths[0]
    decayed = amplitude * math.exp(-viscosity * k**2 * time)
    return (2 * viscosity * k * decayed * torch.sin(k * x) / (1 + decayed * torch.cos(k * x)))[None]


def cole_hopf_sine(grid: Grid, time: Number, *, viscosity: Number, amplitude: Number = 1.0) -> Float[Tensor, "1 n"]:
    """Burgers from `u = A sin kx`, `k = 2 pi / L`, with any viscosity: `A <sin(s - 2 sqrt(nu' t') z)>`.

    The mean is over `z` with the weight `exp(-z^2 + (cos(s - 2 sqrt(nu' t') z) - 1) / (2 nu'))`, at `s = kx`, `t' = A k
    t`, `nu' = nu k / A`. The weight is positive, its largest exponent is taken out, and the trapezoid rule converges
    like `e^{-2 pi^2 (width / step)^2}`, so that nothing cancels or overflows. Cole (1951), doi:10.1090/qam/42889.
    """
    if not (viscosity > 0 and amplitude > 0 and time >= 0):
        raise ValueError(
            f"viscosity and amplitude must be positive, time not negative, got {viscosity}, {amplitude}, {time}"
        )
    (x,), k = line(grid), 2 * math.pi / grid.lengths[0]
    age, nu = amplitude * k * time, viscosity * k / amplitude
    step, reach = 1 / (PER_WIDTH * math.sqrt(2 * (1 + age))), math.sqrt(1 / nu + REACH)
    z = step * torch.arange(-math.ceil(reach / step), math.ceil(reach / step) + 1, dtype=grid.dtype, device=grid.device)

    def mean_sine(x: Tensor) -> Tensor:
        y = k * x[:, None] - 2 * math.sqrt(nu * age) * z
        return (torch.softmax(-z.square() + (torch.cos(y) - 1) / (2 * nu), dim=1) * torch.sin(y)).sum(1)

    # In pieces, for the memory.
    return amplitude * torch.cat([mean_sine(part) for part in x.split(256)])[None]


def cole_hopf_plane(
    grid: Grid,
    time: Number,
    *,
    viscosity: Number,
    modes: tuple[tuple[int, int], ...] = ((1, 0), (0, 1), (2, -1)),
    amplitudes: tuple[Number, ...] = (0.4, 0.3, 0.2),
) -> Float[Tensor, "2 x y"]:
    """Burgers for a velocity in the plane: `-2 nu grad log f`, `f = 1 + sum_j a_j e^{-nu |k_j|^2 t} cos(k_j x + j)`.

    `f > 0` solves the heat equation, with `k_j = 2 pi m_j / L` and `sum |a_j| < 1`; the velocity is a gradient, for
    which `(u . grad) u = grad |u|^2 / 2`. Fletcher (1983), doi:10.1002/fld.1650030302.
    """
    if not sum(abs(a) for a in amplitudes) < 1:
        raise ValueError(f"the absolute values of amplitudes must add up to less than 1, got {amplitudes}")
    heat = torch.ones(grid.points, dtype=grid.dtype, device=grid.device)
    slope = torch.zeros(2, *grid.points, dtype=grid.dtype, device=grid.device)
    for j, (mode, amplitude) in enumerate(zip(modes, amplitudes, strict=True)):
        k, phase = wave(grid, mode)
        decayed = amplitude * math.exp(-viscosity * (k[0] ** 2 + k[1] ** 2) * time)
        heat = heat + decayed * torch.cos(phase + j)
        slope = slope - decayed * torch.stack([component * torch.sin(phase + j) for component in k])
    return -2 * viscosity * slope / heat


def taylor_green(
    grid: Grid, time: Number, *, viscosity: Number, drag: Number = 0.0, wavenumber: int = 1
) -> Float[Tensor, "1 x y"]:
    """Navier-Stokes: `w = 2 k cos kx cos ky e^{-(2 nu k^2 + mu) t}` on a square, with `k = 2 pi wavenumber / L`."""
    if len(set(grid.lengths)) != 1:
        raise ValueError(f"Taylor-Green needs a square box, got lengths {grid.lengths}")
    (x, y), k = plane(grid), 2 * math.pi * wavenumber / grid.lengths[0]
    decay = math.exp(-(2 * viscosity * k**2 + drag) * time)
    return (2 * k * decay * torch.cos(k * x) * torch.cos(k * y))[None]


def shell_flow(
    grid: Grid,
    time: Number,
    *,
    viscosity: Number,
    drag: Number = 0.0,
    modes: tuple[tuple[int, int], ...] = ((5, 0), (3, 4), (4, -3)),
    amplitudes: tuple[Number, ...] = (1.0, 0.7, 0.4),
) -> Float[Tensor, "1 x y"]:
    """Navier-Stokes: `w = sum_j a_j cos(k_j x + j) e^{-(nu k^2 + mu) t}` with all `|k_j| = k` equal, `k_j = 2 pi m_j /
    L`.

    `w = k^2 psi`, so that its advection vanishes although the products of its waves do not.
    """
    squares = [sum(component**2 for component in wave(grid, mode)[0]) for mode in modes]
    if max(squares) - min(squares) > 1e-12 * max(squares):
        raise ValueError(f"modes must have wavenumbers of one size, got squares {squares} on lengths {grid.lengths}")
    decay = math.exp(-(viscosity * squares[0] + drag) * time)
    waves = [a * torch.cos(wave(grid, m)[1] + j) for j, (m, a) in enumerate(zip(modes, amplitudes, strict=True))]
    return decay * torch.stack(waves).sum(0, keepdim=True)


def shear_flow(
    grid: Grid,
    time: Number,
    *,
    viscosity: Number,
    drag: Number = 0.0,
    amplitudes: tuple[Number, ...] = (1.0, 0.5, 0.25),
) -> Float[Tensor, "1 x y"]:
    """Navier-Stokes: `w(y) = sum_j a_j cos(j (k y + 1)) e^{-(nu j^2 k^2 + mu) t}`, `j = 1, 2, ...`, `k = 2 pi / L_y`.

    A flow along `x` that varies with `y` alone does not advect itself; each wave decays at its own rate.
    """
    y, k = plane(grid)[1], 2 * math.pi / grid.lengths[1]
    rates = [viscosity * (j * k) ** 2 + drag for j in range(1, len(amplitudes) + 1)]
    waves = [
        a * math.exp(-rate * time) * torch.cos(j * (k * y + 1))
        for j, (a, rate) in enumerate(zip(amplitudes, rates, strict=True), 1)
    ]
    return torch.stack(waves).sum(0).expand(grid.points)[None].clone()


def kolmogorov_laminar(
    grid: Grid,
    time: Number,
    *,
    viscosity: Number,
    drag: Number = 0.0,
    amplitude: Number = 1.0,
    wavenumber: int = 4,
    start: Number = 1.0,
) -> Float[Tensor, "1 x y"]:
    """Navier-Stokes under `KolmogorovForcing(F, n)`: `w = -F k cos(ky) / r (1 + (start - 1) e^{-rt})`.

    With `r = nu k^2 + mu` and `k = 2 pi n / L_y`. `start = 1` is the steady flow, `start = 0` its spin-up from rest.
    """
    y, k = plane(grid)[1].expand(grid.points), 2 * math.pi * wavenumber / grid.lengths[1]
    rate = viscosity * k**2 + drag
    if not rate > 0:
        raise ValueError(f"viscosity or drag must be positive, got {viscosity} and {drag}: nothing holds the forcing")
    share = 1 + (start - 1) * math.exp(-rate * time)
    return -(amplitude * k / rate * share * torch.cos(k * y))[None]


def wave(grid: Grid, mode: tuple[int, int]) -> tuple[tuple[float, float], Float[Tensor, "x y"]]:
    """Wavenumbers of a mode of the plane and the phase `k . x` at the grid's points."""
    (x, y), (a, b) = plane(grid), (2 * math.pi * m / n for m, n in zip(mode, grid.lengths, strict=True))
    return (a, b), a * x + b * y

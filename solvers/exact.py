"""Exact solutions on periodic boxes, `[channel, *space]`: reference values, and initial data with a known fate."""

import math

import torch
from torch import Tensor

from .grid import Grid, Number
from .shapes import Float


def cole_hopf_wave(grid: Grid, time: Number, *, viscosity: Number, amplitude: Number = 0.9) -> Float[Tensor, "1 n"]:
    """Burgers: `u = 2 nu k b sin kx / (1 + b cos kx)`, with `b = a e^{-nu k^2 t}`, `k = 2 pi / L` and `|a| < 1`."""
    if not abs(amplitude) < 1:
        raise ValueError(f"amplitude must be between -1 and 1, got {amplitude}")
    (x,), k = grid.coordinates(), 2 * math.pi / grid.lengths[0]
    decayed = amplitude * math.exp(-viscosity * k**2 * time)
    return (2 * viscosity * k * decayed * torch.sin(k * x) / (1 + decayed * torch.cos(k * x)))[None]


def taylor_green(
    grid: Grid, time: Number, *, viscosity: Number, drag: Number = 0.0, wavenumber: int = 1
) -> Float[Tensor, "1 x y"]:
    """Navier-Stokes: `w = 2 k cos kx cos ky e^{-(2 nu k^2 + mu) t}` on a square, with `k = 2 pi wavenumber / L`."""
    if len(set(grid.lengths)) != 1:
        raise ValueError(f"Taylor-Green needs a square box, got lengths {grid.lengths}")
    (x, y), k = grid.coordinates(), 2 * math.pi * wavenumber / grid.lengths[0]
    decay = math.exp(-(2 * viscosity * k**2 + drag) * time)
    return (2 * k * decay * torch.cos(k * x) * torch.cos(k * y))[None]


def bright_soliton(
    grid: Grid, time: Number, *, amplitude: Number = 1.0, turns: int = 0, position: Number = 0.0
) -> Float[Tensor, "2 n"]:
    """Focusing NLSE: `A sech(A (x - x_0 - v t)) exp(i (v x + (A^2 - v^2) t / 2))` with its neighbour images.

    The speed is `v = 2 pi turns / L`, so that the carrier is periodic; exact up to the overlap `e^{-A L}` of the
    images.
    """
    (x,), length = grid.coordinates(), grid.lengths[0]
    speed = 2 * math.pi * turns / length
    offset = wrapped(x - position - speed * time, length)
    envelope = sum((sech(amplitude * (offset + image * length)) for image in (-1, 0, 1)), torch.zeros_like(x))
    phase = speed * x + (amplitude**2 - speed**2) * time / 2
    return amplitude * torch.stack((envelope * torch.cos(phase), envelope * torch.sin(phase)))


def breather(grid: Grid, time: Number, *, frequency: Number = 0.5) -> Float[Tensor, "2 n"]:
    """Sine-Gordon breather at the box's centre: `4 atan((e/w) cos(wt) / cosh(e x))`, `e = sqrt(1 - w^2)`.

    Its energy is `16 sqrt(1 - w^2)`. Exact up to the tail `e^{-e L / 2}` at the box's ends.
    """
    if not 0 < frequency < 1:
        raise ValueError(f"frequency must be between 0 and 1, got {frequency}")
    (x,), decay = grid.coordinates(), math.sqrt(1 - frequency**2)
    profile = decay / frequency * sech(decay * (x - grid.lengths[0] / 2))
    c, s = math.cos(frequency * time), math.sin(frequency * time)
    return torch.stack((4 * torch.atan(c * profile), -4 * frequency * s * profile / (1 + (c * profile) ** 2)))


def kink_antikink(
    grid: Grid,
    time: Number,
    *,
    speed: Number = 0.2,
    separation: Number = 20.0,
    coupling: Number = 1.0,
    vacuum: Number = 1.0,
) -> Float[Tensor, "2 n"]:
    """Phi^4 kink and antikink approaching the box's centre, and their velocity: `v (tanh z_1 - tanh z_2 - 1)`.

    `z_{1,2} = g sqrt(lambda/2) v (x - L/2 +- (separation/2 - speed t))`, `g = 1 / sqrt(1 - speed^2)`: `-v` outside,
    `+v` between. Exact up to the overlap of the tails, so not through the collision; each carries the energy `g (2
    sqrt(2) / 3) sqrt(lambda) v^3`.
    """
    (x,), boost = grid.coordinates(), lorentz(speed)
    slope, half = boost * math.sqrt(coupling / 2) * vacuum, separation / 2 - speed * time
    z_1, z_2 = slope * (x - grid.lengths[0] / 2 + half), slope * (x - grid.lengths[0] / 2 - half)
    velocity = -vacuum * speed * slope * (sech(z_1) ** 2 + sech(z_2) ** 2)
    return torch.stack((vacuum * (torch.tanh(z_1) - torch.tanh(z_2) - 1), velocity))


def sine_gordon_kink_antikink(grid: Grid, time: Number, *, speed: Number = 0.5) -> Float[Tensor, "2 n"]:
    """Sine-Gordon kink and antikink through their collision at `t = 0`: `4 atan(sinh(g c t) / (c cosh(g x)))`.

    Exact up to the tail at the box's ends; the energy is `16 g`, with `g = 1 / sqrt(1 - c^2)`.
    """
    (x,), boost = grid.coordinates(), lorentz(speed)
    profile = sech(boost * (x - grid.lengths[0] / 2)) / speed
    rise, fall = math.sinh(boost * speed * time), boost * speed * math.cosh(boost * speed * time)
    return torch.stack((4 * torch.atan(rise * profile), 4 * fall * profile / (1 + (rise * profile) ** 2)))


def sech(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """`1 / cosh x`, without overflow."""
    decay = torch.exp(-x.abs())
    return 2 * decay / (1 + decay**2)


def lorentz(speed: Number) -> float:
    """The factor `1 / sqrt(1 - speed^2)`."""
    if not -1 < speed < 1:
        raise ValueError(f"speed must be between -1 and 1, got {speed}")
    return 1 / math.sqrt(1 - speed**2)


def wrapped(offset: Float[Tensor, "*n"], length: float) -> Float[Tensor, "*n"]:
    """The offset to the nearest image, in `[-L/2, L/2)`."""
    return (offset + length / 2).remainder(length) - length / 2

"""Exact solutions of the Klein-Gordon equation on periodic boxes, channels (phi, phi_t)."""

import math

import torch
from torch import Tensor

from .grid import Grid, Number
from .shapes import Float

# `cosh` of more overflows when squared.
LATEST = 350.0


def breather(
    grid: Grid, time: Number, *, frequency: Number = 0.5, position: Number | None = None
) -> Float[Tensor, "2 n"]:
    """Sine-Gordon breather at a place, by default the box's centre: `4 atan((e/w) cos(wt) / cosh(e (x - x_0)))`.

    `e = sqrt(1 - w^2)`; its energy is `16 e`. Exact up to the tail `e^{-e L / 2}` half a box away. Ablowitz et al.
    (1973), doi:10.1103/PhysRevLett.30.1262.
    """
    if not 0 < frequency < 1:
        raise ValueError(f"frequency must be between 0 and 1, got {frequency}")
    decay = math.sqrt(1 - frequency**2)
    profile = decay / frequency * sech(decay * offset(grid, position))
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
    position: Number | None = None,
) -> Float[Tensor, "2 n"]:
    """Phi^4 kink and antikink approaching a place, by default the box's centre: `v (tanh z_1 - tanh z_2 - 1)`.

    `z_{1,2} = g sqrt(lambda/2) v (x - x_0 +- (separation/2 - speed t))`, `g = 1 / sqrt(1 - speed^2)`: `-v` outside,
    `+v` between. Exact up to the overlap of the tails, so not through the collision; each carries the energy `g (2
    sqrt(2) / 3) sqrt(lambda) v^3`.
    """
    x, boost = offset(grid, position), lorentz(speed)
    slope, half = boost * math.sqrt(coupling / 2) * vacuum, separation / 2 - speed * time
    z_1, z_2 = slope * (x + half), slope * (x - half)
    velocity = -vacuum * speed * slope * (sech(z_1) ** 2 + sech(z_2) ** 2)
    return torch.stack((vacuum * (torch.tanh(z_1) - torch.tanh(z_2) - 1), velocity))


def sine_gordon_kink_antikink(grid: Grid, time: Number, *, speed: Number = 0.5) -> Float[Tensor, "2 n"]:
    """Sine-Gordon kink and antikink through their collision at `t = 0`: `4 atan(sinh(g c t) / (c cosh(g x)))`.

    Exact up to the tail at the box's ends; the energy is `16 g`, with `g = 1 / sqrt(1 - c^2)`. Perring & Skyrme
    (1962), doi:10.1016/0029-5582(62)90774-5.
    """
    x, boost = offset(grid), lorentz(speed)
    if speed == 0:
        raise ValueError("speed must not be zero: a kink and an antikink at rest attract each other")
    late = not_too_late(boost * speed * time)
    profile = sech(boost * x) / speed
    rise, fall = math.sinh(late), boost * speed * math.cosh(late)
    return torch.stack((4 * torch.atan(rise * profile), 4 * fall * profile / (1 + (rise * profile) ** 2)))


def sine_gordon_kinks(grid: Grid, time: Number, *, speed: Number = 0.5) -> Float[Tensor, "2 n"]:
    """Sine-Gordon kinks that repel each other, closest at `t = 0`: `4 atan(c sinh(g x) / cosh(g c t))`.

    Two kinks raise the field by `4 pi`, which no periodic field does, so two antikinks undo it: the formula stands
    around `x = L/4`, its negative around `x = 3L/4`, with neighbour images, and the field is `-2 pi` at the box's ends.
    Exact up to the overlap of the two pairs; the energy is `32 g`, with `g = 1 / sqrt(1 - c^2)`. Perring & Skyrme
    (1962), doi:10.1016/0029-5582(62)90774-5.
    """
    (x,), length = line(grid), grid.lengths[0]
    up = [_kink_kink(x - (0.25 + image) * length, time, speed) for image in (-1, 0, 1)]
    down = [_kink_kink(x - (0.75 + image) * length, time, speed) for image in (-1, 0, 1)]
    phi, velocity = (torch.stack(up) - torch.stack(down)).sum(0)
    return torch.stack((phi - 2 * math.pi, velocity))


def _kink_kink(x: Float[Tensor, " n"], time: Number, speed: Number) -> Float[Tensor, "2 n"]:
    """Kink and kink on the line and their velocity, both sides of the fraction divided by `cosh(g x)`."""
    boost = lorentz(speed)
    late, profile = not_too_late(boost * speed * time), sech(boost * x)
    rise, fall = speed * torch.tanh(boost * x), math.cosh(late) * profile
    faster = boost * speed * math.sinh(late) * profile
    return torch.stack((4 * torch.atan2(rise, fall), -4 * rise * faster / (rise**2 + fall**2)))


def offset(grid: Grid, position: Number | None = None) -> Float[Tensor, " n"]:
    """Distance from the nearest image of a place, by default the box's centre."""
    (x,), length = line(grid), grid.lengths[0]
    return wrapped(x - (length / 2 if position is None else position), length)


def line(grid: Grid) -> tuple[Float[Tensor, " n"]]:
    """The coordinate of a grid with one axis; others are refused."""
    _refuse_other(grid, 1)
    return (grid.coordinates()[0],)


def plane(grid: Grid) -> tuple[Float[Tensor, "x 1"], Float[Tensor, "1 y"]]:
    """The coordinates of a grid with two axes; others are refused."""
    _refuse_other(grid, 2)
    x, y = grid.coordinates()
    return x, y


def _refuse_other(grid: Grid, axes: int) -> None:
    if grid.ndim != axes:
        raise ValueError(f"the solution lives on {axes} space axes, got {grid.ndim}: {grid.points}")


def not_too_late(exponent: float) -> float:
    """Refuse numbers whose `cosh` overflows."""
    if not abs(exponent) < LATEST:
        raise ValueError(f"time times rate must be below {LATEST:g} in size, got {exponent:.6g}: cosh overflows")
    return exponent


def wrapped(offset: Float[Tensor, "*n"], length: float) -> Float[Tensor, "*n"]:
    """The offset to the nearest image, in `[-L/2, L/2)`."""
    return (offset + length / 2).remainder(length) - length / 2


def sech(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """`1 / cosh x`, without overflow."""
    decay = torch.exp(-x.abs())
    return 2 * decay / (1 + decay**2)


def lorentz(speed: Number) -> float:
    """The factor `1 / sqrt(1 - speed^2)`."""
    if not -1 < speed < 1:
        raise ValueError(f"speed must be between -1 and 1, got {speed}")
    return 1 / math.sqrt(1 - speed**2)

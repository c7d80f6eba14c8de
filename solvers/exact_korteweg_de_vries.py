"""Exact solutions of `u_t = -a u u_x - b u_xxx` on periodic boxes, `[1, n]`."""

import math

import torch
from torch import Tensor

from .exact_kinks import line, sech, wrapped
from .grid import Grid, Number
from .shapes import Float


def korteweg_de_vries_soliton(
    grid: Grid,
    time: Number,
    *,
    speed: Number = 4.0,
    position: Number | None = None,
    advection: Number = 6.0,
    dispersion: Number = 1.0,
) -> Float[Tensor, "1 n"]:
    """Korteweg-de Vries: `3 c / a sech^2(k (x - x_0 - c t) / 2)`, `k = sqrt(c / b)`, with its neighbour images.

    Starts at the box's centre by default; exact up to the overlap `e^{-k L}` of the images. Korteweg & de Vries (1895),
    doi:10.1080/14786449508620739.
    """
    (x,), length, k = line(grid), grid.lengths[0], steepness(speed, dispersion)
    distance = wrapped(x - (length / 2 if position is None else position) - speed * time, length)
    images = [sech(k / 2 * (distance + image * length)).square() for image in (-1, 0, 1)]
    return 3 * speed / advection * torch.stack(images).sum(0, keepdim=True)


def korteweg_de_vries_two_solitons(
    grid: Grid,
    time: Number,
    *,
    speeds: tuple[Number, Number] = (4.0, 1.0),
    advection: Number = 6.0,
    dispersion: Number = 1.0,
) -> Float[Tensor, "1 n"]:
    """Korteweg-de Vries: two solitons through their collision at `t = 0` and the box's centre, `12 b / a (log F)_xx`,

        F = cosh((z_1 + z_2) / 2) + (k_1 + k_2) / |k_1 - k_2| cosh((z_1 - z_2) / 2),    z_j = k_j (x - c_j t),

    `k_j = sqrt(c_j / b)`; the faster one leaves `2 / k_1 log((k_1 + k_2) / |k_1 - k_2|)` ahead of where it would be
    alone. The pair is followed around the box by its mean speed, with its neighbour images; exact up to their overlap,
    `e^{-k (L - |(c_1 - c_2) t|)}`. Hirota (1971), doi:10.1103/PhysRevLett.27.1192.
    """
    (x,), length, mean = line(grid), grid.lengths[0], (speeds[0] + speeds[1]) / 2
    first, second = (steepness(speed, dispersion) for speed in speeds)
    if first == second:
        raise ValueError(f"speeds must differ, got {speeds}")
    place, drift = wrapped(x - length / 2 - mean * time, length), (speeds[0] - speeds[1]) / 2 * time
    images = [
        _curvature(first, second, first * (place + image * length - drift), second * (place + image * length + drift))
        for image in (-1, 0, 1)
    ]
    return 12 * dispersion / advection * torch.stack(images).sum(0, keepdim=True)


def _curvature(first: float, second: float, z_1: Float[Tensor, " n"], z_2: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """`(log F)_xx` as the variance of the slopes of the four exponents of `F`: nothing cancels or overflows."""
    lag = math.log((first + second) / abs(first - second))
    exponents = torch.stack((z_1 + z_2, -z_1 - z_2, z_1 - z_2 + 2 * lag, z_2 - z_1 + 2 * lag)) / 2
    slopes = z_1.new_tensor([first + second, -first - second, first - second, second - first])[:, None] / 2
    weights = torch.softmax(exponents, dim=0)
    return (weights * (slopes - (weights * slopes).sum(0)).square()).sum(0)


def steepness(speed: Number, dispersion: Number) -> float:
    """`sqrt(c / b)`, in 1 / length."""
    if not speed * dispersion > 0:
        raise ValueError(f"speed and dispersion must have one sign and not be zero, got {speed} and {dispersion}")
    return math.sqrt(speed / dispersion)

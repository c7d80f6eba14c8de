"""Exact solutions of the nonlinear Schroedinger equation on periodic boxes, channels (re, im)."""

import math

import torch
from torch import Tensor

from .exact_kinks import line, not_too_late, offset, sech, wrapped
from .grid import Grid, Number
from .shapes import Complex, Float


def bright_soliton(
    grid: Grid, time: Number, *, amplitude: Number = 1.0, turns: int = 0, position: Number = 0.0
) -> Float[Tensor, "2 n"]:
    """Focusing NLSE: `A sech(A (x - x_0 - v t)) exp(i (v x + (A^2 - v^2) t / 2))` with its neighbour images.

    `position` is `x_0`, counted from the box's left end (0, the default, is that end, not the centre as elsewhere). The
    speed is `v = 2 pi turns / L`, so that the carrier is periodic; exact up to the overlap `e^{-A L}` of the
    images. Zakharov & Shabat (1972), Soviet Physics JETP 34, 62.
    """
    (x,), length = line(grid), grid.lengths[0]
    speed = 2 * math.pi * turns / length
    offset = wrapped(x - position - speed * time, length)
    envelope = sum((sech(amplitude * (offset + image * length)) for image in (-1, 0, 1)), torch.zeros_like(x))
    phase = speed * x + (amplitude**2 - speed**2) * time / 2
    return amplitude * torch.stack((envelope * torch.cos(phase), envelope * torch.sin(phase)))


def two_solitons(
    grid: Grid,
    time: Number,
    *,
    amplitudes: tuple[Number, Number] = (1.0, 1.2),
    speeds: tuple[Number, Number] = (0.5, -0.5),
    positions: tuple[Number, Number] = (0.0, 0.0),
    phases: tuple[Number, Number] = (0.0, 0.0),
) -> Float[Tensor, "2 n"]:
    """Focusing NLSE: two solitons through their collision, `psi = psi_1 + psi_2` with

        sum_k (1 / g_j + conj(g_k)) / (l_j + conj(l_k)) psi_k = 1,    g_j = exp(l_j (x - x_j) + i l_j^2 t / 2 + i f_j),

    `l_j = A_j + i v_j`; `x` and `positions` are counted from the box's centre. Alone, each would be the bright soliton
    at `x_j + v_j t`; they meet near `t = (x_1 - x_2) / (v_2 - v_1)`. Equal speeds bind them into a breather. Exact up
    to the tails `e^{-A L / 2}` at the box's ends, which they must not reach. Gordon (1983), doi:10.1364/OL.8.000596.
    """
    exponents = [complex(a, v) for a, v in zip(amplitudes, speeds, strict=True)]
    if exponents[0] == exponents[1]:
        raise ValueError(f"solitons must differ in amplitude or speed, got {amplitudes} and {speeds}")
    x = line(grid)[0] - grid.lengths[0] / 2
    logs = [a * (x - p) + 1j * (a * a * time / 2 + f) for a, p, f in zip(exponents, positions, phases, strict=True)]
    # Rows and unknowns are scaled so that no term exceeds one.
    rows, columns = ([torch.exp(-(sign * log.real).clamp(min=0)) for log in logs] for sign in (-1, 1))

    def entry(j: int, k: int) -> Tensor:
        down, up = -logs[j] - (-logs[j].real).clamp(min=0), logs[k].conj() - logs[k].real.clamp(min=0)
        sum_of_both = torch.exp(down) * columns[k] + torch.exp(up) * rows[j]
        return sum_of_both / (exponents[j] + exponents[k].conjugate())

    first = (entry(1, 1) * rows[0] - entry(0, 1) * rows[1]) * columns[0]
    second = (entry(0, 0) * rows[1] - entry(1, 0) * rows[0]) * columns[1]
    return channels((first + second) / (entry(0, 0) * entry(1, 1) - entry(0, 1) * entry(1, 0)), grid)


def plane_wave(
    grid: Grid, time: Number, *, amplitude: Number = 1.0, turns: int = 0, focusing: bool = True
) -> Float[Tensor, "2 n"]:
    """NLSE: `A exp(i (kx - (k^2 / 2 - g A^2) t))`, `k = 2 pi turns / L`, `g = 1` (focusing) or `-1`.

    The focusing one is unstable to waves of wavenumber below `2 A`: rounding grows like `e^{A^2 t}`.
    """
    (x,), k = line(grid), 2 * math.pi * turns / grid.lengths[0]
    phase = k * x - (k**2 / 2 - (1 if focusing else -1) * amplitude**2) * time
    return amplitude * torch.stack((torch.cos(phase), torch.sin(phase)))


def akhmediev_breather(grid: Grid, time: Number, *, periods: int = 1) -> Float[Tensor, "2 n"]:
    """Focusing NLSE: growth and decay of a wave on the background `e^{it}`, largest at `t = 0` and the box's centre,

        psi = ((1 - 4a) cosh bt + sqrt(2a) cos qx + i b sinh bt) / (sqrt(2a) cos qx - cosh bt) e^{it},

    `q = 2 pi periods / L = 2 sqrt(1 - 2a)`, which must be below 2, and `b = sqrt(8a (1 - 2a))`, the growth rate.
    Periodic, and so exact, on the box; its peak is `1 + 2 sqrt(2a)`. The background is unstable: rounding grows like
    `e^{t}`. Akhmediev & Korneev (1986), doi:10.1007/BF01037866.
    """
    q = 2 * math.pi * periods / grid.lengths[0]
    if not 0 < q < 2:
        raise ValueError(f"2 pi periods / L must be between 0 and 2, got {q:.6g}; the box must be longer or shorter")
    root, rate = math.sqrt(1 - q**2 / 4), q * math.sqrt(1 - q**2 / 4)
    wave, late = root * torch.cos(q * offset(grid)), not_too_late(rate * time)
    # Divided by cosh bt: (1 - 4a) = q^2 / 2 - 1.
    top = torch.complex(q**2 / 2 - 1 + wave / math.cosh(late), torch.full_like(wave, rate * math.tanh(late)))
    return channels(top / (wave / math.cosh(late) - 1) * turn(time), grid)


def peregrine_breather(grid: Grid, time: Number) -> Float[Tensor, "2 n"]:
    """Focusing NLSE: a wave that comes once from nowhere, `(1 - 4 (1 + 2it) / (1 + 4x^2 + 4t^2)) e^{it}`, its peak of 3
    at `t = 0` and the box's centre.

    Exact on the line; on the box its tail `4 / L^2` has a kink at the ends, which sends out waves of that size (7e-4
    for `L = 100`). Peregrine (1983), doi:10.1017/S0334270000003891.
    """
    x = offset(grid)
    excess = 4 / (1 + 4 * x.square() + 4 * time**2)
    return channels(torch.complex(1 - excess, -2 * time * excess) * turn(time), grid)


def dark_soliton_pair(
    grid: Grid, time: Number, *, speed: Number = 0.5, amplitude: Number = 1.0
) -> Float[Tensor, "2 n"]:
    """Defocusing NLSE: two dark solitons of speeds `+-v` through their collision at `t = 0` and the box's centre,

        psi = A (c cosh qx - (1 - 2 c^2) cosh bt + i b sinh bt) / (c cosh qx + cosh bt) e^{-i A^2 t},

    with `x` and `t` times `A` and `A^2`, `c = v / A` between 0 and 1, `q = 2 sqrt(1 - c^2)` and `b = q c`. The steps of
    the two phases cancel, so that the field is periodic up to the tail `e^{-q A (L/2 - v |t|)}`; one dark soliton alone
    would not be. It is the Akhmediev breather at imaginary wavenumber: Akhmediev & Ankiewicz (1993),
    doi:10.1103/PhysRevA.47.3213.
    """
    c = speed / amplitude
    if not 0 < c < 1:
        raise ValueError(f"speed must be between 0 and amplitude = {amplitude}, got {speed}")
    q, x, late = 2 * math.sqrt(1 - c**2), amplitude * offset(grid), amplitude**2 * time
    rate = q * c
    # Divided by cosh qx.
    dip = math.cosh(not_too_late(rate * late)) * sech(q * x)
    top = torch.complex(c - (1 - 2 * c**2) * dip, rate * math.tanh(rate * late) * dip)
    return channels(amplitude * top / (c + dip) * turn(-late), grid)


def turn(angle: float) -> complex:
    """`e^{i angle}`."""
    return complex(math.cos(angle), math.sin(angle))


def channels(psi: Complex[Tensor, " n"], grid: Grid) -> Float[Tensor, "2 n"]:
    """Real and imaginary part in the grid's type."""
    return torch.stack((psi.real, psi.imag)).to(grid.dtype)

"""Periodic boxes and their Fourier modes: Nyquist and dealiasing are decided here, once."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from .shapes import Complex, Float

# Numbers that may be written without a decimal point.
Number: TypeAlias = float | int
CPU = torch.device("cpu")
SINGLE = (torch.float16, torch.bfloat16, torch.float32, torch.complex32, torch.complex64)


@dataclass(frozen=True)
class Grid:
    """Equally spaced points `x_j = j L / N`, `0 <= j < N`, on a periodic box with one to three axes.

    Fields put their space axes last. Fourier coefficients follow `torch.fft`: the half spectrum on the last axis for
    real fields, all modes for complex fields (`full=True`). Mode `m` has wavenumber `2 pi m / L`, in radians per
    length.

    Attributes:
        points: `N` of each axis.
        lengths: `L` of each axis, in length.
        dtype: real type of the coordinates and of everything derived from them.
        device: where they live.
    """

    points: tuple[int, ...]
    lengths: tuple[Number, ...]
    dtype: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        points = tuple(self.points) if isinstance(self.points, Sequence) else (self.points,)
        lengths = tuple(self.lengths) if isinstance(self.lengths, Sequence) else (self.lengths,)
        if len(points) != len(lengths) or not 1 <= len(points) <= 3:
            raise ValueError(f"points and lengths need one entry for each of 1 to 3 axes, got {points} and {lengths}")
        if any(n != int(n) or n < 1 for n in points):
            raise ValueError(f"points must be positive integers, got {points}")
        if not all(math.isfinite(length) and length > 0 for length in lengths):
            raise ValueError(f"lengths must be positive and finite, got {lengths}")
        if self.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {self.dtype}")
        object.__setattr__(self, "points", tuple(int(n) for n in points))
        object.__setattr__(self, "lengths", tuple(float(length) for length in lengths))
        object.__setattr__(self, "device", torch.device(self.device))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.points)

    @property
    def axes(self) -> tuple[int, ...]:
        """The space axes of a field, counted from its end."""
        return tuple(range(-self.ndim, 0))

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring points on each axis."""
        return tuple(length / n for length, n in zip(self.lengths, self.points, strict=True))

    @property
    def complex_dtype(self) -> torch.dtype:
        """Type of Fourier coefficients."""
        return torch.complex64 if self.dtype == torch.float32 else torch.complex128

    def to(self, target: Tensor | torch.dtype | torch.device | str) -> "Grid":
        """The same grid in the (real) type and on the device of a tensor, or in a given type, or on a given device."""
        dtype, device = self.dtype, self.device
        if isinstance(target, torch.dtype):
            dtype = torch.float32 if target in SINGLE else torch.float64
        elif isinstance(target, Tensor):
            dtype, device = torch.float32 if target.dtype in SINGLE else torch.float64, target.device
        else:
            device = torch.device(target)
        return self if (dtype, device) == (self.dtype, self.device) else Grid(self.points, self.lengths, dtype, device)

    def coordinates(self) -> tuple[Float[Tensor, "..."], ...]:
        """The coordinate of each axis, shaped to broadcast against a field."""
        return tuple(
            self._along(torch.arange(n, dtype=torch.float64, device=self.device) * step, axis).to(self.dtype)
            for axis, (n, step) in enumerate(zip(self.points, self.spacing, strict=True))
        )

    def indices(self, axis: int = 0, *, full: bool = False) -> Float[Tensor, "..."]:
        """Mode numbers `m` of one axis, in float64, shaped to broadcast against Fourier coefficients."""
        n, last = self.points[axis], axis % self.ndim == self.ndim - 1
        frequencies = torch.fft.fftfreq if full or not last else torch.fft.rfftfreq
        return self._along(frequencies(n, d=1 / n, dtype=torch.float64, device=self.device).round(), axis % self.ndim)

    def wavenumbers(self, axis: int = 0, *, full: bool = False) -> Float[Tensor, "..."]:
        """Wavenumbers `k = 2 pi m / L` of one axis, shaped to broadcast against Fourier coefficients."""
        return (2 * math.pi / self.lengths[axis] * self.indices(axis, full=full)).to(self.dtype)

    def derivative(self, order: int = 1, axis: int = 0, *, full: bool = False) -> Complex[Tensor, "..."]:
        """Symbol `(i k)^order` of a derivative; odd orders drop the Nyquist mode, whose derivative no grid function
        carries.
        """
        k = self.wavenumbers(axis, full=full)
        power = (1, 1j, -1, -1j)[order % 4] * k.to(self.complex_dtype) ** order
        if order % 2 and self.points[axis] % 2 == 0:
            power = torch.where(2 * self.indices(axis, full=full).abs() == self.points[axis], 0, power)
        return power

    def laplacian(self, *, full: bool = False) -> Float[Tensor, "..."]:
        """Symbol `-|k|^2` of the Laplacian, on all modes."""
        symbol = -(self.wavenumbers(0, full=full) ** 2)
        for axis in range(1, self.ndim):
            symbol = symbol - self.wavenumbers(axis, full=full) ** 2
        return symbol

    def dealias(self, fraction: float = 2 / 3, *, full: bool = False) -> Float[Tensor, "..."]:
        """One on the modes with `|m| < fraction N / 2` on every axis, zero elsewhere, the same for `m` and `-m`.

        Products of two (three) such fields carry no aliasing error on these modes for `fraction = 2/3` (`1/2`).
        """
        mask = torch.ones((), dtype=self.dtype, device=self.device)
        for axis, n in enumerate(self.points):
            mask = mask * (self.indices(axis, full=full).abs() < fraction * n / 2 - 1e-9).to(self.dtype)
        return mask

    def kept(self, fraction: float = 2 / 3) -> int:
        """How many modes of the last half axis the mask of `dealias` keeps: the first ones."""
        return math.ceil(fraction * self.points[-1] / 2 - 1e-9)

    def rfft(self, u: Float[Tensor, "..."], keep: int | None = None) -> Complex[Tensor, "..."]:
        """Fourier coefficients (half spectrum) of a real field; with `keep` only the first so many modes of the last
        axis, which spares the other axes the transform of the rest.
        """
        u_hat = torch.fft.rfft(u) if keep is None else torch.fft.rfft(u)[..., :keep]
        return along_lines(torch.fft.fft, u_hat, self.axes[:-1])

    def irfft(self, u_hat: Complex[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The real field of these coefficients; modes that the last axis lacks are zero."""
        rows = along_lines(torch.fft.ifft, u_hat, self.axes[:-1])
        # Where modes are filled up with zeros, that lays out the rows without gaps.
        rows = rows.contiguous() if rows.shape[-1] > self.points[-1] // 2 else rows
        return torch.fft.irfft(rows, n=self.points[-1])

    def fft(self, u: Complex[Tensor, "..."]) -> Complex[Tensor, "..."]:
        """Fourier coefficients (all modes) of a complex field."""
        return torch.fft.fft(u) if self.ndim == 1 else torch.fft.fftn(u, dim=self.axes)

    def ifft(self, u_hat: Complex[Tensor, "..."]) -> Complex[Tensor, "..."]:
        """The complex field of these coefficients."""
        return torch.fft.ifft(u_hat) if self.ndim == 1 else torch.fft.ifftn(u_hat, dim=self.axes)

    def integrate(self, density: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Integral over the box, which sums away the space axes."""
        return density.sum(dim=self.axes) * math.prod(self.spacing)

    def differentiate(self, u: Float[Tensor, "..."], order: int = 1, axis: int = 0) -> Float[Tensor, "..."]:
        """Spectral derivative of a real field."""
        return self.irfft(self.derivative(order, axis) * self.rfft(u))

    def interpolate(self, u: Float[Tensor, "..."], points: tuple[int, ...]) -> Float[Tensor, "..."]:
        """The trigonometric interpolant of a real field at the points of a grid over the same box, as fine or finer.

        A Nyquist mode becomes a cosine, half of it at either sign: the interpolant of least slope.
        """
        if len(points) != self.ndim or any(n < own for n, own in zip(points, self.points, strict=True)):
            raise ValueError(f"points must be at least those of the grid on every axis, {self.points}, got {points}")
        for axis, n, own in zip(self.axes, points, self.points, strict=True):
            if n > own:
                u = along_lines(functools.partial(refined, points=n), u, [axis])
        return u

    def _along(self, values: Tensor, axis: int) -> Tensor:
        """A vector laid along one axis."""
        return values.reshape([-1 if i == axis else 1 for i in range(self.ndim)])


def columns(symbol: Tensor) -> Tensor:
    """The same values, stored column by column as transforms along the first axis leave theirs: products of equal
    strides are faster, and the next transform finds its axis contiguous.
    """
    return symbol.mT.contiguous().mT


def refined(lines: Float[Tensor, "... n"], points: int) -> Float[Tensor, "... points"]:
    """The trigonometric interpolant along the last axis, on more points than there are."""
    own = lines.shape[-1]
    lines_hat = torch.fft.rfft(lines)
    if own % 2 == 0:
        # One coefficient stands for both signs of the Nyquist mode; here each sign has its own.
        lines_hat[..., own // 2].mul_(0.5)
    return torch.fft.irfft(lines_hat, n=points) * (points / own)


def along_lines(transform: Callable[[Tensor], Tensor], u: Tensor, axes: Sequence[int]) -> Tensor:
    """A transform of the last axis, along others instead.

    Lines are laid out without gaps first. Of a batch the transform does so itself, a lone sample it would take as it
    lies, by code that rounds otherwise on some processors: then a sample's bits would depend on its batch.
    """
    for axis in axes:
        u = transform(u.transpose(axis, -1).contiguous()).transpose(axis, -1)
    return u

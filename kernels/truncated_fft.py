"""Fourier coefficients of low wavenumber, from any grid and back to any grid.

A real function on a periodic box is `u(x) = sum_k U_k exp(2 pi i k.x / L)` with `U_-k = conj U_k`. Both transforms
keep every wavenumber with `|k_j| <= K_j` on every axis; the last axis needs only `0 .. K_d`. Leading axes are ordered
`0, 1, .., K, -K, .., -1`.

On a grid of `N_j = 2 K_j` points the wavenumbers `K_j` and `-K_j` share one bin. Each owns half of it, which is the
symmetric trigonometric interpolant, so the coefficients mean the same function on every grid that carries them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def check_modes(points: Sequence[int], modes: Sequence[int]) -> None:
    """Raise a `ValueError` unless a grid of `points` carries every wavenumber up to `modes`."""
    if len(points) != len(modes):
        raise ValueError(
            f"modes {tuple(modes)} describe {len(modes)} space axes, the grid {tuple(points)} has {len(points)}"
        )
    for axis, (N, K) in enumerate(zip(points, modes, strict=True)):
        if N < 2 * K:
            raise ValueError(
                f"axis {axis} has {N} points but {K} modes; it needs at least {2 * K} points, or at most {N // 2} modes"
            )


def truncated_rfft(x: Float[Tensor, "b c *space"], modes: Sequence[int]) -> Complex[Tensor, "b c *k"]:
    """The kept coefficients `U_k = 1/N sum_n x_n exp(-2 pi i k.n / N)`, as `[b, c, 2 K_1 + 1, .., K_d + 1]`."""
    check_modes(x.shape[2:], modes)
    N, K = x.shape[-1], modes[-1]
    u_hat = torch.fft.rfft(x, dim=-1, norm="forward")
    if N == 2 * K:
        u_hat = _scale_bin(u_hat, -1, K, 0.5)
    u_hat = u_hat.narrow(-1, 0, K + 1)
    for axis in range(-len(modes), -1):
        N, K = x.shape[axis], modes[axis]
        u_hat = torch.fft.fft(u_hat, dim=axis, norm="forward")
        if N == 2 * K:
            u_hat = _scale_bin(u_hat, axis, K, 0.5)
        u_hat = torch.cat([u_hat.narrow(axis, 0, K + 1), u_hat.narrow(axis, N - K, K)], dim=axis)
    return u_hat


def truncated_irfft(u_hat: Complex[Tensor, "b c *k"], points: Sequence[int]) -> Float[Tensor, "b c *space"]:
    """The real function `Re sum_k m_k U_k exp(2 pi i k.n / N)` on a grid, `m_k = 1` where `k_d = 0` and 2 elsewhere.

    The real part is taken explicitly: FFT libraries disagree on what to do with coefficients at `k_d = 0` that no
    real function has.
    """
    modes = [size // 2 for size in u_hat.shape[2:-1]] + [u_hat.shape[-1] - 1]
    check_modes(points, modes)
    for axis in range(-len(modes), -1):
        N, K = points[axis], modes[axis]
        positive, negative = u_hat.narrow(axis, 0, K + 1), u_hat.narrow(axis, K + 1, K)
        # The two halves overlap in bin N/2 when N = 2 K, and there they add.
        u_hat = torch.fft.ifft(
            _pad(positive, axis, 0, N - K - 1) + _pad(negative, axis, N - K, 0), dim=axis, norm="forward"
        )
    N, K = points[-1], modes[-1]
    real, imaginary = u_hat.real, _scale_bin(u_hat.imag, -1, 0, 0.0)
    if N == 2 * K:
        real, imaginary = _scale_bin(real, -1, K, 2.0), _scale_bin(imaginary, -1, K, 0.0)
    return torch.fft.irfft(torch.complex(real, imaginary), n=N, dim=-1, norm="forward")


def _scale_bin(u_hat: Tensor, axis: int, index: int, factor: float) -> Tensor:
    """`u_hat` with one entry along a (negative) axis multiplied by `factor`."""
    scale = torch.ones(u_hat.shape[axis], dtype=u_hat.real.dtype, device=u_hat.device)
    # An assignment would copy the number from the host, for which a card waits and which no CUDA graph holds.
    scale.narrow(0, index, 1).fill_(factor)
    return u_hat * scale.reshape(-1, *[1] * (-axis - 1))


def _pad(u_hat: Tensor, axis: int, before: int, after: int) -> Tensor:
    """`u_hat` with zeros before and after it along a (negative) axis."""
    return torch.nn.functional.pad(u_hat, [0, 0] * (-axis - 1) + [before, after])

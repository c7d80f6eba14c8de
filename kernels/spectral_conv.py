"""Spectral convolution: a complex matrix per wavenumber, `Y_k = X_k W_k`, between two truncated Fourier transforms."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from .truncated_fft import truncated_irfft, truncated_rfft


def weight_shape(in_channels: int, out_channels: int, modes: Sequence[int]) -> tuple[int, ...]:
    """Shape `[2 K_1 + 1, .., K_d + 1, in, out, 2]` of the weights of a spectral convolution."""
    return (*(2 * K + 1 for K in modes[:-1]), modes[-1] + 1, in_channels, out_channels, 2)


def spectral_conv(
    x: Float[Tensor, "b i *space"],
    weight: Float[Tensor, "*k i o 2"],
    modes: Sequence[int],
    *,
    bias: Float[Tensor, " o"] | None = None,
    out_shape: Sequence[int] | None = None,
) -> Float[Tensor, "b o *out"]:
    """Convolution with a band-limited kernel that is given by its Fourier coefficients,

        y(x) = bias + sum_{|k_j| <= K_j} X_k W_k exp(2 pi i k.x / L),

    where `X` are the Fourier coefficients of `x` and `W_-k = conj W_k`. The map belongs to the function, not to the
    grid: any grid with `N_j >= 2 K_j` points gives the same one, odd or even, and `out_shape` evaluates the result on
    another grid.

    The weight is real, with real and imaginary part last and the wavenumbers first, ordered as in `truncated_rfft`.
    Where `k_d = 0` both `k` and `-k` are stored, and what acts is the mean of `W_k` and `conj W_-k`; so the imaginary
    part at `k = 0` has no effect.

    Low-precision input is transformed in float32 and comes back in its own precision.
    """
    _check(x, weight, modes, bias)
    dtype = torch.promote_types(torch.promote_types(x.dtype, weight.dtype), torch.float32)
    x_hat = truncated_rfft(x.to(dtype), modes)
    y_hat = mode_mix(x_hat, torch.view_as_complex(weight.to(dtype)))
    y = truncated_irfft(y_hat, x.shape[2:] if out_shape is None else out_shape)
    if bias is not None:
        y = y + bias.to(dtype).reshape(-1, *[1] * len(modes))
    return y.to(x.dtype)


def mode_mix(x_hat: Complex[Tensor, "b i *k"], weight: Complex[Tensor, "*k i o"]) -> Complex[Tensor, "b o *k"]:
    """Channel mixing at every wavenumber, `Y[b, o, k] = sum_i X[b, i, k] W[k, i, o]`."""
    batch, _, *modes = x_hat.shape
    y_hat = torch.bmm(x_hat.flatten(2).permute(2, 0, 1), weight.reshape(-1, *weight.shape[-2:]))
    return y_hat.permute(1, 2, 0).reshape(batch, -1, *modes)


def _check(x: Tensor, weight: Tensor, modes: Sequence[int], bias: Tensor | None) -> None:
    if not (x.is_floating_point() and weight.is_floating_point()):
        raise TypeError(f"x and weight must be real floating-point tensors, got {x.dtype} and {weight.dtype}")
    if x.ndim != len(modes) + 2:
        raise ValueError(
            f"x must be [batch, channel, {len(modes)} space axes] for modes {tuple(modes)}, got {tuple(x.shape)}"
        )
    expected = weight_shape(x.shape[1], weight.shape[-2], modes)
    if tuple(weight.shape) != expected:
        raise ValueError(
            f"weight must be [*k, in, out, 2] = {expected} with modes {tuple(modes)} and {x.shape[1]} channels, "
            f"got {tuple(weight.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[-2:-1]:
        raise ValueError(
            f"bias must be [{weight.shape[-2]}], one entry for each output channel, got {tuple(bias.shape)}"
        )

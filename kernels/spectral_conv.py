"""Spectral convolution: a complex matrix per wavenumber, `Y_k = X_k W_k`, between two truncated Fourier transforms."""

import functools
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .choice import choose
from .dft_block import dft_block
from .differentiation import wants_gelu
from .fft_block import fft_block

PRECISIONS = ("tf32x3", "tf32", "ieee")


def weight_shape(in_channels: int, out_channels: int, modes: Sequence[int]) -> tuple[int, ...]:
    """Shape `[2 K_1 + 1, .., K_d + 1, in, out, 2]` of the weights of a spectral convolution."""
    return (*(2 * K + 1 for K in modes[:-1]), modes[-1] + 1, in_channels, out_channels, 2)


def spectral_conv(
    x: Float[Tensor, "b i *space"],
    weight: Float[Tensor, "*k i o 2"],
    modes: Sequence[int],
    *,
    bias: Float[Tensor, " o"] | None = None,
    skip: Float[Tensor, "o i"] | None = None,
    act: str | None = None,
    out_shape: Sequence[int] | None = None,
    precision: str = "tf32x3",
    backend: str = "auto",
) -> Float[Tensor, "b o *out"]:
    """Convolution with a band-limited kernel that is given by its Fourier coefficients,

        y(x) = act( bias + skip x(x) + sum_{|k_j| <= K_j} X_k W_k exp(2 pi i k.x / L) ),

    where `X` are the Fourier coefficients of `x` and `W_-k = conj W_k`. The map belongs to the function, not to the
    grid: any grid with `N_j >= 2 K_j` points gives the same one, odd or even, and `out_shape` evaluates the result on
    another grid, which a `skip` cannot.

    The weight is real, with real and imaginary part last and the wavenumbers first, ordered as in `truncated_rfft`.
    Where `k_d = 0` both `k` and `-k` are stored, and what acts is the mean of `W_k` and `conj W_-k`; so the imaginary
    part at `k = 0` has no effect.

    Low-precision input is transformed in float32 and comes back in its own precision. Derivatives of every order and
    in forward mode exist. On a CPU the channels of the result lie first in memory, which the next layer is glad of.

    Args:
        act: None or "gelu", the exact one.
        precision: of the matrix units in Triton's kernels: "tf32x3" keeps float32's accuracy in every coefficient,
            "tf32" is faster and loses the weak ones of smooth fields, "ieee" uses none.
        backend: "auto", or one of `choice.BACKENDS`; `explain` says what "auto" takes.
    """
    _check(x, weight, modes, bias)
    points = tuple(x.shape[2:] if out_shape is None else out_shape)
    if skip is not None and (points != x.shape[2:] or skip.shape != (weight.shape[-2], x.shape[1])):
        raise ValueError(
            f"skip must be [out, in] = {(weight.shape[-2], x.shape[1])} with a result on the grid of x, "
            f"{tuple(x.shape[2:])}; got {tuple(skip.shape)} and {points}"
        )
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    gelu = wants_gelu(act)
    dtype = torch.promote_types(torch.promote_types(x.dtype, weight.dtype), torch.float32)
    chosen = choose(x.device, modes, backend).backend
    with torch.autocast(x.device.type, enabled=False):
        bias, skip = (t if t is None else t.to(dtype) for t in (bias, skip))
        y = _block(chosen, precision)(x.to(dtype), weight.to(dtype), modes, bias, skip, gelu, points)
    return y.to(x.dtype)


def _block(backend: str, precision: str) -> Callable[..., Tensor]:
    """The formulation of that name; Triton is imported where it is wanted."""
    if backend == "triton":
        from .triton_block import triton_block

        return functools.partial(triton_block, precision=precision)
    return fft_block if backend == "fft" else dft_block


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

"""`spectral_conv` by fast Fourier transforms: the way for many wavenumbers, and the definition of the others."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional as F

from .truncated_fft import truncated_irfft, truncated_rfft


def fft_block(
    x: Float[Tensor, "b i *space"],
    weight: Float[Tensor, "*k i o 2"],
    modes: Sequence[int],
    bias: Float[Tensor, " o"] | None,
    skip: Float[Tensor, "o i"] | None,
    gelu: bool,
    points: Sequence[int],
) -> Float[Tensor, "b o *out"]:
    """See `spectral_conv`; all of one type."""
    y = truncated_irfft(_mix(truncated_rfft(x, modes), torch.view_as_complex(weight)), points)
    if skip is not None:
        y = y + F.linear(x.movedim(1, -1), skip).movedim(-1, 1)
    if bias is not None:
        y = y + bias.reshape(-1, *[1] * len(modes))
    return F.gelu(y) if gelu else y


def _mix(x_hat: Complex[Tensor, "b i *k"], weight: Complex[Tensor, "*k i o"]) -> Complex[Tensor, "b o *k"]:
    """`Y[b, o, k] = sum_i X[b, i, k] W[k, i, o]`."""
    batch, _, *modes = x_hat.shape
    y_hat = torch.bmm(x_hat.flatten(2).permute(2, 0, 1), weight.reshape(-1, *weight.shape[-2:]))
    return y_hat.permute(1, 2, 0).reshape(batch, -1, *modes)

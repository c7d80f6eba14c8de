"""Layers that several operators share."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

CONVOLUTIONS: Sequence[type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Pointwise(nn.Module):
    """Linear map of the channels at every point, `y_o = b_o + sum_i W_oi x_i`, for any number of space axes.

    A batched matrix product: a convolution of size one computes the same, several times slower on a CPU.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        columns, weight = x.flatten(2), self.weight.expand(x.shape[0], -1, -1)
        y = torch.bmm(weight, columns) if self.bias is None else torch.baddbmm(self.bias[:, None], weight, columns)
        return y.reshape(*y.shape[:2], *x.shape[2:])


class PointwiseMLP(nn.Sequential):
    """Two `Pointwise` maps with a GELU between them."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__(Pointwise(in_channels, hidden), nn.GELU(), Pointwise(hidden, out_channels))


def periodic_convolution(
    dimensions: int, in_channels: int, out_channels: int, *, kernel: int = 3, dilation: int = 1
) -> nn.Module:
    """A convolution on a periodic box in one to three dimensions that keeps the grid; `kernel` is odd."""
    if dimensions not in range(1, 4):
        raise ValueError(f"dimensions must be 1, 2 or 3, got {dimensions}")
    if kernel % 2 == 0:
        raise ValueError(f"kernel must be odd, so that its centre is a grid point, got {kernel}")
    convolution = CONVOLUTIONS[dimensions - 1]
    padding = dilation * (kernel // 2)
    return convolution(in_channels, out_channels, kernel, padding=padding, dilation=dilation, padding_mode="circular")


def check_space(u: Tensor, dimensions: int, *, multiple: int = 1, least: int = 1) -> None:
    """Raise a `ValueError` unless `u` is `[b, c, *space]`, axes multiples of `multiple` and no shorter than `least`."""
    if u.ndim != dimensions + 2:
        raise ValueError(f"u must be [batch, channel, *space] with {dimensions} space axes, got {tuple(u.shape)}")
    if any(N % multiple or least > N for N in u.shape[2:]):
        raise ValueError(
            f"every space axis needs a multiple of {multiple} points, {least} or more; got {tuple(u.shape[2:])}"
        )

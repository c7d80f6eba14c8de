"""Layers that several operators share."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rollwave.kernels import pointwise, pointwise_mlp

# Bytes of a hidden field, of which a layer touches some ten; measured on cores with 1 MiB of second-level cache.
PART = 2**21
CONVOLUTIONS: Sequence[type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Pointwise(nn.Module):
    """Linear map of the channels at every point, `y_o = b_o + sum_i W_oi x_i`, for any number of space axes."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        return pointwise(x, self.weight, self.bias)


class PointwiseMLP(nn.Sequential):
    """Two `Pointwise` maps with a GELU between them, and what may follow: `act(W_2 gelu(W_1 x + b_1) + b_2 + g s)`."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__(Pointwise(in_channels, hidden), nn.GELU(), Pointwise(hidden, out_channels))

    def forward(
        self,
        x: Float[Tensor, "b i *space"],
        *,
        gate: Float[Tensor, " o"] | None = None,
        source: Float[Tensor, "b o *space"] | None = None,
        act: str | None = None,
    ) -> Float[Tensor, "b o *space"]:
        first: Any = self[0]
        second: Any = self[2]
        return pointwise_mlp(x, first.weight, first.bias, second.weight, second.bias, gate=gate, source=source, act=act)


def in_parts(network: Callable[[Tensor], Tensor], u: Float[Tensor, "b i *space"], width: int) -> Tensor:
    """`network(u)`, on a CPU a few samples at a time: as many as have at most `PART` bytes in a hidden field.

    Samples do not see one another, so this is the same map; forwards and backwards the fields of a part stay in the
    cache instead of travelling through memory layer by layer.
    """
    sample = width * math.prod(u.shape[2:]) * u.element_size()
    if u.device.type != "cpu" or len(u) * sample <= PART:
        return network(u)
    return torch.cat([network(part) for part in u.split(max(1, PART // sample))])


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

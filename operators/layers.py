"""Layers that several operators share."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


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

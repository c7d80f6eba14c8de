import itertools
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .configurable import configurable
from .layers import Pointwise, check_space, periodic_convolution


class ResidualBlock(nn.Module):
    """`v -> S v + C(s(n(C(s(n(v))))))` with group norms `n`, GELUs `s`, convolutions `C`; `S` matches the channels."""

    def __init__(self, dimensions: int, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            group_norm(in_channels),
            nn.GELU(),
            periodic_convolution(dimensions, in_channels, out_channels, kernel=kernel),
            group_norm(out_channels),
            nn.GELU(),
            periodic_convolution(dimensions, out_channels, out_channels, kernel=kernel),
        )
        self.skip = nn.Identity() if in_channels == out_channels else Pointwise(in_channels, out_channels)

    def forward(self, v: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        out: Tensor = self.skip(v) + self.body(v)
        return out


@configurable
class UNet(nn.Module):
    """Periodic U-Net in one to three dimensions: residual blocks on grids that coarsen `levels` times and come back,

        v_0 = R_0 C u,   v_l = R_l mean_2 v_{l-1};   w_n = v_n,   w_{l-1} = R'_l [v_{l-1}, copy_2 w_l],   u -> Q w_0,

    with `mean_2` the average over cells of two points an axis, `copy_2` back onto them, `R` residual blocks of two
    convolutions each, and channels that double with every halving. All padding is periodic.

    The filters belong to the grid, not to the function: another resolution is another map. Each axis must be a multiple
    of `2^levels` points, and the map commutes with shifts by multiples of `2^levels` points.

    Args:
        in_channels: channels of the input field.
        out_channels: channels of the output field.
        dimensions: number of space axes.
        width: channels on the finest grid.
        levels: number of halvings.
        blocks: residual blocks on each grid on the way down; there is one on the way up.
        kernel: size of the filters, odd.

    Reference:
        Ronneberger et al. (2015), arXiv:1505.04597; residual blocks and group norms after Gupta & Brandstetter (2022),
        arXiv:2209.15616.
    """

    config: dict[str, Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dimensions: int = 1,
        width: int = 32,
        levels: int = 3,
        blocks: int = 1,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        self.dimensions, self.levels = dimensions, levels
        widths = [width * 2**level for level in range(levels + 1)]
        self.stem = periodic_convolution(dimensions, in_channels, width, kernel=kernel)
        self.down = nn.ModuleList()
        for fine, coarse in zip([width, *widths[:-1]], widths, strict=True):
            tower = [
                ResidualBlock(dimensions, fine if block == 0 else coarse, coarse, kernel) for block in range(blocks)
            ]
            self.down.append(nn.Sequential(*tower))
        self.up = nn.ModuleList(
            ResidualBlock(dimensions, coarse + fine, fine, kernel) for fine, coarse in itertools.pairwise(widths)
        )
        self.head = nn.Sequential(
            group_norm(width), nn.GELU(), periodic_convolution(dimensions, width, out_channels, kernel=kernel)
        )

    def forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        check_space(u, self.dimensions, multiple=2**self.levels)
        v = self.down[0](self.stem(u))
        fields = [v]
        for tower in self.down[1:]:
            v = tower(halved(v))
            fields.append(v)
        w = fields.pop()
        for block in reversed(self.up):
            w = block(torch.cat([fields.pop(), doubled(w)], dim=1))
        out: Tensor = self.head(w)
        return out


def halved(v: Float[Tensor, "b c *fine"]) -> Float[Tensor, "b c *coarse"]:
    """The mean of every `2^d` neighbours. Its gradient is a copy, in the same order every time on every device."""
    for axis in range(2, v.ndim):
        v = v.unflatten(axis, (-1, 2)).mean(axis + 1)
    return v


def doubled(v: Float[Tensor, "b c *coarse"]) -> Float[Tensor, "b c *fine"]:
    """Every value `2^d` times. Its gradient is a sum in a fixed order, on every device."""
    for axis in range(2, v.ndim):
        v = v.unsqueeze(axis + 1).expand(*v.shape[: axis + 1], 2, *v.shape[axis + 1 :]).flatten(axis, axis + 1)
    return v


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of at least four channels, eight at most."""
    return nn.GroupNorm(math.gcd(8, max(1, channels // 4)), channels)

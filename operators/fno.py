import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rollwave.kernels import fourier_layer, spectral_conv, weight_shape

from .configurable import configurable
from .layers import Pointwise, PointwiseMLP, in_parts


class SpectralConv(nn.Module):
    """`rollwave.kernels.spectral_conv` with its weights, stored as real pairs `[*wavenumbers, in, out, 2]`.

    Real and imaginary parts start as normal numbers of variance `1 / (2 in)`, and `1 / in` where `k_d = 0`, since
    there only half of the stored numbers acts. A function inside the kept band then comes out with the variance that
    it went in with, on every grid.
    """

    def __init__(self, in_channels: int, out_channels: int, modes: Sequence[int]) -> None:
        super().__init__()
        self.modes = tuple(int(K) for K in modes)
        weight = torch.randn(weight_shape(in_channels, out_channels, self.modes)) / math.sqrt(2 * in_channels)
        weight.select(len(self.modes) - 1, 0).mul_(math.sqrt(2))
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(
        self,
        v: Float[Tensor, "b i *space"],
        *,
        skip: Float[Tensor, "o i"] | None = None,
        act: str | None = None,
        out_shape: Sequence[int] | None = None,
    ) -> Float[Tensor, "b o *points"]:
        return spectral_conv(v, self.weight, self.modes, bias=self.bias, skip=skip, act=act, out_shape=out_shape)


class FNOBlock(nn.Module):
    """One layer of an `FNO`: `v -> g v + M(s(K v + W v))`, with `s` the GELU."""

    def __init__(self, width: int, modes: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.spectral = SpectralConv(width, width, modes)
        self.local = Pointwise(width, width, bias=False)
        self.mlp = PointwiseMLP(width, hidden, width)
        self.gate = nn.Parameter(torch.ones(width))

    def forward(self, v: Float[Tensor, "b c *space"], *, last: bool) -> Float[Tensor, "b c *space"]:
        first: Any = self.mlp[0]
        second: Any = self.mlp[2]
        return fourier_layer(
            v,
            self.spectral.modes,
            spectral=(self.spectral.weight, self.spectral.bias),
            skip=self.local.weight,
            network=(first.weight, first.bias, second.weight, second.bias),
            gate=self.gate,
            act=None if last else "gelu",
        )


@configurable
class FNO(nn.Module):
    """Fourier neural operator in any number of dimensions,

        u -> Q L_depth .. L_1 P u,      L v = s(g v + M(s(K v + W v))),

    with `K` a convolution given by its Fourier coefficients up to `modes`, `W` and `M` pointwise (a matrix, and two
    of them with a GELU between), `g` one number a channel, `s` the GELU (the identity in the last layer), `P` and `Q`
    pointwise liftings of two layers. Nothing depends on the position, so the map commutes with every translation of
    the grid.

    The weights belong to functions: any grid, odd or even, with at least `2 K_j` points an axis may be used, and what
    differs between two grids is only what `s` makes above their wavenumbers.

    Args:
        in_channels: channels of the input function.
        out_channels: channels of the output function.
        width: channels of the hidden functions.
        modes: `(K_1, .., K_d)`, one number a space axis; keeps every wavenumber with `|k_j| <= K_j`.
        depth: number of layers.
        expansion: hidden channels of `M`, relative to `width`.
        ratio: hidden channels of `P` and `Q`, relative to `width`.

    Reference:
        Li et al. (2021), arXiv:2010.08895, eq. (2); layers as in neuraloperator 2.0 without positional embedding,
        wavenumbers symmetric.
    """

    config: dict[str, Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 64,
        modes: Sequence[int] = (16,),
        depth: int = 4,
        expansion: float = 0.5,
        ratio: int = 2,
    ) -> None:
        super().__init__()
        if isinstance(modes, int) or not modes or any(K < 0 for K in modes):
            raise ValueError(f"modes must hold one non-negative number for each space axis, got {modes!r}")
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        self.modes = tuple(int(K) for K in modes)
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.width, hidden = width, max(1, round(expansion * width))
        self.lift = PointwiseMLP(in_channels, ratio * width, width)
        self.blocks = nn.ModuleList(FNOBlock(width, self.modes, hidden) for _ in range(depth))
        self.project = PointwiseMLP(width, ratio * width, out_channels)

    def forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        if u.ndim != len(self.modes) + 2:
            raise ValueError(
                f"with modes={self.modes}, u must be [batch, channel, *space] with {len(self.modes)} space axes, "
                f"got {tuple(u.shape)}"
            )
        return in_parts(self._forward, u, self.width)

    def _forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        v = self.lift(u)
        for index, block in enumerate(self.blocks, start=1):
            v = block(v, last=index == len(self.blocks))
        # Inside, channels may lie before the batch in memory.
        return self.project(v).contiguous()

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rollwave.kernels import spectral_conv

from .configurable import configurable
from .connection import Connection
from .fno import SpectralConv
from .interaction import Interaction
from .layers import Pointwise, PointwiseMLP, in_parts
from .stencil import Derivatives, Differences, Stencil, neighbours


class OneSidedSpectralConv(nn.Module):
    """Weights of a `spectral_conv` whose wavenumbers are `-m .. m - 1` on leading axes and `0 .. m - 1` on the last.

    Real and imaginary parts start uniform in `[0, 1 / (in out))`. A function's coefficient at `-k` on the last axis is
    the conjugate of that at `k`; what acts where the last wavenumber is zero is the mean of both, with a zero for the
    partner of `-m`. A leading axis of `2 m` points tells `-m` and `m` not apart: there the weight of `-m` has all of
    it.
    """

    def __init__(self, in_channels: int, out_channels: int, modes: Sequence[int]) -> None:
        super().__init__()
        self.kept, self.modes = tuple(modes), (*modes[:-1], modes[-1] - 1)
        shape = (*(2 * m for m in modes[:-1]), modes[-1], in_channels, out_channels, 2)
        self.blocks = nn.Parameter(torch.rand(shape) / (in_channels * out_channels))

    def forward(
        self, v: Float[Tensor, "b i *space"], *, out_shape: Sequence[int] | None = None
    ) -> Float[Tensor, "b o *points"]:
        return spectral_conv(v, self.weight(v.shape[2:]), self.modes, out_shape=out_shape)

    def weight(self, points: Sequence[int]) -> Float[Tensor, "*k i o 2"]:
        """In the symmetric layout, which on leading axes has a row for `m` too, for a field on so many points."""
        weight: Tensor = self.blocks
        for axis, m in enumerate(self.kept[:-1]):
            first, last = weight.split(m, axis)
            row = last.narrow(axis, 0, 1)
            weight = torch.cat((first, row if points[axis] == 2 * m else torch.zeros_like(row), last), axis)
        return weight


class LocalGlobalMixing(nn.Module):
    """One layer of a `DyMixOp`: `F(c) = s(B c + A N(c))`, `N` the `Interaction` of `G c` and `K c`, `s` the GELU.

    `B` and `K` are linear and local, `G` is a spectral convolution, `A` two pointwise maps.
    """

    def __init__(self, width: int, modes: Sequence[int], interaction: Interaction, *, symmetric: bool) -> None:
        super().__init__()
        self.interaction = interaction
        axes, points = len(modes), interaction.points
        self.basis = Differences(axes) if points is None else Derivatives(axes, points, interaction.wide)
        linear, near = (self.basis if wanted else None for wanted in interaction.stencils)
        spectral = SpectralConv if symmetric else OneSidedSpectralConv
        self.linear = Stencil(width, linear)
        self.near = Stencil(width, near) if interaction.needs_near else None
        self.far = spectral(width, width, modes) if interaction.needs_far else None
        self.residual = None
        if self.near is not None or self.far is not None:
            self.residual = two_maps(width, 2 * width, width, gelu=interaction.gelu)
            last: Any = self.residual[-1]
            with torch.no_grad():
                last.weight.mul_(interaction.start), last.bias.mul_(interaction.start)

    def forward(self, c: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        around = neighbours(c, self.basis.offsets) if any(self.interaction.stencils) else c
        by_linear, by_near = (around if stencil else c for stencil in self.interaction.stencils)
        linear = self.linear(by_linear)
        if self.residual is None:
            return F.gelu(linear)
        mixed = self.interaction(self.carrier(c), None if self.near is None else self.near(by_near))
        if isinstance(self.residual, PointwiseMLP):
            return self.residual(mixed, gate=linear.new_ones(linear.shape[1]), source=linear, act="gelu")
        return F.gelu(linear + self.residual(mixed))

    def carrier(self, c: Float[Tensor, "b c *space"]) -> Tensor | None:
        """`G c` on the grid of the product."""
        if self.far is None:
            return None
        out: Tensor = self.far(c, out_shape=self.interaction.grid(c.shape[2:]))
        return out


def two_maps(in_channels: int, hidden: int, out_channels: int, *, gelu: bool) -> nn.Sequential:
    """Two pointwise maps, with a GELU between them or nothing."""
    if gelu:
        return PointwiseMLP(in_channels, hidden, out_channels)
    return nn.Sequential(Pointwise(in_channels, hidden), Pointwise(hidden, out_channels))


@configurable
class DyMixOp(nn.Module):
    """Local-global mixing in any number of dimensions, along a chain of explicit steps,

        u -> Q( c_0 + sum_l a_l F_l(c_{l-1}) ),      c_l = c_{l-1} + g_l F_l(c_{l-1}),      c_0 = P u,
        F(c) = s( B c + A[ (G c)(K c) ] ),

    with `G` a spectral convolution up to `modes`, `K` and `B` local and linear, `A`, `P` and `Q` two pointwise maps
    each, `g_l` and `a_l` numbers, `s` the GELU. Factors of a product add their wavenumbers, so `G` reaches beyond the
    ones it keeps. `Interaction` and `Connection` say what else the formulas can be.

    As it comes, `K` and `B` see derivatives, the weights belong to functions on a box, and the map commutes with every
    translation of the grid: a corrected operator. The published one has other arguments, those of
    `configs/operator/dymixop_reference.yaml`; they give its formulas, initial values and number of weights.

    Args:
        in_channels: channels of the input function.
        out_channels: channels of the output function.
        width: channels of the hidden functions.
        modes: `(K_1, .., K_d)`, one number a space axis; keeps every wavenumber with `|k_j| <= K_j`.
        depth: number of layers.
        interaction: the terms of a layer.
        connection: how layers follow one another.
        symmetric: whether the kept wavenumbers are those; otherwise, with `m_j` for `K_j`, `k_d < m_d` on the last axis
            and `-m_j <= k_j < m_j` on the others, with weights that start positive and small.
        coordinates: whether the position on the box is given too, as `d` channels; then no translation commutes.
        gelu: whether `P` and `Q` have a GELU between their two maps.

    Reference:
        Lai, Chen & Xu (2025), arXiv:2508.13490.
    """

    config: dict[str, Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 32,
        modes: Sequence[int] = (16,),
        depth: int = 4,
        interaction: Interaction = Interaction(),
        connection: Connection = Connection(),
        symmetric: bool = True,
        coordinates: bool = False,
        gelu: bool = True,
    ) -> None:
        super().__init__()
        least = 0 if symmetric else 1
        if isinstance(modes, int) or not modes or any(least > K for K in modes):
            raise ValueError(f"modes must hold one number, {least} or more, for each space axis, got {modes!r}")
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, got {width} and {depth}")
        self.modes, self.width, self.coordinates = tuple(int(K) for K in modes), width, coordinates
        self.lift = two_maps(in_channels + len(modes) * coordinates, 2 * width, width, gelu=gelu)
        self.blocks = nn.ModuleList(
            LocalGlobalMixing(width, self.modes, interaction, symmetric=symmetric) for _ in range(depth)
        )
        self.chain = connection.chain(depth)
        self.project = two_maps(width, 2 * width, out_channels, gelu=gelu)

    def forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        if u.ndim != len(self.modes) + 2:
            raise ValueError(
                f"with modes={self.modes}, u must be [batch, channel, *space] with {len(self.modes)} space axes, "
                f"got {tuple(u.shape)}"
            )
        return in_parts(self._forward, u, self.width)

    def _forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        u = torch.cat([u, positions(u)], dim=1) if self.coordinates else u
        result: Tensor = self.project(self.chain(self.lift(u), self.blocks))
        # Inside, channels may lie before the batch in memory.
        return result.contiguous()


def positions(u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b d *space"]:
    """The coordinates of the points, in `[0, 1)`."""
    axes = [torch.arange(N, dtype=u.dtype, device=u.device) / N for N in u.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(u), -1, *u.shape[2:])

"""Linear maps of a field's values at neighbouring points of a periodic grid: a fixed basis of stencils, learned mixing.

Neighbours come as channels, `[b, taps * i, *space]`, one tap after the other, so that a stencil is a matrix product.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rollwave.kernels import pointwise

Offset = tuple[int, ...]


@dataclass(frozen=True)
class Differences:
    """`S_j c = c_{i+j} - c_i` for all `3^d` offsets `j` in {-1, 0, 1}^d, the idle one among them; `i` counts points."""

    axes: int

    @property
    def offsets(self) -> list[Offset]:
        """Where values are taken, the point itself first."""
        offsets = itertools.product((0, -1, 1), repeat=self.axes)
        return list(offsets)

    def rows(self, space: Sequence[int]) -> list[list[float]]:
        """The stencils on a grid, a row of numbers each, one number for each offset."""
        taps = range(len(self.offsets))
        return [[float(t == f) - float(t == 0) for t in taps] for f in taps]


@dataclass(frozen=True)
class Derivatives:
    """`H dc/dx_j` and `H^2 d^2c/dx_j^2` on every axis by central differences of second order, on a box of length one.

    `H = 1 / points` is the spacing on which these are plain differences of neighbours, and so of order one; any other
    grid approximates the same derivatives.

    On a wave `exp(i k x)` and a grid of spacing `h = H` the first is `i sin(k h)`. The second is `-4 sin^2(k h / 2)`,
    largest on the shortest wave; a wide one, the first difference twice, is `-sin^2(k h)`, which leaves that wave
    alone as the first difference does.

    Attributes:
        axes: of space.
        points: `1 / H`.
        wide: whether second derivatives are wide.
    """

    axes: int
    points: int
    wide: bool = False

    @property
    def offsets(self) -> list[Offset]:
        """Where values are taken: the point itself, and on every axis the next and the one before, one step and, for
        wide second derivatives, two steps away.
        """
        units = [tuple(int(a == axis) for a in range(self.axes)) for axis in range(self.axes)]
        steps = (1, -1, 2, -2) if self.wide else (1, -1)
        return [(0,) * self.axes] + [tuple(step * j for j in unit) for unit in units for step in steps]

    def rows(self, space: Sequence[int]) -> list[list[float]]:
        """The stencils on a grid, a row of numbers each, one number for each offset."""
        rows, taps = [], 4 if self.wide else 2
        for axis, N in enumerate(space):
            ratio, before = N / self.points, [0.0] * taps * axis
            after = [0.0] * taps * (self.axes - axis - 1)
            square = ratio**2 / 4 if self.wide else ratio**2
            idle = [0.0] * (taps - 2)
            rows.append([0.0, *before, ratio / 2, -ratio / 2, *idle, *after])
            rows.append([-2 * square, *before, *idle, square, square, *after])
        return rows


def neighbours(c: Float[Tensor, "b i *space"], offsets: Sequence[Offset]) -> Float[Tensor, "b t *space"]:
    """The fields `c_{i+j}` for every offset `j`, one after the other along the channels."""
    axes = list(range(2, c.ndim))
    # On a CPU fields lie as `[c, b, *space]`, where channels are appended without gaps.
    v = c.transpose(0, 1).contiguous() if c.device.type == "cpu" else c
    moved = [v.roll([-j for j in offset], axes) if any(offset) else v for offset in offsets]
    return torch.cat(moved, dim=0).transpose(0, 1) if c.device.type == "cpu" else torch.cat(moved, dim=1)


class Stencil(nn.Module):
    """`y = b + B c + sum_f W_f S_f c` with stencils `S_f` of a basis; without one, pointwise.

    `B` starts uniform up to `1 / sqrt(width)`, the `W_f` up to `1 / sqrt(width features)`.
    """

    def __init__(self, width: int, basis: Differences | Derivatives | None) -> None:
        super().__init__()
        self.basis, bound = basis, 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.taps = None
        if basis is not None:
            features = len(basis.rows((1,) * basis.axes))
            self.taps = nn.Parameter(torch.empty(features, width, width).uniform_(-bound, bound) / math.sqrt(features))

    def forward(self, around: Float[Tensor, "b t *space"]) -> Float[Tensor, "b o *space"]:
        """From the neighbours at the offsets of the basis, or from the field itself."""
        return pointwise(around, self.matrix(around.shape[2:]), self.bias)

    def matrix(self, space: Sequence[int]) -> Float[Tensor, "o t"]:
        """What multiplies the neighbours on a grid."""
        if self.basis is None or self.taps is None:
            return self.weight
        rows = _rows(self.basis, tuple(space), self.taps.dtype, self.taps.device)
        first, *others = torch.einsum("ft,foi->toi", rows, self.taps).unbind(0)
        return torch.cat([self.weight + first, *others], dim=1)


@functools.lru_cache(maxsize=256)
def _rows(
    basis: Differences | Derivatives, space: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "f t"]:
    """The rows of a basis on a grid, kept where they are needed: a card does not wait for the host in every layer."""
    # Whoever asks first may be validating in inference mode, whose tensors no later training could use.
    with torch.inference_mode(False):
        return torch.tensor(basis.rows(space), dtype=dtype, device=device)

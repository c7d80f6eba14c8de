import functools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rollwave.kernels import truncated_irfft, truncated_rfft

from .configurable import configurable


@configurable
class Interaction(nn.Module):
    """How a global factor `G c` and a local one `K c` meet, `N = p (G c) b(K c) + f G c + n K c`, and on what terms.

    `b(w) = w / sqrt(1 + (w / limit)^2)` is `w` where it is small and never larger than `limit`; without a limit it is
    `w`. A product of two unbounded factors grows like the square of the state: a rollout that leaves the data once may
    not come back. With a bounded factor it grows no faster than the state.

    A product of wavenumbers up to `K` and up to `N / 2` reaches beyond what a grid of `N` points tells apart. With
    `fine` at 3/2 both factors are interpolated to a grid of `3 N / 2` points and their product is cut back to the
    wavenumbers below `N / 2`, and so are the other terms: without a limit it is then the exact product's, free of
    aliases. With one, `b` of a factor has every wavenumber: aliases are fewer, and a map that comes of them commutes
    with translations by whole points of both grids alone. A module without weights.

    Args:
        mixing: `(p, f, n)`. A factor that no term needs is left out; at `(0, 0, 0)` the layer is local and linear but
            for its activation.
        stencils: whether the linear map, and whether the local factor, sees neighbouring points.
        points: points an axis on which the derivatives of those stencils are of order one, see `stencil.Derivatives`;
            None for differences of neighbours on any grid, so that another grid is another map.
        wide: whether second derivatives leave the shortest wave of the grid alone instead of answering it most. Smooth
            data hardly hold such waves, so what a map does to them is not learned, and free runs show it.
        fine: points of the product's grid, relative to those of the field; one for none.
        gelu: whether the residual operator `A` has a GELU between its two maps.
        start: factor on the initial values of the second map of `A`; at zero, layers start without `N`.
        limit: of the local factor in the product; None for none.

    Reference:
        Lai et al. (2025), arXiv:2508.13490: `(1, 0, 0)`, no limit, a stencil of free taps in the linear map only.
    """

    def __init__(
        self,
        *,
        mixing: Sequence[float] = (1.0, 0.0, 0.0),
        stencils: Sequence[bool] = (True, True),
        points: int | None = 64,
        wide: bool = True,
        fine: float = 1.0,
        gelu: bool = True,
        start: float = 1.0,
        limit: float | None = 3.0,
    ) -> None:
        super().__init__()
        if len(mixing) != 3 or len(stencils) != 2:
            raise ValueError(f"mixing must hold three numbers and stencils two, got {mixing!r} and {stencils!r}")
        if (points is not None and points < 1) or fine < 1:
            raise ValueError(f"points must be None or at least 1 and fine at least 1, got {points} and {fine}")
        if limit is not None and not limit > 0:
            raise ValueError(f"limit of a local factor must be None or positive, got {limit}")
        self.limit, self.wide = None if limit is None else float(limit), bool(wide)
        self.mixing, self.points, self.fine = tuple(float(term) for term in mixing), points, float(fine)
        self.stencils, self.gelu, self.start = tuple(bool(stencil) for stencil in stencils), gelu, float(start)

    @property
    def needs_far(self) -> bool:
        """Whether there is a global factor."""
        return bool(self.mixing[0] or self.mixing[1])

    @property
    def needs_near(self) -> bool:
        """Whether there is a local factor."""
        return bool(self.mixing[0] or self.mixing[2])

    def grid(self, points: Sequence[int]) -> tuple[int, ...]:
        """Points of the product's grid."""
        if self.fine == 1 or not self.mixing[0]:
            return tuple(points)
        return tuple(math.ceil(self.fine * N) for N in points)

    def forward(
        self, far: Float[Tensor, "b c *fine"] | None, near: Float[Tensor, "b c *space"] | None
    ) -> Float[Tensor, "b c *space"]:
        """`N`, from a global factor on `grid(points)` and a local one on the field's points; None where not needed."""
        if far is None or near is None or far.shape == near.shape:
            return self.combined(far, near)
        points = near.shape[2:]
        return resample(self.combined(far, resample(near, points, far.shape[2:])), points, points)

    def combined(self, far: Tensor | None, near: Tensor | None) -> Tensor:
        """The terms of `N` that have a weight, of factors on one grid."""
        product = far * self.bounded(near) if self.mixing[0] and far is not None and near is not None else None
        terms = [
            term if weight == 1 else weight * term
            for weight, term in zip(self.mixing, (product, far, near), strict=True)
            if weight and term is not None
        ]
        return functools.reduce(torch.add, terms)

    def bounded(self, near: Tensor) -> Tensor:
        """`b(K c)`."""
        return near if self.limit is None else near * torch.rsqrt(1 + (near / self.limit).square())


def resample(
    x: Float[Tensor, "b c *space"], band: Sequence[int], points: Sequence[int]
) -> Float[Tensor, "b c *points"]:
    """The wavenumbers below `N / 2` of a field, `N` the entries of `band`, on another grid; in float32 at least."""
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    with torch.autocast(x.device.type, enabled=False):
        return truncated_irfft(truncated_rfft(exact, [(N - 1) // 2 for N in band]), points).to(x.dtype)

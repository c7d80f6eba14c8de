from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .configurable import configurable
from .constants import constant


@configurable
class Conserve(nn.Module):
    """The frame nearest to `v` that holds what the frame `u` before it holds,

        v_i <- v_i + (<u_i> - <v_i>)             the mean over the box of each channel of `means`,
        v <- m + r (v - m), r = |u - m| / |v - m|         the square, channels of `squares` together,

    where `m` are the means that are kept, and zero for the other channels. Both are orthogonal projections onto the set
    of fields with those integrals: a frame that holds them already stays, and the second one changes no mean that the
    first has set. Differentiable. Sums are formed in float64; what is left is the rounding of the frame itself.

    Args:
        means: names of channels, such as `("u",)` for the mass of Burgers' equation.
        squares: names of channels, such as `("re", "im")` for the mass of Schroedinger's equation.

    Reference:
        Hansen et al. (2023), arXiv:2302.11002, with a unit covariance, for the means.
    """

    config: dict[str, Any]

    def __init__(self, *, means: Sequence[str] = (), squares: Sequence[str] = ()) -> None:
        super().__init__()
        if not means and not squares:
            raise ValueError("Conserve needs channels in means or in squares, got none")
        self.means, self.squares = tuple(means), tuple(squares)

    def check(self, channels: Sequence[str], dimensions: int) -> None:
        """Refuse names that are no channel."""
        if unknown := [name for name in (*self.means, *self.squares) if name not in channels]:
            raise ValueError(f"Conserve names {unknown}, which are no channels; the channels are {tuple(channels)}")

    def forward(
        self, v: Float[Tensor, "b c *space"], u: Float[Tensor, "b c *space"], *, channels: Sequence[str]
    ) -> Float[Tensor, "b c *space"]:
        """`v` with the integrals of `u`, both in physical units."""
        space = tuple(range(2, v.ndim))
        kept = self._mask(self.means, channels, v)
        mean_v, mean_u = (field.mean(space, keepdim=True, dtype=torch.float64) for field in (v, u))
        v = v + (kept * (mean_u - mean_v)).to(v.dtype)
        if not self.squares:
            return v
        scaled, means = self._mask(self.squares, channels, v), kept * mean_u
        square_v, square_u = (
            (scaled * (field.double() - means).square()).sum((1, *space), keepdim=True) for field in (v, u)
        )
        tiny = torch.finfo(torch.float64).tiny
        # Of nothing no multiple holds anything: such a frame stays as it is.
        ratio = torch.where(square_v > tiny, square_u.clamp(min=tiny) / square_v.clamp(min=tiny), 1).sqrt()
        # An increment, so that a frame that holds its square already keeps every digit.
        return v + (scaled * (ratio - 1) * (v.double() - means)).to(v.dtype)

    @staticmethod
    def _mask(names: Sequence[str], channels: Sequence[str], v: Tensor) -> Float[Tensor, "..."]:
        """One for the channels that are named, zero for the others."""
        named = [float(name in names) for name in channels]
        return constant(tuple(named), torch.float64, v.device).reshape(-1, *[1] * (v.ndim - 2))

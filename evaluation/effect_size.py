"""How far two samples are apart, in terms of their order alone."""

import torch
from jaxtyping import Float
from torch import Tensor


def cliffs_delta(x: Float[Tensor, "..."], y: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    """`delta = P(x_i > y_j) - P(x_i < y_j)` over all pairs of a value of `x` and one of `y` along an axis.

    1 where every value of `x` is above all of `y`, -1 where below, 0 where neither tends to be larger; equal values
    count for neither, exactly. Any increasing map of both samples leaves it as it is. It compares samples, not series:
    a reordering in time changes nothing. NaN where a sample holds one. Sorts `y` instead of forming the pairs.

    Raises:
        ValueError: the samples differ in another axis, or one is empty.

    Reference:
        Cliff (1993), doi:10.1037/0033-2909.114.3.494.
    """
    x, y = x.movedim(dim, -1).contiguous(), y.movedim(dim, -1).contiguous()
    if x.shape[:-1] != y.shape[:-1] or not x.shape[-1] or not y.shape[-1]:
        raise ValueError(f"samples must be equal in all axes but one and not empty, got {x.shape} and {y.shape}")
    defined = ~(x.isnan().any(-1) | y.isnan().any(-1))
    ordered = y.sort(-1).values
    below = torch.searchsorted(ordered, x)
    above = y.shape[-1] - torch.searchsorted(ordered, x, right=True)
    delta = (below - above).sum(-1).to(torch.float64) / (x.shape[-1] * y.shape[-1])
    return torch.where(defined, delta, torch.nan)

"""Whether a time series is regular, chaotic or noise, from the order of neighbouring values alone."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

LARGEST = 7
"""Largest order: 5040 patterns."""

VALUES_PER_PATTERN = 5
"""A series says something about patterns that it could show this often."""


def patterns(series: Float[Tensor, "b t"], order: int, delay: int = 1) -> Float[Tensor, "b p"]:
    """Shares of the `p = order!` orders in which `order` values, `delay` apart, can follow one another.

    Pattern 0 is ascending, the last descending. Equal values count as ascending, so a constant series has one pattern.
    NaN for a series that is not finite.

    Raises:
        ValueError: the order is not in 2 .. 7, or the series too short for one pattern.

    Reference:
        Bandt & Pompe (2002), doi:10.1103/PhysRevLett.88.174102.
    """
    span = (order - 1) * delay + 1
    if not 2 <= order <= LARGEST or delay < 1 or series.shape[1] < span:
        raise ValueError(
            f"order must be in 2 .. {LARGEST}, delay positive and the series of at least (order - 1) delay + 1 values, "
            f"got order {order}, delay {delay} and {series.shape[1]} values"
        )
    windows = series.to(torch.float64).unfold(1, span, 1)[..., ::delay]
    # Lehmer's number of the pattern: how many later values are smaller, in the factorial base.
    smaller = (windows[..., None, :] < windows[..., :, None]).triu(1).sum(-1)
    factorials = torch.tensor([math.factorial(order - 1 - i) for i in range(order)], device=series.device)
    number = (smaller * factorials).sum(-1)
    counts = windows.new_zeros(len(series), math.factorial(order))
    counts.scatter_add_(1, number, torch.ones_like(number, dtype=counts.dtype))
    return torch.where(series.isfinite().all(1)[:, None], counts / number.shape[1], torch.nan)


def permutation_entropy(series: Float[Tensor, "b t"], order: int = 3, delay: int = 1) -> Float[Tensor, " b"]:
    """`H = -sum p ln p / ln order!` over the `patterns`: 0 for a monotone series, 1 for noise."""
    return _entropy(patterns(series, order, delay)) / math.log(math.factorial(order))


def jensen_shannon_complexity(series: Float[Tensor, "b t"], order: int = 3, delay: int = 1) -> Float[Tensor, " b"]:
    """`C = Q_0 J H`, with `J` the Jensen-Shannon divergence of the `patterns` from equal shares, at most `1 / Q_0`.

    `J = S[(p + e) / 2] - S[p] / 2 - S[e] / 2` with `e = 1 / order!`. 0 for a monotone series and for noise, large for
    chaos, which leaves patterns out.

    Reference:
        Rosso et al. (2007), doi:10.1103/PhysRevLett.99.154102.
    """
    p, n = patterns(series, order, delay), math.factorial(order)
    divergence = _entropy((p + 1 / n) / 2) - _entropy(p) / 2 - math.log(n) / 2
    largest = -((n + 1) / n * math.log(n + 1) - 2 * math.log(2 * n) + math.log(n)) / 2
    return divergence / largest * _entropy(p) / math.log(n)


def affordable_order(values: int, largest: int = 5) -> int | None:
    """The largest order, at most `largest`, whose patterns a series could show `VALUES_PER_PATTERN` times each."""
    orders = [n for n in range(2, largest + 1) if values - n + 1 >= VALUES_PER_PATTERN * math.factorial(n)]
    return max(orders, default=None)


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)

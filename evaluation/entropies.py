"""How a field is spread over its points and over its modes: entropies of proper discrete distributions, in nats.

Every function takes a density `rho >= 0`, `[b, t, c, *space]` with the channels added up, and looks at `p_j = rho_j /
sum_j rho_j` over the points of each frame: `shannon(squared(u))` for a field without a named density. All are invariant
under scaling of the density and under any reordering of the points. A frame without mass counts as a constant one,
however small: its distribution is uniform, and its spectrum the mean alone. A frame that is not finite gives NaN.

A discrete entropy grows by `ln 2` with every doubling of an axis. `S + ln dV`, with `dV` the volume of a cell, is the
differential entropy of the density `p / dV`: it converges with the grid, and `exp(S + ln dV)` is the volume over which
the field is spread. Reports use that one, and differences on one grid are the same in both.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def squared(u: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t c *space"]:
    """`u^2` over the largest of each frame, which changes no distribution and cannot overflow."""
    largest = _wide(u.to(torch.float64).abs().flatten(2).amax(-1), u)
    return torch.where(largest == 0, 0, u / largest).square()


def distribution(rho: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t n"]:
    """`p_j = rho_j / sum_j rho_j` over all points of a frame; `1 / n` where there is no mass.

    Raises:
        ValueError: the density is negative somewhere.
    """
    if bool((rho < 0).any()):
        raise ValueError(f"a density must not be negative, got {rho.min().item():.3g}")
    rho = rho.to(torch.float64).sum(2).flatten(2)
    scaled = rho / rho.amax(-1, keepdim=True)
    return torch.where(rho.sum(-1, keepdim=True) == 0, 1 / rho.shape[-1], scaled / scaled.sum(-1, keepdim=True))


def shannon(rho: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t"]:
    """`S = -sum_j p_j ln p_j`: from 0, all at one of `n` points, to `ln n`, spread evenly."""
    return torch.special.entr(distribution(rho)).sum(-1)


def renyi(rho: Float[Tensor, "b t c *space"], order: float | int) -> Float[Tensor, "b t"]:
    """`H_a = ln(sum_j p_j^a) / (1 - a)`: `shannon` for `a = 1`, `-ln max_j p_j` for `a = inf`; falls with `a`.

    Large orders see the peaks, small ones the tails; the order 0 would count the points above rounding, and is refused.

    Reference:
        Renyi (1961), Proc. 4th Berkeley Symposium 1, 547.
    """
    _check(order)
    if order == math.inf:
        return -distribution(rho).amax(-1).log()
    if abs(1 - order) < 0.5:
        # ln(1 + x) / (1 - a): digits survive near the order 1, where the sum is nearly one.
        return shannon(rho) if order == 1 else torch.log1p((1 - order) * tsallis(rho, order)) / (1 - order)
    return (order * distribution(rho).log()).logsumexp(-1) / (1 - order)


def tsallis(rho: Float[Tensor, "b t c *space"], order: float | int) -> Float[Tensor, "b t"]:
    """`T_q = (1 - sum_j p_j^q) / (q - 1)`: `shannon` for `q = 1`; for `q = 2` the chance that two draws differ.

    Never negative, and at most `tsallis_uniform(n, q)`.

    Reference:
        Tsallis (1988), doi:10.1007/BF01016429, equation 1.
    """
    _check(order)
    if order == 1:
        return shannon(rho)
    p = distribution(rho)
    # p ln_q(1/p), with 0 ln_q(1/0) = 0.
    surprise = torch.where(p == 0, 0, p * torch.expm1((order - 1) * p.clamp(min=torch.finfo(p.dtype).tiny).log()))
    return -surprise.sum(-1) / (order - 1)


def tsallis_uniform(points: int, order: float | int) -> float:
    """`tsallis` of a uniform distribution, `(1 - n^(1 - q)) / (q - 1)`, the largest there is on `n` points."""
    return math.log(points) if order == 1 else -math.expm1((1 - order) * math.log(points)) / (order - 1)


def complexity(rho: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t"]:
    """`C = (S / ln n) n sum_j (p_j - 1/n)^2`: 0 for a uniform distribution and for a single point.

    Reference:
        Lopez-Ruiz, Mancini & Calbet (1995), doi:10.1016/0375-9601(95)00867-5, its disequilibrium times `n`.
    """
    p = distribution(rho)
    n = p.shape[-1]
    disequilibrium = n * (p - 1 / n).square().sum(-1)
    return torch.special.entr(p).sum(-1) / (math.log(n) or 1.0) * disequilibrium


def spectral_entropy(u: Float[Tensor, "b t c *space"] | Complex[Tensor, "b t c *space"]) -> Float[Tensor, "b t"]:
    """`-sum_k p_k ln p_k` with `p_k = |u_hat_k|^2 / sum_k |u_hat_k|^2` over all modes of either sign, the mean's too.

    0 for a single wave `e^{ikx}`, `ln 2` for a sine. The mean over channels of the entropy of each, which may have
    different units; a complex field is one channel. Of a resolved field it does not depend on the grid.
    """
    channel = u.to(torch.complex128).movedim(2, 0).unsqueeze(3)
    power = torch.fft.fftn(_unit(channel), dim=tuple(range(4, channel.ndim))).abs().square()
    # Where there is nothing, the mean is all there is.
    power[(..., *[0] * (power.ndim - 4))] += power.flatten(4).sum(-1) == 0
    return torch.stack([shannon(each) for each in power]).mean(0)


def _unit(u: Tensor) -> Tensor:
    """Every frame over its largest value, so that no square overflows or vanishes."""
    largest = u.abs().flatten(4).amax(-1).reshape(*u.shape[:4], *[1] * (u.ndim - 4))
    return torch.where(largest == 0, 0, u / largest)


def _check(order: float | int) -> None:
    if not order > 0:
        raise ValueError(f"order must be positive, got {order}")


def _wide(value: Tensor, u: Tensor) -> Tensor:
    """`[b, t]` with as many axes of length one behind as `u` has."""
    return value.reshape(*value.shape, *[1] * (u.ndim - value.ndim))

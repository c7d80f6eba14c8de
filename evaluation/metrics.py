"""How far a predicted trajectory is from the true one: curves in time, and the times at which they cross a threshold.

Every function takes predicted frames alone, `[b, t, c, *space]` with `t = 1, 2, ...` steps after the last input frame:
the frames that a model was given are not predictions and enter no metric. Sums are taken in float64. A predicted frame
with a value that is not finite counts as infinitely wrong, correlates with nothing, and leaves every other frame and
trajectory untouched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NRMSE_CAP = 100.0
"""Largest nRMSE that enters a geometric mean, so that one diverged trajectory cannot decide it."""


class Crossing(NamedTuple):
    """How long each trajectory stayed good, and whether the horizon, not an error, ended it."""

    time: Float[Tensor, " b"]
    censored: Bool[Tensor, " b"]


def nrmse(prediction: Float[Tensor, "b t c *space"], truth: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t"]:
    """`||p - u|| / ||u||`, norms over channels and space together; infinite where only `u` vanishes."""
    prediction, truth, finite = _finite_pair(prediction, truth)
    return _masked(_ratio(_norm(prediction - truth, 2), _norm(truth, 2)), finite)


def vrmse(prediction: Float[Tensor, "b t c *space"], truth: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t"]:
    """`mean_c sqrt( <(p_c - u_c)^2> / <(u_c - <u_c>)^2> )` with `<>` the mean over space.

    1 for a prediction of the field's own mean. Each channel is divided by its own spread, as in The Well, so channels
    may have different units.
    """
    prediction, truth, finite = _finite_pair(prediction, truth)
    return _masked(_ratio(_norm(prediction - truth, 3), _norm(_centred(truth), 3)).mean(-1), finite)


def scaled_rmse(
    prediction: Float[Tensor, "b t c *space"],
    truth: Float[Tensor, "b t c *space"],
    sigma: Float[Tensor, " c"] | Sequence[float],
) -> Float[Tensor, "b t"]:
    """`sqrt( mean_{c, x} (p_c - u_c)^2 / sigma_c^2 )` with `sigma_c` the long-run standard deviation of channel `c`.

    Levels off near `sqrt(2)` once two trajectories of one attractor have nothing in common.

    Reference:
        Vlachas et al. (2020), doi:10.1016/j.neunet.2020.02.016, section 2.3 (there called NRMSE).
    """
    prediction, truth, finite = _finite_pair(prediction, truth)
    scale = torch.as_tensor(sigma, dtype=truth.dtype, device=truth.device)
    if scale.shape != truth.shape[2:3] or not bool((scale > 0).all()):
        raise ValueError(
            f"sigma must hold one positive number for each of {truth.shape[2]} channels, got {scale.tolist()}"
        )
    error = (prediction - truth).flatten(3) / scale[:, None]
    return _masked(error.square().mean((2, 3)).sqrt(), finite)


def correlation(
    prediction: Float[Tensor, "b t c *space"], truth: Float[Tensor, "b t c *space"]
) -> Float[Tensor, "b t"]:
    """`mean_c <p'_c u'_c> / sqrt(<p'_c^2> <u'_c^2>)`, the Pearson correlation over space, with `u'_c = u_c - <u_c>`.

    Centred for each frame and channel: the uncentred cosine that some codes report is larger wherever a field has a
    mean. A channel in which the truth is constant in space has nothing to correlate with and is left out; a constant
    prediction correlates with nothing, 0.
    """
    prediction, truth, _ = _finite_pair(prediction, truth)
    p, u = _unit(_centred(prediction)), _unit(_centred(truth))
    varies = _norm(u, 3) > 0.5
    each = (p * u).flatten(3).sum(-1)
    return (each * varies).sum(-1) / varies.sum(-1).clamp(min=1)


def first_crossing(good: Bool[Tensor, "b t"], interval: float = 1.0) -> Crossing:
    """Time of the last good step before the first bad one: `interval` times the number of good steps from the start.

    A trajectory that is bad at once has time 0, one that recovers later gains nothing by it. One that is good to the
    end is censored: its time is the horizon, and the truth is "at least that". A report that names the first bad step
    instead is larger by one interval.
    """
    steps = good.long().cumprod(1).sum(1)
    return Crossing(steps.to(torch.float64) * interval, steps == good.shape[1])


def correlation_time(curve: Float[Tensor, "b t"], threshold: float = 0.8, interval: float = 1.0) -> Crossing:
    """How long the `correlation` of each trajectory stays at `threshold` or above, by `first_crossing`."""
    return first_crossing(curve >= threshold, interval)


def valid_time(curve: Float[Tensor, "b t"], threshold: float = 0.5, interval: float = 1.0) -> Crossing:
    """How long an error curve stays at `threshold` or below, by `first_crossing`.

    With `scaled_rmse` and 0.5 this is the valid prediction time of Vlachas et al.; multiplied by the leading Lyapunov
    exponent it is in Lyapunov times.
    """
    return first_crossing(curve <= threshold, interval)


def geometric_mean(curve: Float[Tensor, "b t"], steps: int = 100, cap: float = NRMSE_CAP) -> Float[Tensor, " b"]:
    """`exp( mean_{s = 1..steps} log min(nRMSE_s, cap) )`, over the steps that there are if fewer than `steps`."""
    return curve[:, :steps].clamp(max=cap).log().mean(1).exp()


def finite_steps(prediction: Float[Tensor, "b t c *space"]) -> Bool[Tensor, "b t"]:
    """Whether a trajectory has been finite in every value up to and including each step."""
    return prediction.isfinite().flatten(2).all(-1).long().cumprod(1).bool()


@dataclass(frozen=True)
class ValidPredictionTime:
    """Number of steps for which `scaled_rmse` stays at `threshold` or below; the horizon where it never leaves.

    Attributes:
        threshold: epsilon, in standard deviations of the long run.
    """

    threshold: float = 0.5

    def __call__(
        self,
        prediction: Float[Tensor, "b t c *space"],
        truth: Float[Tensor, "b t c *space"],
        sigma: Float[Tensor, " c"] | Sequence[float],
    ) -> Float[Tensor, " b"]:
        return valid_time(scaled_rmse(prediction, truth, sigma), self.threshold).time


def _finite_pair(prediction: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Bool[Tensor, "b t"]]:
    """Both in float64, prediction zeroed in frames that are not finite, and which frames are."""
    if not truth.isfinite().all():
        raise ValueError("truth must be finite: check the dataset with `python generate.py dataset=... verify=true`")
    prediction, truth = prediction.to(torch.float64), truth.to(torch.float64)
    finite = prediction.isfinite().flatten(2).all(-1)
    return torch.where(_wide(finite, prediction), prediction, torch.zeros_like(prediction)), truth, finite


def _masked(value: Tensor, finite: Tensor) -> Tensor:
    return torch.where(finite, value, torch.full_like(value, torch.inf))


def _norm(u: Tensor, axis: int) -> Tensor:
    return torch.linalg.vector_norm(u.flatten(axis), dim=-1)


def _centred(u: Tensor) -> Tensor:
    """`u - <u>` over space, exactly 0 where rounding is all that is left of `u`."""
    deviation = u - _mean(u)
    varies = _wide(_norm(deviation, 3), u) > 1e-12 * _wide(_norm(u, 3), u)
    return torch.where(varies, deviation, torch.zeros_like(u))


def _unit(u: Tensor) -> Tensor:
    norm = _wide(_norm(u, 3), u)
    return torch.where(norm > 0, u / norm, torch.zeros_like(u))


def _mean(u: Tensor) -> Tensor:
    return _wide(u.flatten(3).mean(-1), u)


def _wide(value: Tensor, u: Tensor) -> Tensor:
    """`[b, t, c]` with as many axes of length one behind as `u` has in space."""
    return value.reshape(*value.shape, *[1] * (u.ndim - value.ndim))


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """`above / below` with `0 / 0 = 0`."""
    return torch.where(above == 0, torch.zeros_like(above), above / below)

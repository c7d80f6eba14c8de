"""Whether fronts keep their shape: steepness, overshoot, place and the decay of energy."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def front_measures(prediction: Float[Tensor, "b t 1 n"], truth: Float[Tensor, "b t 1 n"]) -> dict[str, float]:
    """Medians over rollouts of means over time; 1 is right for a ratio, 0 for an error.

    `steepness_ratio` is `max |u_x|` over the truth's, `variation_ratio` the same of `sum |u_{i+1} - u_i|`,
    `front_offset` the distance of the steepest descents in boxes, `decay_error` that of the energies lost, relative to
    the loss, and `mass_drift` the largest change of the mean in units of the truth's rms. A rollout that stops being
    finite counts as infinite in each.
    """
    finite = prediction.flatten(1).isfinite().all(1)
    p, u = prediction[:, :, 0].double(), truth[:, :, 0].double()
    slope, true_slope = (v.roll(-1, -1) - v for v in (p, u))
    energy, true_energy = (v.square().mean(-1) / 2 for v in (p, u))
    lost, true_lost = (v[:, 0] - v[:, -1] for v in (energy, true_energy))
    gap = (slope.argmin(-1) - true_slope.argmin(-1)).abs()
    size = u.square().mean((1, 2)).sqrt()
    measures = {
        "steepness_ratio": (slope.abs().amax(-1) / true_slope.abs().amax(-1)).mean(1),
        "variation_ratio": (slope.abs().sum(-1) / true_slope.abs().sum(-1)).mean(1),
        "front_offset": torch.minimum(gap, p.shape[-1] - gap).double().mean(1) / p.shape[-1],
        "decay_error": (lost - true_lost).abs() / true_lost.abs(),
        "mass_drift": (p.mean(-1) - u.mean(-1)).abs().amax(1) / size,
    }
    return {name: _median(torch.where(finite, value, math.inf)) for name, value in measures.items()}


def _median(values: Tensor) -> float:
    """The middle value, the larger of two."""
    return float(values.sort().values[len(values) // 2])

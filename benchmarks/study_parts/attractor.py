"""Whether free runs visit the states that the truth visits, as often and in the same order.

Three numbers that see different things, and a fourth of the values alone. Each compares two sets of trajectories that
need share no initial state, so its floor is what it says of two independent halves of the truth.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.evaluation.spectra import energy_spectrum

# Of the estimate of a density: principal components, samples of it, width of a kernel in standard deviations.
COMPONENTS, SAMPLES, STATES, WIDTH = 8, 1000, 2000, 1.0
# Standard deviation, in frequencies, of the smoothing of a spectrum in time.
SMOOTHING = 2.0
# Energies below this share of the largest count as this much.
FLOOR = 1e-12


def attractor_distances(model: Float[Tensor, "b t c *space"], truth: Float[Tensor, "b t c *space"]) -> dict[str, float]:
    """The triple and Wasserstein's distance; infinite where no run of the model stays finite."""
    names = ("log_spectrum", "hellinger_time", "state_space", "wasserstein")
    alive = model[model.flatten(1).isfinite().all(1)].double()
    if not len(alive):
        return dict.fromkeys(names, math.inf)
    measures = (log_spectrum, hellinger_in_time, state_space, wasserstein)
    return {name: measure(alive, truth.double()) for name, measure in zip(names, measures, strict=True)}


def log_spectrum(model: Tensor, truth: Tensor) -> float:
    """`mean_{k > 0} |log10 E_p(k) - log10 E_u(k)|` of spectra averaged over runs and time, not normalised."""
    ours, theirs = (energy_spectrum(u).mean((0, 1))[..., 1:] for u in (model, truth))
    floor = FLOOR * theirs.amax()
    return float((ours.clamp(min=floor).log10() - theirs.clamp(min=floor).log10()).abs().mean())


def hellinger_in_time(model: Tensor, truth: Tensor) -> float:
    """`sqrt( 1 - sum_f sqrt(P_p(f) P_u(f)) )` of power spectra in time, normalised and smoothed, the mean over points.

    `P` is averaged over runs; `f = 0` is left out.
    """
    steps = min(model.shape[1], truth.shape[1])
    ours, theirs = (_power(u[:, :steps]) for u in (model, truth))
    return float((1 - (ours * theirs).sqrt().sum(0)).clamp(min=0).sqrt().mean())


def _power(u: Tensor) -> Float[Tensor, "f n"]:
    fields = u.flatten(2)
    power = torch.fft.rfft(fields - fields.mean(1, keepdim=True), dim=1).abs().square().mean(0)[1:]
    near = torch.arange(-8, 9, dtype=power.dtype)
    kernel = torch.exp(-((near / SMOOTHING) ** 2) / 2)
    smooth = torch.nn.functional.conv1d(power.T[:, None], (kernel / kernel.sum())[None, None], padding=8)[:, 0].T
    return smooth / smooth.sum(0).clamp(min=torch.finfo(smooth.dtype).tiny)


def state_space(model: Tensor, truth: Tensor) -> float:
    """`mean_{x ~ p_u} log p_u(x) / p_p(x)`: densities of states by Gaussian kernels on whitened principal components.

    The components are the truth's. A kernel is as wide as the truth's spread along each of them.
    """
    states = truth.flatten(0, 1).flatten(1)
    mean = states.mean(0)
    _, singular, directions = torch.linalg.svd(states - mean, full_matrices=False)
    count = min(COMPONENTS, len(singular))
    whiten = directions[:count].T / (singular[:count] / math.sqrt(len(states)))
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (_thin((u.flatten(0, 1).flatten(1) - mean) @ whiten) for u in (model, truth))
    picks = torch.randint(len(theirs), (SAMPLES,), generator=generator)
    noise = torch.randn(SAMPLES, count, generator=generator, dtype=theirs.dtype)
    x = theirs[picks] + WIDTH * noise
    return float((_log_density(x, theirs) - _log_density(x, ours)).mean())


def _thin(states: Float[Tensor, "n d"]) -> Tensor:
    """At most `STATES` of them, evenly spaced."""
    return states[:: max(1, -(-len(states) // STATES))]


def _log_density(x: Tensor, states: Tensor) -> Tensor:
    """Up to a constant that all densities here share."""
    distance = torch.cdist(x, states).square() / (2 * WIDTH**2)
    return torch.logsumexp(-distance, 1) - math.log(len(states))


def wasserstein(model: Tensor, truth: Tensor) -> float:
    """`int |F_p^-1(q) - F_u^-1(q)| dq` of the values at points, in standard deviations of the truth, over channels."""
    levels = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    ours, theirs = (u.movedim(2, 0).flatten(1).sort(1).values for u in (model, truth))
    a, b = (values[:, (levels * values.shape[1]).long()] for values in (ours, theirs))
    return float(((a - b).abs().mean(1) / theirs.std(1)).mean())


def decorrelation_time(u: Float[Tensor, "b t c *space"], interval: float) -> float:
    """The time after which `<u(t) u(t + tau)> / <u^2>`, means taken off, first falls below `1 / e`; `inf` if never."""
    fields = u[u.flatten(1).isfinite().all(1)].double().flatten(2)
    if not len(fields):
        return math.inf
    fields = fields - fields.mean((0, 1))
    variance = fields.square().mean()
    for lag in range(1, fields.shape[1] // 2):
        if (fields[:, lag:] * fields[:, :-lag]).mean() / variance < 1 / math.e:
            return lag * interval
    return math.inf

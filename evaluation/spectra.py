"""Energy by wavenumber, and how far a prediction's is from the truth's at large, middle and small scales."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .metrics import finite_steps

FLOOR = 1e-12
"""Energies below this share of the truth's most energetic shell count as this much: below it lies float32 rounding."""


class Bands(NamedTuple):
    """One number for each third of the wavenumbers, large scales first."""

    low: Tensor
    mid: Tensor
    high: Tensor


def energy_spectrum(u: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t c k"]:
    """`E(k) = 1/2 sum_{k - 1/2 <= |k| < k + 1/2} |u_hat|^2`, `k = 0, 1, ...` counting periods along the domain.

    `u_hat = FFT(u) / points`, so that the sum of all shells is the mean of `u^2 / 2` over space. In more than one
    dimension `|k|` is the length of the vector of integer wavenumbers; corners beyond the last full shell are counted
    in shells of their own.
    """
    axes = tuple(range(3, u.ndim))
    power = torch.fft.fftn(u.to(torch.float64), dim=axes, norm="forward").abs().square() / 2
    shell = _shells(tuple(u.shape[3:])).to(u.device)
    return power.new_zeros(*u.shape[:3], int(shell.max()) + 1).index_add_(-1, shell, power.flatten(3))


def bands(shells: int, points: tuple[int, ...]) -> Bands:
    """Masks over `k = 0 .. shells - 1` for the thirds of `log k` between 1 and the grid's Nyquist wavenumber.

    Equal in the logarithm, as in The Well: a linear third of a smooth field's wavenumbers holds nearly all its energy
    in the first and rounding in the last. The mean belongs to the first, corners beyond Nyquist to the last.
    """
    k = torch.arange(shells)
    nyquist = min(points) // 2
    low, high = k**3 <= nyquist, k**3 > nyquist**2
    return Bands(low, ~low & ~high, high)


def band_error(
    prediction: Float[Tensor, "b t c *space"], truth: Float[Tensor, "b t c *space"]
) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"], Float[Tensor, "b t"]]:
    """Which scales carry the error: `sqrt( sum_{k in band} E[p - u](k) / sum_k E[u](k) )` for low, mid, high.

    The squares of the three add up to the square of the nRMSE (Parseval). A frame that is not finite is infinitely
    wrong in every band.
    """
    finite = prediction.isfinite().flatten(2).all(-1)
    points = tuple(truth.shape[3:])
    error = energy_spectrum(prediction.to(torch.float64) - truth.to(torch.float64)).sum(2)
    total = energy_spectrum(truth).sum((2, 3))
    low, mid, high = (
        torch.where(finite, (error[..., mask.to(error.device)].sum(-1) / total).sqrt(), torch.inf)
        for mask in bands(error.shape[-1], points)
    )
    return low, mid, high


def mean_spectrum(u: Float[Tensor, "b t c *space"], piece: int = 256) -> Float[Tensor, "b c k"]:
    """`energy_spectrum` averaged over the frames of each trajectory, of which `piece` are transformed at once; NaN for
    one that does not stay finite.
    """
    spectrum = torch.stack([energy_spectrum(frames).sum(1) for frames in u.split(piece, dim=1)]).sum(0) / u.shape[1]
    return torch.where(finite_steps(u)[:, -1, None, None], spectrum, torch.nan)


def spectrum_error(
    prediction: Float[Tensor, "b c k"], truth: Float[Tensor, "b c k"], points: tuple[int, ...]
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"], Float[Tensor, " b"]]:
    """`mean | log10 E_p(k) - log10 E_u(k) |` over channels and the shells of each band: 1 is a factor of ten.

    For time-averaged spectra (`mean_spectrum`): right or wrong statistics, however far the trajectories have parted.
    Both energies are raised to at least `FLOOR` times the truth's most energetic shell. The mean, `k = 0`, is left out:
    where it is conserved at zero, the ratio compares rounding with rounding, and its drift is reported as an invariant.
    Infinite for a trajectory that did not stay finite.
    """
    floor = (FLOOR * truth.amax(-1, keepdim=True)).clamp(min=torch.finfo(truth.dtype).tiny)
    difference = (torch.maximum(prediction, floor).log10() - torch.maximum(truth, floor).log10()).abs()
    difference = torch.where(difference.isfinite(), difference, torch.inf)
    varying = torch.arange(truth.shape[-1]) > 0
    low, mid, high = (
        difference[..., (mask & varying).to(truth.device)].mean((1, 2)) for mask in bands(truth.shape[-1], points)
    )
    return low, mid, high


def _shells(points: tuple[int, ...]) -> Int[Tensor, " n"]:
    """The shell of every Fourier coefficient, flattened: its wavenumber's length, rounded half up."""
    axes = [torch.fft.fftfreq(n, 1 / n, dtype=torch.float64).square() for n in points]
    grids = torch.meshgrid(*axes, indexing="ij")
    return (torch.stack(grids).sum(0).sqrt() + 0.5).floor().long().flatten()

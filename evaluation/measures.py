"""Everything that is measured on a batch of rollouts, frame by frame and rollout by rollout."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Equation, Grid, relative_drift

from . import diagnostics, metrics, spectra
from .waves import Waves

VALUES = 4_000_000
"""Values of a field measured at once; frames beyond them wait for the next piece."""

VRMSE_WINDOWS = ((6, 12), (13, 30))
"""Steps, first and last, over which The Well's tables average the VRMSE."""


@dataclass
class Measurement:
    """What is known about `n` rollouts of `t` steps.

    Attributes:
        curves: error of each rollout at each step, `[n, t]` under its name; and, as `wave_*` and `budget_*`, not an
            error but the rollout's own diagnostics.
        scalars: one number for each rollout, `[n]` under its name.
        censored: for the scalars that are times, whether the horizon ended them, `[n]`.
        spectrum: time-averaged energy spectrum, `[n, c, k]`.
    """

    curves: dict[str, Tensor] = field(default_factory=dict)
    scalars: dict[str, Tensor] = field(default_factory=dict)
    censored: dict[str, Tensor] = field(default_factory=dict)
    spectrum: Tensor = field(default_factory=lambda: torch.empty(0))

    @classmethod
    def concatenate(cls, parts: "list[Measurement]") -> "Measurement":
        """The rollouts of all parts, in order."""
        names = ("curves", "scalars", "censored")
        joined = {
            name: {key: torch.cat([getattr(part, name)[key] for part in parts]) for key in getattr(parts[0], name)}
            for name in names
        }
        return cls(**joined, spectrum=torch.cat([part.spectrum for part in parts]))


@dataclass(frozen=True)
class Ruler:
    """What is needed to measure rollouts of one dataset.

    Attributes:
        sigma: long-run standard deviation of each channel, from the training split.
        interval: time between frames.
        equation: the equation whose invariants are watched, if it is known.
        grid: the grid of the stored fields, if the equation is known.
        threshold: of the valid prediction time, in `sigma`.
    """

    sigma: tuple[float, ...]
    interval: float
    equation: Equation | None = None
    grid: Grid | None = None
    threshold: float = 0.5

    @cached_property
    def waves(self) -> Waves | None:
        """The wave diagnostics of the equation, if it has any (see `Waves.of`)."""
        return Waves.of(self.equation, self.grid) if self.equation and self.grid else None

    @torch.no_grad()
    def describe(self, u: Float[Tensor, "b t c *space"]) -> dict[str, Float[Tensor, "b t"]]:
        """The series of `diagnostics.describe`, on the CPU; none where the equation is unknown or has none."""
        if self.equation is None or self.grid is None:
            return {}
        length = max(1, VALUES // u[:, 0].numel())
        pieces = [diagnostics.describe(piece, self.equation, self.grid, self.waves) for piece in u.split(length, 1)]
        return {name: torch.cat([piece[name] for piece in pieces], dim=1).cpu() for name in pieces[0]}

    @torch.no_grad()
    def measure(
        self,
        prediction: Float[Tensor, "b t c *space"],
        truth: Float[Tensor, "b t c *space"],
        described: dict[str, Float[Tensor, "b t"]] | None = None,
    ) -> Measurement:
        """Every curve and scalar of a batch of predicted frames, on the CPU.

        Args:
            described: `describe(truth)`, where it is at hand.
        """
        length = max(1, VALUES // truth[:, 0].numel())
        pieces = [
            self._frames(prediction[:, start : start + length], truth[:, start : start + length])
            for start in range(0, truth.shape[1], length)
        ]
        curves = {name: torch.cat([piece[name] for piece in pieces], dim=1).cpu() for name in pieces[0]}
        spectrum, reference = (spectra.mean_spectrum(u, length).cpu() for u in (prediction, truth))
        for name in [key for key in curves if key.endswith("_scale")]:
            drift = name.removesuffix("_scale")
            curves[drift] = relative_drift(curves[drift], curves.pop(name))
        finite = metrics.finite_steps(prediction)[:, -1].cpu()
        result = Measurement(curves=curves, spectrum=spectrum)
        self._times(result)
        result.scalars |= _summary_of_curves(curves) | {"finite": finite.double()}
        errors = spectra.spectrum_error(spectrum, reference, tuple(truth.shape[3:]))
        result.scalars |= dict(zip(("spectrum_low", "spectrum_mid", "spectrum_high"), errors, strict=True))
        self._diagnose(result, self.describe(prediction), self.describe(truth) if described is None else described)
        return result

    def _diagnose(self, result: Measurement, own: dict[str, Tensor], true: dict[str, Tensor]) -> None:
        if self.equation is not None and own:
            result.scalars |= diagnostics.compare(own, true, self.equation, self.interval)
            result.curves |= {name: series for name, series in own.items() if name != "wave_probe"}

    def _frames(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        low, mid, high = spectra.band_error(prediction, truth)
        return {
            "nrmse": metrics.nrmse(prediction, truth),
            "vrmse": metrics.vrmse(prediction, truth),
            "correlation": metrics.correlation(prediction, truth),
            "scaled_rmse": metrics.scaled_rmse(prediction, truth, self.sigma),
            "error_low": low,
            "error_mid": mid,
            "error_high": high,
        } | self._drifts(prediction, truth)

    def _drifts(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """`|I[p] - I[u]|` of every invariant as `drift_<name>`, and the truth's size as `drift_<name>_scale`.

        Where `I[u]` cancels, as the mass of a field of zero mean does, it is no scale; `invariant_sizes` cannot cancel.
        """
        if self.equation is None or self.grid is None:
            return {}
        u, grid = truth.to(torch.float64), self.grid.to(truth.device)
        predicted = self.equation.invariants(prediction.to(torch.float64), grid)
        sizes, drifts = self.equation.invariant_sizes(u, grid, torch.finfo(truth.dtype).eps), {}
        for name, true in self.equation.invariants(u, grid).items():
            drift = (predicted[name] - true).abs()
            drifts[f"drift_{name}"] = torch.where(drift.isfinite(), drift, torch.inf)
            drifts[f"drift_{name}_scale"] = sizes[name]
        return drifts

    def _times(self, result: Measurement) -> None:
        curves, interval = result.curves, self.interval
        crossings = {
            "correlation_time_0.8": metrics.correlation_time(curves["correlation"], 0.8, interval),
            "correlation_time_0.9": metrics.correlation_time(curves["correlation"], 0.9, interval),
            "valid_prediction_time": metrics.valid_time(curves["scaled_rmse"], self.threshold, interval),
        }
        for name, crossing in crossings.items():
            result.scalars[name], result.censored[name] = crossing


def _summary_of_curves(curves: dict[str, Tensor]) -> dict[str, Tensor]:
    """Numbers that tables quote: first and last step, geometric mean, The Well's windows, drift at the end."""
    steps = curves["nrmse"].shape[1]
    scalars = {
        "nrmse_first": curves["nrmse"][:, 0],
        "nrmse_last": curves["nrmse"][:, -1],
        "nrmse_gmean100": metrics.geometric_mean(curves["nrmse"]),
        "vrmse_first": curves["vrmse"][:, 0],
    }
    for first, last in VRMSE_WINDOWS:
        if last <= steps:
            scalars[f"vrmse_{first}_{last}"] = curves["vrmse"][:, first - 1 : last].mean(1)
    return scalars | {f"{name}_last": curve[:, -1] for name, curve in curves.items() if name.startswith("drift_")}

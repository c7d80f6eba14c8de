"""The pictures of an evaluation, each in its own file."""

from collections.abc import Mapping
from pathlib import Path

from rollwave.datasets import DatasetMetadata

from .figures import drifts, error_growth, spectra
from .panels import animation, rollout_panels
from .rollout import Results
from .style import Scale, style
from .views import value_densities, wave_view


def illustrate(
    results: Mapping[str, Results],
    truth: Results,
    metadata: DatasetMetadata,
    interval: float,
    output: Path,
    moving: str | None = None,
) -> dict[str, str]:
    """Draw everything there is to draw; the captions by file name, in the order of a report.

    Args:
        moving: `"gif"` or `"mp4"` for an animation of the first rollout.
    """
    scale = Scale(interval, metadata.lengths, _labels(metadata), metadata.lyapunov_exponent)
    curves = {name: result.measurement.curves for name, result in results.items()}
    spectrum = {name: results[name].measurement.spectrum for name in ("model", "solver") if name in results}
    spectrum["truth"] = truth.measurement.spectrum
    model = results["model"]
    captions = {}
    with style():
        for channel, name in enumerate(metadata.channels):
            file = "rollout.png" if len(metadata.channels) == 1 else f"rollout_{name}.png"
            marker = float(model.measurement.scalars["correlation_time_0.8"][0])
            panels = rollout_panels(model.example, truth.example, scale, channel=channel, marker=marker)
            panels.savefig(output / file)
            line = "; dashed: the correlation falls below 0.8" if len(metadata.points) == 1 else ""
            captions[file] = f"First rollout of the split, {name}: truth, prediction, absolute error{line}."
        error_growth(curves, scale).savefig(output / "error_growth.png")
        captions["error_growth.png"] = "Median over rollouts; bands from the first to the third quartile."
        spectra(spectrum, curves["model"], scale).savefig(output / "spectra.png")
        captions["spectra.png"] = (
            "Left: energy by wavenumber, averaged over each rollout. Right: the model's error at large, middle and "
            "small scales, whose squares add up to the square of the nRMSE."
        )
        if drift := drifts(curves, scale):
            drift.savefig(output / "invariants.png")
            captions["invariants.png"] = "Integrals over the domain: relative difference from the truth's."
        examples = {name: results[name].example for name in ("model", "solver") if name in results}
        examples["truth"] = truth.example
        value_densities(examples, scale).savefig(output / "densities.png")
        captions["densities.png"] = "First rollout of the split: how often each value occurs, over all its frames."
        if "wave_entropy" in curves["model"]:
            entropy = {name: curves[name]["wave_entropy"] for name in examples if name in curves}
            entropy["truth"] = truth.measurement.curves["wave_entropy"]
            wave_view(examples, entropy, scale).savefig(output / "waves.png")
            captions["waves.png"] = (
                "Left: path of the first rollout through phase space, in the middle of the box, from the dot on. "
                "Right: over how much of the box the density is spread (see Shannon entropy)."
            )
        if moving:
            animation(model.example, truth.example, scale, output / f"rollout.{moving}")
            captions[f"rollout.{moving}"] = "First rollout of the split, in motion."
    return captions


def _labels(metadata: DatasetMetadata) -> tuple[str, ...]:
    """Channel names with their units, where these are stated and not 1."""
    units = metadata.units or ("",) * len(metadata.channels)
    return tuple(
        f"{name} [{unit}]" if unit not in ("", "1") else name
        for name, unit in zip(metadata.channels, units, strict=True)
    )

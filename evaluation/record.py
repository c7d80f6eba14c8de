"""What `metrics.json` holds: numbers, strings and lists, for any JSON reader."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from rollwave.datasets import TrajectoryDataset
from rollwave.operators import Emulator
from rollwave.operators.metadata import package_versions

from .measures import Ruler
from .metrics import geometric_mean
from .rollout import Results, Survival
from .settings import Settings
from .summary import json_safe, summarise


@dataclass(frozen=True)
class Circumstances:
    """Under what circumstances the results came about.

    Attributes:
        emulator: the model.
        windows: what was rolled out.
        ruler: what it was measured with.
        settings: what the user chose.
        device: where it ran.
        command: what to type to repeat it.
    """

    emulator: Emulator
    windows: TrajectoryDataset
    ruler: Ruler
    settings: Settings
    device: torch.device
    command: str = ""


def record(
    circumstances: Circumstances,
    results: Mapping[str, Results],
    truth: Results,
    survival: Survival | None,
    notes: list[str],
) -> dict[str, Any]:
    """Everything that is known after an evaluation, safe for JSON (see `json_safe`)."""
    metadata, ruler, equation = circumstances.windows.metadata, circumstances.ruler, circumstances.ruler.equation
    dataset = metadata.to_dict() | {"has_recipe": metadata.equation_config is not None}
    return dict(
        json_safe(
            {
                "dataset": dataset
                | {
                    "conserved": list(equation.conserved) if equation else [],
                    "wave_density": ruler.waves.density if ruler.waves else None,
                },
                "emulator": _describe(circumstances.emulator),
                "protocol": _protocol(circumstances),
                "environment": {"device": _device_name(circumstances.device), "versions": package_versions()},
                "candidates": {n: _candidate(result, metadata.lyapunov_exponent) for n, result in results.items()},
                "truth": _truth(truth),
                "survival": asdict(survival) if survival else None,
                "notes": notes,
            }
        )
    )


def _protocol(circumstances: Circumstances) -> dict[str, Any]:
    windows, ruler = circumstances.windows, circumstances.ruler
    return asdict(circumstances.settings) | {
        "steps": windows.frames - circumstances.emulator.history,
        "history": circumstances.emulator.history,
        "time_stride": windows.time_stride,
        "window_stride": windows.window_stride,
        "interval": ruler.interval,
        "rollouts": len(windows),
        "trajectories": windows.trajectories,
        "sigma": list(ruler.sigma),
        "threshold": ruler.threshold,
        "command": circumstances.command,
    }


def _truth(truth: Results) -> dict[str, Any]:
    """What is known of the truth alone: its spectrum, its own diagnostics, and how far it closes its budgets."""
    measured, own = truth.measurement, ("wave_", "budget_")
    budgets = {name: value for name, value in measured.scalars.items() if name.startswith("budget_")}
    return {
        "spectrum": summarise(measured.spectrum),
        "curves": {name: summarise(value) for name, value in measured.curves.items() if name.startswith(own)},
        "scalars": {
            name: summarise(value) | {"values": value.tolist()}
            for name, value in budgets.items()
            if not name.endswith("_error")
        },
    }


def _candidate(results: Results, lyapunov_exponent: float | None) -> dict[str, Any]:
    """One entry of `candidates` in `metrics.json`."""
    measured = results.measurement
    scalars = dict(measured.scalars)
    censored = dict(measured.censored)
    if lyapunov_exponent:
        scalars["valid_prediction_time_lyapunov"] = scalars["valid_prediction_time"] * lyapunov_exponent
        censored["valid_prediction_time_lyapunov"] = censored["valid_prediction_time"]
    entries = {name: summarise(value) | {"values": value.tolist()} for name, value in scalars.items()}
    for name, value in censored.items():
        entries[name]["censored"] = float(value.double().mean())
    mean_curve = measured.curves["nrmse"].clamp(max=100).mean(0, keepdim=True)
    return {
        "scalars": entries,
        "curves": {name: summarise(value) for name, value in measured.curves.items()},
        "spectrum": summarise(measured.spectrum),
        "fraction_finite": float(scalars["finite"].mean()),
        "nrmse_gmean100_of_mean": float(geometric_mean(mean_curve)),
        "seconds_per_step": results.seconds_per_step,
        "seconds_per_step_batch": results.batch,
    }


def _describe(emulator: Emulator) -> dict[str, Any]:
    return emulator.metadata.to_dict() | {
        "network": type(emulator.network).__name__,
        "parameters": sum(parameter.numel() for parameter in emulator.network.parameters()),
        "history": emulator.history,
        "residual": emulator.residual,
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type

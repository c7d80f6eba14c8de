"""Everything that is measured on the test split, once, of a run whose parameters are chosen."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.datasets import TrajectoryDataset
from rollwave.evaluation import load_emulator
from rollwave.operators import Emulator

from .attractor import attractor_distances, decorrelation_time
from .dynamics import largest_stretch, leading_exponent
from .evaluation import metrics_of, untrained
from .fit import test_sets
from .fronts import front_measures
from .runs import Run

STEPS = (1, 10, 50, 100)
# Test states at which the Jacobian is looked at, and starts of the runs along which its products grow.
STATES, STARTS = 8, 8


def measured(run: Run, data: Path, folder: Path) -> dict[str, Any]:
    """The figures of the test split, of the further test sets, and of the map itself."""
    folders = test_sets(run, data)
    emulator = load_emulator(folder)
    sets = {name or "test": on_set(emulator, run, path, name) for name, path in folders.items()}
    result: dict[str, Any] = {"sets": sets}
    truth = trajectories(folders[""])
    interval, start = emulator.metadata.interval, truth[:STARTS, 0]
    result["exponent"] = leading_exponent(emulator, start, interval) if run.system.attractor else None
    result["stretch"] = largest_stretch(emulator, truth[:STATES, truth.shape[1] // 2])
    return result


def on_set(emulator: Emulator, run: Run, dataset: Path, name: str) -> dict[str, Any]:
    """What `evaluate.py` measures of the model, and the study's own measures."""
    extend = 0 if name else run.system.extend
    metrics = metrics_of({"model": emulator.rollout}, emulator, dataset, extend=extend)
    result = compressed(metrics["candidates"]["model"]) | {"survival": metrics["survival"]}
    truth = trajectories(dataset)
    prediction = emulator.rollout(truth[:, :1], truth.shape[1] - 1)
    if run.system.attractor and not name:
        half = len(truth) // 2
        result["attractor"] = attractor_distances(prediction[:half], truth[half:, 1:])
        result["decorrelation_time"] = decorrelation_time(prediction, emulator.metadata.interval)
    if run.system.fronts:
        result["fronts"] = front_measures(prediction, truth[:, 1:])
    return result


def floors(emulator: Emulator, run: Run, dataset: Path) -> dict[str, Any]:
    """What needs no training: the solver from a perturbed start, persistence, climatology, and halves of the truth."""
    metrics = metrics_of(untrained(dataset), emulator, dataset)
    result: dict[str, Any] = {name: compressed(candidate) for name, candidate in metrics["candidates"].items()}
    result["dataset"], result["notes"] = metrics["dataset"], metrics["notes"]
    if run.system.attractor:
        truth = trajectories(dataset)
        half = len(truth) // 2
        result["attractor"] = attractor_distances(truth[:half, 1:], truth[half:, 1:])
        result["decorrelation_time"] = decorrelation_time(truth[:, 1:], emulator.metadata.interval)
    return result


def trajectories(dataset: Path) -> Float[Tensor, "b t c *space"]:
    """All of the test split."""
    windows = TrajectoryDataset(dataset, "test", frames=1)
    return torch.stack([windows.trajectory(index) for index in range(windows.trajectories)])


def compressed(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate of `metrics.json`: medians and quartiles of scalars, the median curve of the nRMSE."""
    scalars = {
        name: {key: value for key, value in entry.items() if key != "values"}
        for name, entry in candidate["scalars"].items()
    }
    curve = candidate["curves"]["nrmse"]["median"]
    return {
        "scalars": scalars,
        "nrmse": {str(step): curve[step - 1] for step in STEPS if step <= len(curve)},
        "curve": [_short(value) for value in curve],
        "fraction_finite": candidate["fraction_finite"],
        "seconds_per_step": candidate["seconds_per_step"],
        "spectrum": {name: scalars[f"spectrum_{name}"]["median"] for name in ("low", "mid", "high")},
    }


def _short(value: Any) -> Any:
    """Four digits, which a figure does not tell apart."""
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value

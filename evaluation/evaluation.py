"""From an emulator and a dataset to a folder that says how long, and in what sense, the emulator is right."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rollwave.datasets import DatasetMetadata, Recipe, TrajectoryDataset, load_recipe, open_source, parameters_of
from rollwave.operators import Emulator
from rollwave.solvers import Grid

from .baselines import Climatology, Forecast, Persistence, PerturbedSolver
from .illustrate import illustrate
from .measures import Ruler
from .record import Circumstances, record
from .report import render
from .rollout import Survival, batched, run, survive
from .settings import Settings

log = logging.getLogger(__name__)


def evaluate(
    emulator: Emulator,
    dataset: str | Path,
    *,
    output: str | Path,
    settings: Settings | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Roll the emulator and its baselines out over a split, and write `report.md`, `metrics.json` and figures.

    The frames that the emulator is given are in no metric. A conditioned emulator is told the coefficients that the
    dataset's equation has. Beside the model stand persistence, climatology and, where
    the dataset holds its recipe, the solver from a perturbed start.

    Args:
        emulator: the model.
        dataset: folder of a generated dataset or of one in The Well's layout, or a PDEBench file.
        output: folder to write into.
        settings: how.
        command: what a reader of the report should type to repeat it.

    Returns:
        What `metrics.json` holds.

    Raises:
        ValueError: the emulator steps another equation, other channels or another interval, or the trajectories are too
            short.
        DatasetError: the emulator is to be told a coefficient that the dataset does not state.
    """
    settings, output = settings or Settings(), Path(output)
    metadata = open_source(dataset).metadata
    windows = _windows(emulator, dataset, metadata, settings)
    recipe = load_recipe(dataset) if metadata.equation_config is not None else None
    device = _device(settings.device)
    ruler = Ruler(
        sigma=windows.statistics.std,
        interval=windows.time_stride * metadata.interval,
        equation=recipe.build_equation() if recipe else None,
        grid=Grid(metadata.points, metadata.lengths) if recipe else None,
    )
    forecasts: dict[str, Forecast] = {"model": emulator.to(device).rollout}
    if recipe and settings.perturbation:
        forecasts["solver"] = _solver(recipe, ruler.interval, settings.perturbation)
    forecasts |= {"persistence": Persistence(), "climatology": Climatology(windows.statistics.mean)}
    log.info("%d rollouts of %d steps on %s", len(windows), windows.frames - emulator.history, device)
    batches = _batches(windows, settings.batch_size)
    with emulator.given(_told(emulator, metadata)):
        results, truth, notes = run(forecasts, batches, history=emulator.history, ruler=ruler, device=device)
        survival = _survival(emulator, windows, settings, device) if settings.extend else None
    if recipe is None:
        notes.append("The dataset holds no recipe, so there is no perturbed solver and no invariant to watch.")
    circumstances = Circumstances(emulator, windows, ruler, settings, device, command)
    metrics = record(circumstances, results, truth, survival, notes)
    output.mkdir(parents=True, exist_ok=True)
    figures = illustrate(results, truth, metadata, ruler.interval, output, settings.animation)
    (output / "metrics.json").write_text(json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    (output / "report.md").write_text(render(metrics, figures))
    return metrics


def _told(emulator: Emulator, metadata: DatasetMetadata) -> dict[str, float]:
    """The coefficients that the emulator is conditioned on, as the dataset states them."""
    names = () if emulator.conditions is None else tuple(emulator.conditions.ranges)
    return dict(zip(names, parameters_of(metadata, names), strict=True))


def _time_stride(emulator: Emulator, metadata: DatasetMetadata) -> int:
    """Stored frames per step of the emulator, after a check that the two belong together."""
    stride = max(1, round(emulator.metadata.interval / metadata.interval))
    emulator.check_compatible(
        # A file that does not name its equation cannot contradict the emulator.
        equation=emulator.metadata.equation if metadata.equation == "unknown" else metadata.equation,
        channels=metadata.channels,
        interval=stride * metadata.interval,
        lengths=metadata.lengths,
        data_hash=metadata.data_hash,
    )
    return stride


def _windows(
    emulator: Emulator, dataset: str | Path, metadata: DatasetMetadata, settings: Settings
) -> TrajectoryDataset:
    """Every rollout of the split: input frames, then as many true frames as are predicted."""
    stride = _time_stride(emulator, metadata)
    stored = metadata.frames.get(settings.split, 0)
    steps = settings.steps or (stored - 1) // stride + 1 - emulator.history
    if steps < 1 or (emulator.history + steps - 1) * stride >= stored:
        raise ValueError(
            f"{emulator.history} input frames and steps={max(steps, 1)} need "
            f"{(emulator.history + max(steps, 1) - 1) * stride + 1} stored frames, the trajectories of split "
            f"'{settings.split}' have {stored}"
        )
    frames = emulator.history + steps
    window_stride = settings.window_stride or (frames - 1) * stride + 1
    return TrajectoryDataset(dataset, settings.split, frames=frames, time_stride=stride, window_stride=window_stride)


def _batches(windows: TrajectoryDataset, size: int) -> Iterator[Tensor]:
    return batched((windows[index] for index in range(len(windows))), size)


def _solver(recipe: Recipe, interval: float, amplitude: float) -> PerturbedSolver:
    """The solver that made the data, as its recipe says."""
    return PerturbedSolver(
        equation=recipe.build_equation(),
        grid=recipe.build_grid(),
        interval=interval,
        stepper=recipe.stepper_class,
        dt=recipe.dt,
        stride=recipe.space_stride,
        amplitude=amplitude,
    )


def _survival(emulator: Emulator, windows: TrajectoryDataset, settings: Settings, device: torch.device) -> Survival:
    """How the model ends, `settings.extend` steps after the truth has."""
    return survive(
        emulator.rollout,
        _batches(windows, settings.batch_size),
        history=emulator.history,
        steps=windows.frames - emulator.history + settings.extend,
        rms=windows.statistics.rms,
        device=device,
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        # Some backends are named by torch and yet not there.
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        raise ValueError(
            f"device must be auto or one of {', '.join(there)}, which this machine has, got {name!r} "
            f"({str(error).partition(chr(10))[0]})"
        ) from error

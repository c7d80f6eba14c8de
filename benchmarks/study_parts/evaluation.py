"""What `evaluate.py` measures, by its own parts and without its pictures, which would take most of a run's time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rollwave.datasets import TrajectoryDataset, load_recipe
from rollwave.evaluation import Settings
from rollwave.evaluation.baselines import Climatology, Forecast, Persistence, PerturbedSolver
from rollwave.evaluation.measures import Ruler
from rollwave.evaluation.record import Circumstances, record
from rollwave.evaluation.rollout import batched, run, survive
from rollwave.operators import Emulator
from rollwave.solvers import Grid

# Rollouts computed together, and the size of the solver's perturbation.
BATCH, PERTURBATION = 32, 1e-6


def metrics_of(
    forecasts: Mapping[str, Forecast], emulator: Emulator, dataset: Path, *, extend: int = 0
) -> dict[str, Any]:
    """What `metrics.json` of `evaluate.py` holds, of forecasts over all of the test split."""
    recipe = load_recipe(dataset)
    windows = TrajectoryDataset(dataset, "test", frames=recipe.frames_of("test"), window_stride=10**6)
    ruler = Ruler(
        sigma=windows.statistics.std,
        interval=recipe.interval,
        equation=recipe.build_equation(),
        grid=Grid(windows.metadata.points, windows.metadata.lengths),
    )
    device, given = torch.device("cpu"), {"history": emulator.history, "device": torch.device("cpu")}
    fields = [windows[index] for index in range(len(windows))]
    results, truth, notes = run(forecasts, batched(fields, BATCH), ruler=ruler, **given)
    steps = windows.frames - emulator.history + extend
    rms = windows.statistics.rms
    alive = survive(emulator.rollout, batched(fields, BATCH), steps=steps, rms=rms, **given) if extend else None
    settings = Settings(device="cpu", batch_size=BATCH, perturbation=PERTURBATION, extend=extend)
    return record(Circumstances(emulator, windows, ruler, settings, device), results, truth, alive, notes)


def untrained(dataset: Path) -> dict[str, Forecast]:
    """The solver from a perturbed start, persistence and climatology."""
    recipe = load_recipe(dataset)
    solver = PerturbedSolver(
        equation=recipe.build_equation(),
        grid=recipe.build_grid(),
        interval=recipe.interval,
        stepper=recipe.stepper_class,
        dt=recipe.dt,
        stride=recipe.space_stride,
        amplitude=PERTURBATION,
    )
    mean = TrajectoryDataset(dataset, "test", frames=1).statistics.mean
    return {"solver": solver, "persistence": Persistence(), "climatology": Climatology(mean)}

"""Trains one run, through `train.py`, and says what its validation rollouts were."""

import csv
import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import seed_everything
from omegaconf import OmegaConf
from torch import nn

from rollwave.datasets import Recipe, TrajectoryDataModule, ensure_dataset
from rollwave.kernels import keep_freed_memory
from rollwave.training import Draws

from .budget import VALIDATIONS, TimeOf
from .cost import Step, relative_time, step_cost
from .entries import FNO
from .program import composed, matched_width, parameters, program, told
from .runs import COMMON, Run, of_entry
from .tolerance import learned_tolerance


def fit(run: Run, data: Path, folder: Path, steps: int | None = None) -> dict[str, Any]:
    """The record of a trained run, whose emulator lies in `folder`; nothing of the test split is read.

    `steps` are those that the budget bought for another seed; None measures what a step takes and buys them.
    """
    overrides = [*run.overrides, f"seed={run.seed}", f"dataset.name={run.system.name}", *fixed_width(run, data)]
    cfg = composed([*overrides, "trainer.max_steps=1"], data, folder)
    cost = training_cost(cfg)
    if isinstance(run.budget, TimeOf):
        reference = reference_of(run, data, folder)
        cost["relative"] = (
            1.0 if equal_steps(cfg, reference) else relative_time(training_step(cfg), training_step(reference))
        )
    steps = steps or run.budget.steps(cost.get("relative", 1.0))
    spaced = [f"trainer.max_steps={steps}", f"+trainer.val_check_interval={steps // VALIDATIONS}"]
    spaced += ["trainer.log_every_n_steps=50", "callbacks.last.every_n_train_steps=0"]
    cfg = composed([*overrides, *spaced], data, folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    program().train(cfg)
    training = json.loads((folder / "training.json").read_text())
    record = {
        "config": told(cfg),
        "cost": cost,
        "training": {key: training[key] for key in ("steps", "epochs", "seconds", "parameters", "threads")},
        "validation": validated(folder) | learned_tolerance(cfg, folder),
    }
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return record


def fixed_width(run: Run, data: Path) -> list[str]:
    """The overrides that give the network as many parameters as the system's Fourier operator."""
    if not run.widths:
        return []
    base = reference_of(run, data, data)
    recipe = Recipe.from_dict(plain(base.dataset))
    channels, dimensions = len(recipe.build_equation().channels), len(recipe.points)
    target = parameters(base, channels, dimensions)
    start = [text.format(width=run.multiple) for text in run.widths]
    cfg = composed([*run.overrides, *start], data, data)
    width = matched_width(target, cfg, run.widths, multiple=run.multiple, channels=channels, dimensions=dimensions)
    return [text.format(width=width) for text in run.widths]


def plain(node: Any) -> dict[str, Any]:
    """A node of a config as plain values."""
    return dict(OmegaConf.to_container(node, resolve=True))  # type: ignore[arg-type]


def reference_of(run: Run, data: Path, folder: Path) -> Any:
    """The config of the Fourier operator, trained on one step, on the system of a run."""
    reference = of_entry(FNO, run.system, FNO.values[0], run.seed, run.system.steps)
    overrides = (*reference.overrides, f"seed={run.seed}", f"dataset.name={run.system.name}", "trainer.max_steps=1")
    return composed(overrides, data, folder)


def equal_steps(cfg: Any, other: Any) -> bool:
    """Whether steps of two configs are the same but for the optimizer, whose time is not counted."""
    return told(cfg) | {"optimizer": None} == told(other) | {"optimizer": None}


def training_cost(cfg: Any) -> dict[str, float]:
    """Memory and processor time of a training step of a config, on a batch of its data."""
    # As in training, where a step's memory stays with the process.
    keep_freed_memory()
    return step_cost(training_step(cfg))


def training_step(cfg: Any) -> Step:
    """A training step of a config, on a batch of its data; every one draws anew."""
    seed_everything(cfg.seed, workers=True, verbose=False)
    objective, loss = program().build_objective(cfg), instantiate(cfg.loss, _convert_="all")
    data: TrajectoryDataModule = program().open_data(cfg, objective)
    emulator, penalty = program().build_emulator(cfg, data), program().build_regularizer(cfg, data, objective)
    z, count = emulator.encode(next(iter(data.train_dataloader()))), itertools.count()

    def value() -> torch.Tensor:
        draws = Draws(cfg.seed, next(count))
        total = objective(emulator, z, loss=loss, draws=draws).mean()
        return total if penalty is None else total + penalty(emulator, z, draws=draws, progress=0.5).mean()

    extra = [p for part in (objective, penalty) if isinstance(part, nn.Module) for p in part.parameters()]
    return Step(value, emulator, extra)


def validated(folder: Path) -> dict[str, Any]:
    """The best validation of a run by the nRMSE of its rollouts, which is the one whose weights are kept."""
    with open(folder / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/nrmse")]
    best = min(rows, key=lambda row: (math.isnan(float(row["val/nrmse"])), float(row["val/nrmse"])))
    nrmse = float(best["val/nrmse"])
    return {"nrmse": nrmse if math.isfinite(nrmse) else None, "step": int(best["step"]), "of": len(rows)}


def test_sets(run: Run, data: Path) -> dict[str, Path]:
    """Folders of the system's dataset, under the empty name, and of its further test sets; made where missing."""
    folders = {}
    for number, (name, changes) in enumerate([("", ()), *run.system.outside.items()]):
        named = f"dataset.name={run.system.name}" + (f"_outside_{number}" if number else "")
        cfg = composed([*COMMON, *run.system.overrides, *changes, named], data, data)
        folders[name] = ensure_dataset(Recipe.from_dict(plain(cfg.dataset)), data)
    return folders

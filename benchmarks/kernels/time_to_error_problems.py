"""What is trained until an error is reached: runs of `train.py`, and the same runs with neuraloperator's FNO inside."""

import contextlib
import importlib.util
import io
import os
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from lightning import seed_everything
from omegaconf import DictConfig

from rollwave.datasets import TrajectoryDataModule
from rollwave.operators import FNO, NeuralOperatorModel
from rollwave.operators.neuraloperator_weights import fno_to_neuraloperator
from rollwave.training import ForecastTask

ROOT = Path(__file__).resolve().parent.parent.parent
# Of every run: validation is one step, nothing is written, and only the number of steps ends it.
COMMON = (
    "logger=none",
    "data.validation_steps=1",
    "dataset.certificate.samples=0",
    "dataset.test=0",
    "trainer.max_epochs=-1",
    "trainer.check_val_every_n_epoch=null",
    "trainer.num_sanity_val_steps=0",
    "trainer.enable_progress_bar=false",
    "+trainer.enable_checkpointing=false",
)


@dataclass(frozen=True)
class Problem:
    """One comparison.

    Attributes:
        name: its key in the file of results.
        label: in words.
        overrides: of `train.py`.
        steps: of the optimiser, which also sets the schedule.
        every: steps from one validation to the next.
    """

    name: str
    label: str
    overrides: tuple[str, ...]
    steps: int
    every: int

    def setting(self) -> dict[str, Any]:
        """All that a measurement depends on."""
        return asdict(self) | {"overrides": [*COMMON, *self.overrides]}

    def config(self, data: Path, seed: int) -> DictConfig:
        """What `train.py` would follow; datasets lie in `data`."""
        os.environ.setdefault("ROLLWAVE_ROOT", str(ROOT))
        given = [f"seed={seed}", f"paths.data={data}", f"folder={data}", f"trainer.max_steps={self.steps}"]
        given.append(f"+trainer.val_check_interval={self.every}")
        with initialize_config_dir(config_dir=str(ROOT / "configs"), version_base="1.3"):
            return compose("train", overrides=[*COMMON, *self.overrides, *given])


KS = Problem(
    name="kuramoto_sivashinsky",
    label="Kuramoto-Sivashinsky, L = 22, 64 points, 16 modes, 32 channels, batch 64",
    overrides=(
        "experiment=quickstart", "dataset.name=time_to_error_ks", "dataset.valid=4", "data.validation_steps=1",
        "operator.width=32",
    ),
    steps=1500,
    every=50,
)  # fmt: skip
FLOW = Problem(
    name="navier_stokes",
    label="Navier-Stokes (Kolmogorov flow), 64^2 points, 12 modes, 32 channels, batch 4",
    overrides=(
        "experiment=navier_stokes_fno", "dataset.name=time_to_error_navier_stokes", "dataset.train=32",
        "dataset.valid=2", "data.validation_steps=1", "data.batch_size=4", "operator.width=32",
    ),
    steps=1200,
    every=60,
)  # fmt: skip
TINY = Problem(
    name="tiny",
    label="Kuramoto-Sivashinsky, 32 points",
    overrides=("experiment=quickstart_short", "data.batch_size=8", "operator.width=4", "operator.modes=[4]"),
    steps=12,
    every=4,
)


def problems(quick: bool = False) -> list[Problem]:
    """What is measured."""
    return [TINY] if quick else [KS, FLOW]


@cache
def program() -> ModuleType:
    """`train.py`, which is a script."""
    specification = importlib.util.spec_from_file_location("train", ROOT / "train.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def build(cfg: DictConfig, ours: bool) -> tuple[ForecastTask, TrajectoryDataModule]:
    """The task of `train.py`, untrained, and its data; neuraloperator's network gets the initial weights of ours."""
    program().quieten()
    seed_everything(cfg.seed, workers=True, verbose=False)
    objective = program().build_objective(cfg)
    data = program().open_data(cfg, objective)
    emulator = program().build_emulator(cfg, data)
    if not ours:
        emulator.network = as_neuraloperator(emulator.network)
    return program().build_task(cfg, objective, emulator, data), data


def as_neuraloperator(fno: FNO) -> NeuralOperatorModel:
    """neuraloperator's FNO with the weights of ours, as `train.py` takes it."""
    config = fno.config
    arguments = {
        "n_modes": [*(2 * K + 1 for K in fno.modes[:-1]), 2 * fno.modes[-1]],
        "hidden_channels": fno.width,
        "n_layers": len(fno.blocks),
        "lifting_channel_ratio": config["ratio"],
        "projection_channel_ratio": config["ratio"],
        "channel_mlp_expansion": config["expansion"],
        "positional_embedding": None,
    }
    model = NeuralOperatorModel(config["in_channels"], config["out_channels"], name="FNO", arguments=arguments)
    # The package prints its arguments.
    with contextlib.redirect_stdout(io.StringIO()):
        weights = dict(fno_to_neuraloperator(fno).named_parameters())
    model.load_state_dict(
        {
            f"pairs.{path.replace('.', '/')}" if value.is_complex() else f"model.{path}": (
                torch.view_as_real(value.detach()) if value.is_complex() else value.detach()
            )
            for path, value in weights.items()
        }
    )
    return model


def persistence(data: TrajectoryDataModule) -> float:
    """Mean of `||u_n - u_{n+1}|| / ||u_{n+1}||` over the validation windows: the error of predicting no change."""
    errors = []
    for _, window in data.val_dataloader():
        before, after = (frame.double().flatten(1) for frame in (window[:, -2], window[:, -1]))
        errors.append((before - after).norm(dim=1) / after.norm(dim=1))
    return float(torch.cat(errors).mean())


def facts(problem: Problem, data: Path) -> dict[str, Any]:
    """What does not depend on the seed: the dataset, generated if it is not there, and its persistence error."""
    task, windows = build(problem.config(data, 0), ours=True)
    metadata = task.emulator.metadata
    return {
        "points": list(metadata.points),
        "interval": metadata.interval,
        "batch": windows.batch_size,
        "network": task.emulator.network.config,
        "windows": {"train": len(windows.train_dataloader().dataset), "valid": len(windows.val_dataloader().dataset)},
        "data_hash": metadata.data_hash,
        "persistence": persistence(windows),
    }

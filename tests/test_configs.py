"""Every experiment composes and trains for a step, on a few trajectories of its own dataset."""

import importlib.util
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from rollwave.operators import Emulator

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = sorted(path.stem for path in (ROOT / "configs" / "experiment").glob("*.yaml"))
EQUATIONS = sorted(path.stem for path in (ROOT / "solvers").glob("*.py"))


def composed(program: str, *overrides: str) -> DictConfig:
    """The config that a command line would give."""
    with initialize_config_dir(config_dir=str(ROOT / "configs"), version_base="1.3"):
        return compose(program, overrides=list(overrides))


@pytest.fixture(scope="module")
def train() -> object:
    """The function `train` of train.py."""
    specification = importlib.util.spec_from_file_location("train_program", ROOT / "train.py")
    assert specification
    assert specification.loader
    program = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(program)
    return program.train


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_trains_for_a_step(
    name: str, train: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    run = composed(
        "train",
        f"experiment={name}",
        *[f"dataset.{split}=1" for split in ("train", "valid", "test")],
        *[
            "dataset.block=1",
            "dataset.warmup=0.0",
            "dataset.certificate.samples=0",
            "dataset.certificate.tolerance=null",
        ],
        *["data.batch_size=2", "trainer.max_steps=1", "trainer.limit_val_batches=1"],
        *["~callbacks.progress", "trainer.enable_progress_bar=false", "evaluate=false", f"folder={tmp_path / 'run'}"],
    )
    train(run)  # type: ignore[operator]
    emulator = Emulator.from_pretrained(tmp_path / "run" / "emulator")
    assert (
        emulator.metadata.equation == run.dataset.equation._target_.rpartition(".")[2]
        or emulator.metadata.equation in EQUATIONS
    )
    assert run.name == name


def test_there_is_an_experiment_for_every_equation() -> None:
    runs = [composed("train", f"experiment={name}") for name in EXPERIMENTS]
    solved = {run.dataset.equation._target_.rpartition(".")[2] for run in runs}
    assert solved >= {"Burgers", "KuramotoSivashinsky", "NavierStokes", "NonlinearSchrodinger", "KleinGordon"}


def test_the_first_lines_of_an_experiment_say_what_it_is() -> None:
    for name in EXPERIMENTS:
        first, second, *_ = (ROOT / "configs" / "experiment" / f"{name}.yaml").read_text().splitlines()
        assert first == "# @package _global_", name
        assert second.startswith("# "), name

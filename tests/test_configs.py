"""Every experiment composes and trains for a step, on a few trajectories of its own dataset."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from host_numbers import FromHost
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

import rollwave.solvers
from rollwave.operators import Emulator
from rollwave.training import Draws

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = sorted(path.stem for path in (ROOT / "configs" / "experiment").glob("*.yaml"))
Train: TypeAlias = Callable[[DictConfig], object]


def composed(program: str, *overrides: str) -> DictConfig:
    """The config that a command line would give."""
    with initialize_config_dir(config_dir=str(ROOT / "configs"), version_base="1.3"):
        return compose(program, overrides=list(overrides))


def loaded() -> Any:
    """train.py."""
    specification = importlib.util.spec_from_file_location("train_program", ROOT / "train.py")
    assert specification
    assert specification.loader
    program = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(program)
    return program


@pytest.fixture(scope="module")
def program() -> Any:
    """train.py."""
    return loaded()


@pytest.fixture(scope="module")
def train() -> Train:
    """The function `train` of train.py."""
    program_train: Train = loaded().train
    return program_train


# A run so short that it says only whether the parts fit: four trajectories of a few frames, one step.
BRIEF = (
    *[f"dataset.{split}=1" for split in ("train", "valid", "test")],
    *["dataset.block=1", "dataset.frames=6", "dataset.test_frames=null", "dataset.warmup=0.0"],
    *["dataset.certificate.samples=0", "dataset.certificate.tolerance=null"],
    *["data.batch_size=1", "data.validation_steps=2", "trainer.max_steps=1"],
    *["trainer.enable_progress_bar=false", "evaluate=false"],
)


def one_step(train: Train, folder: Path, *overrides: str) -> tuple[DictConfig, Emulator]:
    """The config of a brief run, and the emulator that it exported."""
    config = composed("train", *overrides, *BRIEF, f"folder={folder / 'run'}")
    train(config)
    return config, Emulator.from_pretrained(folder / "run" / "emulator")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_trains_for_a_step(
    name: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    config, emulator = one_step(train, tmp_path, f"experiment={name}")
    equation = getattr(rollwave.solvers, config.dataset.equation._target_.rpartition(".")[2])
    assert emulator.metadata.equation == equation.name
    assert config.name == name


@pytest.mark.parametrize(
    ("group", "choice"),
    [
        (group, path.stem)
        for group in (
            "operator",
            "objective",
            "regularizer",
            "symmetry",
            "conserve",
            "augmentation",
            "loss",
            "optimizer",
            "scheduler",
            "logger",
            "callbacks",
            "data",
        )
        for path in sorted((ROOT / "configs" / group).glob("*.yaml"))
    ],
)
def test_every_choice_trains_for_a_step(
    group: str, choice: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    _, emulator = one_step(train, tmp_path, "dataset=ks_tiny", f"{group}={choice}")
    # An objective may bring its operator.
    wanted = composed("train", f"{group}={choice}").operator._target_
    assert emulator.config["network"]["_target_"] == wanted
    assert all(bool(value.isfinite().all()) for value in emulator.state_dict().values())


# What makes a training step; all_pairs draws its pairs on the host, and a tied penalty needs another choice.
STEPPING = [
    f"{group}={path.stem}"
    for group in ("objective", "regularizer", "symmetry", "conserve", "augmentation", "loss")
    for path in sorted((ROOT / "configs" / group).glob("*.yaml"))
    if path.stem not in ("all_pairs", "jaws_tied")
]


@pytest.mark.parametrize("choice", STEPPING)
def test_a_training_step_takes_no_number_from_the_host(
    choice: str, program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    cfg = composed("train", "dataset=ks_tiny", choice, *BRIEF, f"folder={tmp_path}")
    objective, loss = program.build_objective(cfg), instantiate(cfg.loss, _convert_="all")
    data = program.open_data(cfg, objective)
    emulator, penalty = program.build_emulator(cfg, data), program.build_regularizer(cfg, data, objective)
    z = emulator.encode(next(iter(data.train_dataloader())))

    def step(number: int) -> None:
        draws = Draws(0, number)
        total = objective(emulator, z, loss=loss, draws=draws).mean()
        if penalty is not None:
            total = total + penalty(emulator, z, draws=draws, progress=0.5).mean()
        total.backward()

    step(0)
    with FromHost() as watched:
        step(1)
    assert watched.count == 0


@pytest.mark.parametrize("operator", ["unet", "dilated_resnet"])
def test_convolutional_operators_take_the_number_of_axes_from_the_data(
    operator: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    _, emulator = one_step(train, tmp_path, "dataset=navier_stokes", f"operator={operator}")
    assert emulator.config["network"]["dimensions"] == 2


def test_there_is_an_experiment_for_every_equation() -> None:
    runs = [composed("train", f"experiment={name}") for name in EXPERIMENTS]
    solved = {run.dataset.equation._target_.rpartition(".")[2] for run in runs}
    assert solved >= {"Burgers", "KuramotoSivashinsky", "NavierStokes", "NonlinearSchrodinger", "KleinGordon"}


def test_the_first_lines_of_an_experiment_say_what_it_is() -> None:
    for name in EXPERIMENTS:
        first, second, *_ = (ROOT / "configs" / "experiment" / f"{name}.yaml").read_text().splitlines()
        assert first == "# @package _global_", name
        assert second.startswith("# "), name


def test_a_mistake_in_the_objective_is_told_before_data_are_made(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    for wrong in (["objective=unrolled", "objective.steps=0"], ["objective=likelihood", "objective.beta=2"]):
        with pytest.raises(Exception, match=r"got (0|2)"):
            one_step(train, tmp_path, "dataset=ks_tiny", *wrong)
    assert not (tmp_path / "data").exists()

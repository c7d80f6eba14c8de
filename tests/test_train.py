"""The program: killed, resumed, spread over processes, refused, and every choice of its configs."""

import csv
import importlib.util
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from test_datasets_flow import frames
from test_training_resume import assert_same_bits
from training_helpers import write_waves

from rollwave.datasets import DatasetError
from rollwave.operators import Emulator
from rollwave.training import Objective

SMALL = [
    "dataset=ks_tiny",
    "operator.width=8",
    "operator.modes=[4]",
    "operator.depth=2",
    "data.batch_size=8",
    "data.validation_steps=5",
    "trainer.log_every_n_steps=1",
    "trainer.max_epochs=2",
    "trainer.enable_progress_bar=false",
    "ema_decay=0.9",
    "evaluate=false",
]


class KillAt(Callback):
    """Kills its own process, with the signal that no process can catch, as a step begins."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, task: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class InterruptAt(Callback):
    """What Ctrl-C does, as a step begins."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, task: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 windows of a step in each of 3 trajectories: 4 batches an epoch."""
    return write_waves(tmp_path_factory.mktemp("data") / "waves", {"train": 3, "valid": 3, "test": 1})


@pytest.fixture(scope="module")
def program(root: Path) -> ModuleType:
    """`train.py` as a module."""
    spec = importlib.util.spec_from_file_location("train", root / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configuration(root: Path, *overrides: str) -> Any:
    with initialize_config_dir(str(root / "configs"), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def fit(program: ModuleType, folder: Path, run: Path, *overrides: str) -> Path:
    """A run in this process; its folder."""
    places = [f"data.folder={folder}", f"folder={run}", f"paths.data={run}", f"paths.logs={run}"]
    program.train(configuration(program.ROOT, *SMALL, *places, *overrides))
    return run


def start(
    root: Path, folder: Path, logs: Path, *overrides: str, launcher: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`python train.py` from another directory."""
    command = [*(launcher or (sys.executable,)), str(root / "train.py"), *SMALL, "name=run"]
    command += [f"data.folder={folder}", f"paths.logs={logs}", f"paths.data={logs}", *overrides]
    environment = os.environ | {"PYTHONPATH": str(root / "tests"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=500, check=False)


def only(logs: Path) -> Path:
    """The run folder of the one run that wrote there."""
    (run,) = (logs / "train" / "run").iterdir()
    return run


def last(run: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint


def assert_same_state(one: Path, other: Path) -> None:
    a, b = last(one), last(other)
    for key in ("global_step", "state_dict", "ema_state_dict", "ema_updates", "optimizer_states", "lr_schedulers"):
        assert_same_bits(a[key], b[key], key)


def rows(run: Path) -> dict[tuple[str, str], dict[str, str]]:
    """What `metrics.csv` says, by kind of row and step."""
    with open(run / "metrics.csv") as file:
        return {("val" if row["val/loss"] else "train", row["step"]): row for row in csv.DictReader(file)}


def assert_close_rows(one: Path, other: Path, *, train: float, valid: float) -> None:
    ours, theirs = rows(one), rows(other)
    assert ours.keys() == theirs.keys()
    assert len(ours) >= 8
    for key, row in ours.items():
        for name, value in row.items():
            if value:
                rel = valid if name.startswith("val") else train
                assert float(theirs[key][name]) == pytest.approx(float(value), rel=rel), (key, name)


KILL = "+callbacks.kill={_target_: test_train.KillAt, step: 7}"
TWO = ["trainer.accelerator=cpu", "trainer.devices=2"]


def test_a_run_killed_in_the_middle_of_an_epoch_resumes_to_the_bit(
    root: Path, program: ModuleType, folder: Path, tmp_path: Path
) -> None:
    every = ["callbacks.last.every_n_train_steps=2", "objective=noise", "objective.std=0.1"]
    whole = fit(program, folder, tmp_path / "whole", *every)
    killed = start(root, folder, tmp_path, *every, KILL)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert last(only(tmp_path))["global_step"] == 6
    resumed = fit(program, folder, tmp_path / "resumed", *every, f"ckpt_path={only(tmp_path)}/checkpoints/last.ckpt")
    assert_same_state(whole, resumed)
    before, after = rows(whole), rows(resumed)
    assert sorted(after) == [("train", "6"), ("train", "7"), ("val", "7")]
    assert after.items() <= before.items()
    emulators = [Emulator.from_pretrained(run / "emulator") for run in (whole, resumed)]
    assert_same_bits(*(dict(emulator.state_dict()) for emulator in emulators))


def test_an_interrupted_run_says_how_to_go_on(root: Path, folder: Path, tmp_path: Path) -> None:
    result = start(root, folder, tmp_path, "+callbacks.stop={_target_: test_train.InterruptAt, step: 5}")
    assert result.returncode == 130, result.stderr
    assert "interrupted; continue with ckpt_path=" in result.stderr
    assert str(only(tmp_path)) in result.stderr
    assert last(only(tmp_path))["global_step"] == 4


def test_two_processes_train_what_one_trains(root: Path, program: ModuleType, folder: Path, tmp_path: Path) -> None:
    """The same global batches and the same noise; sums run in another order: agreement to the rounding of float64.

    What is logged of a training step passes through Lightning's float32 meters.
    """
    same = ["objective=noise", "objective.std=0.1", "trainer.precision=64-true"]
    one = fit(program, folder, tmp_path / "one", *same)
    result = start(root, folder, tmp_path, *same, "trainer=ddp", *TWO)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("run folder") == 2
    two = only(tmp_path)
    assert_close_rows(one, two, train=1e-6, valid=1e-10)
    for name, value in last(one)["state_dict"].items():
        assert torch.allclose(last(two)["state_dict"][name], value, rtol=1e-10, atol=1e-12), name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("objective", ["one_step", "pushforward", "unrolled"])
def test_torchrun_trains_what_one_process_trains(
    root: Path, program: ModuleType, folder: Path, tmp_path: Path, strategy: str, objective: str
) -> None:
    one = fit(program, folder, tmp_path / "one", f"objective={objective}")
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    spread = [f"objective={objective}", f"trainer={strategy}", *TWO]
    result = start(root, folder, tmp_path, *spread, launcher=torchrun)
    assert result.returncode == 0, result.stderr
    assert_close_rows(one, only(tmp_path), train=1e-4, valid=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "precision"), [("ddp", "32-true"), ("ddp", "64-true"), ("fsdp", "32-true")])
def test_a_killed_run_of_two_processes_resumes_to_the_bit(
    root: Path, folder: Path, tmp_path: Path, strategy: str, precision: str
) -> None:
    spread = ["callbacks.last.every_n_train_steps=2", f"trainer={strategy}", f"trainer.precision={precision}", *TWO]
    whole = start(root, folder, tmp_path / "a", *spread)
    killed = start(root, folder, tmp_path / "b", *spread, KILL)
    assert (whole.returncode, killed.returncode) == (0, -signal.SIGKILL), whole.stderr + killed.stderr
    resumed = start(root, folder, tmp_path / "c", *spread, f"ckpt_path={only(tmp_path / 'b')}/checkpoints/last.ckpt")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_state(only(tmp_path / "a"), only(tmp_path / "c"))


def test_a_seed_makes_one_network_whatever_the_objective_draws_for_itself(
    program: ModuleType, folder: Path, tmp_path: Path
) -> None:
    still = ("trainer.max_steps=1", "optimizer.lr=1e-30", "optimizer.weight_decay=0")
    plain, learned = (
        Emulator.from_pretrained(fit(program, folder, tmp_path / name, f"objective={name}", *still) / "emulator")
        for name in ("one_step", "likelihood")
    )
    for ours, theirs in zip(learned.network.parameters(), plain.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-20)


@pytest.mark.slow
@pytest.mark.parametrize("decay", ["0.9", "null"])
def test_sharded_weights_are_exported_whole_without_a_best_checkpoint(
    root: Path, folder: Path, tmp_path: Path, decay: str
) -> None:
    result = start(root, folder, tmp_path, "trainer=fsdp", *TWO, "~callbacks.best", f"ema_decay={decay}")
    assert result.returncode == 0, result.stderr
    kept = Emulator.from_checkpoint(only(tmp_path) / "checkpoints" / "last.ckpt")
    exported = Emulator.from_pretrained(only(tmp_path) / "emulator")
    assert_same_bits(dict(exported.state_dict()), dict(kept.state_dict()))


def test_a_gpu_that_is_not_there_is_told_before_anything_else(
    program: ModuleType, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"1 CUDA device\(s\) and this machine has 0 .*trainer=cpu"):
        fit(program, folder, tmp_path, "trainer=gpu")
    assert list(tmp_path.iterdir()) == []


def choices(root: Path, group: str) -> list[str]:
    return sorted(path.stem for path in (root / "configs" / group).glob("*.yaml"))


ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("objective", "loss", "optimizer", "scheduler", "callbacks", "data")
EVERY_CHOICE = [(group, choice) for group in (*GROUPS, "trainer", "logger") for choice in choices(ROOT, group)]


@pytest.mark.parametrize(("group", "choice"), EVERY_CHOICE)
def test_every_choice_is_explained_key_by_key(root: Path, group: str, choice: str) -> None:
    lines = (root / "configs" / group / f"{choice}.yaml").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert isinstance(yaml.safe_load("\n".join(lines)), dict)


@pytest.mark.parametrize(("group", "choice"), EVERY_CHOICE)
def test_every_choice_builds_what_it_names(
    root: Path, program: ModuleType, tmp_path: Path, group: str, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    cfg = configuration(root, "dataset=ks_tiny", f"{group}={choice}", f"folder={tmp_path}")
    if group in ("callbacks", "logger"):
        built = [instantiate(value) for value in cfg[group].values()]
        assert len(built) == len(cfg[group])
    elif group == "trainer":
        if choice == "gpu":
            cfg.trainer.accelerator = "cpu"
        if choice in ("ddp", "fsdp"):
            cfg.trainer.accelerator, cfg.trainer.devices = "cpu", 1
        trainer = instantiate(cfg.trainer, _partial_=True, _convert_="all")(logger=False)
        assert trainer.log_every_n_steps == 10
    elif group == "objective":
        # The shape of a frame comes from the dataset.
        objective: Objective = program.build_objective(cfg)
        assert objective.horizon >= 1
    else:
        assert not isinstance(instantiate(cfg[group], _convert_="all"), dict)


def test_the_flow_of_a_run_takes_its_time_stride(root: Path, program: ModuleType, tmp_path: Path) -> None:
    folder, u = frames(tmp_path)
    cfg = configuration(
        root, f"data.folder={folder}", "data.time_stride=2", "objective=diverted", "paths.data=none", "folder=none"
    )
    step = program.flow_of(cfg, cfg.objective)["flow"]
    torch.testing.assert_close(step(u[:, 0]), u[:, 2], rtol=1e-5, atol=1e-5)


def test_data_without_a_recipe_are_refused_a_flow_before_the_training(
    root: Path, program: ModuleType, folder: Path
) -> None:
    with pytest.raises(DatasetError, match="holds no recipe"):
        program.build_objective(
            configuration(root, f"data.folder={folder}", "objective=diverted", "paths.data=none", "folder=none")
        )


@pytest.mark.parametrize("others", ["data.others=[some]", "variants={viscosity: [0.1]}"])
def test_the_flow_of_one_dataset_is_not_asked_about_others(
    root: Path, program: ModuleType, others: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", "none")
    with pytest.raises(ValueError, match="flow of one dataset is not that of others"):
        program.build_objective(configuration(root, "dataset=burgers", "objective=diverted", others, "folder=none"))


@pytest.mark.parametrize("logger", ["tensorboard", "wandb"])
def test_other_loggers_write_beside_the_csv(program: ModuleType, folder: Path, tmp_path: Path, logger: str) -> None:
    pytest.importorskip(logger)
    run = fit(program, folder, tmp_path / "run", f"logger={logger}", "trainer.max_epochs=1")
    assert len(rows(run)) == 5
    assert any(path.is_file() for path in (run / logger).rglob("*"))


def test_without_a_logger_the_emulator_is_there_all_the_same(program: ModuleType, folder: Path, tmp_path: Path) -> None:
    run = fit(program, folder, tmp_path / "run", "logger=none", "trainer.max_epochs=1", "compile=false", "history=2")
    assert Emulator.from_pretrained(run / "emulator").history == 2
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints", "emulator", "training.json"]


def test_every_key_of_the_program_has_a_comment(root: Path) -> None:
    """In every YAML of training a key at the start of a line, or a comment block above it, says what it means."""
    lines = (root / "configs" / "train.yaml").read_text().splitlines()
    keys = [line for line in lines if line[:1].isalpha() and not line.startswith(("defaults", "hydra"))]
    explained = [line for above, line in pairwise(lines) if above.startswith("#") and line[:1].isalpha()]
    assert [key for key in keys if key not in explained] == []


METHOD = [
    *("operator=dymixop", "operator.interaction.points=16", "regularizer=jaws", "regularizer.weight=0.01"),
    *("objective=unrolled", "objective.steps=2"),
]


@pytest.mark.slow
def test_dymixop_with_jaws_trains_the_same_on_two_processes_killed_and_resumed(
    root: Path, program: ModuleType, folder: Path, tmp_path: Path
) -> None:
    double = [*METHOD, "trainer.precision=64-true"]
    one = fit(program, folder, tmp_path / "one", *double)
    spread = [*double, "callbacks.last.every_n_train_steps=2", "trainer=ddp", *TWO]
    whole = start(root, folder, tmp_path / "a", *spread)
    killed = start(root, folder, tmp_path / "b", *spread, KILL)
    assert (whole.returncode, killed.returncode) == (0, -signal.SIGKILL), whole.stderr + killed.stderr
    for name, value in last(one)["state_dict"].items():
        assert torch.allclose(last(only(tmp_path / "a"))["state_dict"][name], value, rtol=1e-8, atol=1e-10), name
    resumed = start(root, folder, tmp_path / "c", *spread, f"ckpt_path={only(tmp_path / 'b')}/checkpoints/last.ckpt")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_state(only(tmp_path / "a"), only(tmp_path / "c"))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_dymixop_with_jaws_in_bfloat16_and_compiled_follows_the_plain_run(
    program: ModuleType, folder: Path, tmp_path: Path, precision: str
) -> None:
    plain = fit(program, folder, tmp_path / "plain", *METHOD)
    compiled = ["compile=true"] if precision == "32-true" else [f"trainer.precision={precision}"]
    other = fit(program, folder, tmp_path / "other", *METHOD, *compiled)
    close = 1e-2 if compiled == ["compile=true"] else 5e-2
    assert_close_rows(plain, other, train=close, valid=close)

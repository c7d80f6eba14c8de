"""The task: what it refuses, what its checkpoints hold, in which precision and how compiled it computes."""

import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from test_training_resume import assert_same_bits
from torch import Tensor
from training_helpers import small_emulator, small_task, write_waves

from rollwave.datasets import TrajectoryDataModule
from rollwave.operators import FNO, Emulator
from rollwave.training import (
    AtomicCheckpointIO,
    BestCheckpoint,
    FiniteDifference,
    ForecastTask,
    ForwardMode,
    JacobianPenalty,
    JacobianProbe,
    LastCheckpoint,
    NonFiniteLossError,
    Pushforward,
    RelativeL2,
    compile_network,
)
from rollwave.training.validation import summarize, window_errors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_waves(tmp_path_factory.mktemp("data") / "waves", {"train": 3, "valid": 3, "test": 1})


@pytest.fixture(autouse=True)
def _compile_afresh() -> None:
    torch._dynamo.reset()


@pytest.fixture
def data(folder: Path) -> TrajectoryDataModule:
    data = TrajectoryDataModule(folder, batch_size=8, validation_steps=5)
    data.setup("fit")
    return data


def trainer(*callbacks: Callback, **settings: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    fixed = {
        "accelerator": "cpu",
        "use_distributed_sampler": False,
        "plugins": [AtomicCheckpointIO()],
        "log_every_n_steps": 1,
    }
    return Trainer(
        callbacks=list(callbacks),
        **(quiet | fixed | {"max_epochs": 1, "enable_checkpointing": bool(callbacks)} | settings),
    )


class Falling(Callback):
    """Keeps every training loss."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.losses.append(float(trainer.callback_metrics["train/loss"]))


def test_training_learns_a_dispersive_wave(data: TrajectoryDataModule) -> None:
    task, runner = small_task(data, ema_decay=0.98), trainer(max_epochs=60, gradient_clip_val=1.0)
    runner.validate(task, datamodule=data, verbose=False)
    before = dict(runner.callback_metrics)
    runner.fit(task, datamodule=data)
    after = runner.callback_metrics
    assert after["val/loss"] < 0.2 * before["val/loss"]
    assert after["val/nrmse"] < 0.4 * before["val/nrmse"]
    assert after["val/horizon"] > before["val/horizon"]


def test_validation_counts_every_window_once_in_physical_time() -> None:
    rows = torch.tensor([[2.0, 0.3, 3.0, 5.0], [0.0, 0.1, 1.0, 2.0], [1.0, 0.2, 2.0, 4.0], [2.0, 9.0, 9.0, 9.0]])
    summary = summarize(rows, 0.5, 0.1)
    values = {name: value.item() for name, value in summary.items()}
    assert values == pytest.approx({"loss": 0.2, "nrmse": 2.0, "horizon": 2.0, "lyapunov_times": 0.2})
    assert "lyapunov_times" not in summarize(rows, 0.5)


def test_a_rollout_that_diverges_is_as_wrong_as_can_be(data: TrajectoryDataModule) -> None:
    emulator = small_emulator(data)
    with torch.no_grad():
        for parameter in emulator.parameters():
            parameter.mul_(1e12)
    index, window = next(iter(data.val_dataloader()))
    horizon = lambda prediction, truth, sigma: torch.zeros(len(truth))  # noqa: E731
    rows = window_errors(emulator, window, index, loss=RelativeL2(), horizon_metric=horizon)
    assert (rows[:, 2] == 100).all()


def test_validation_uses_the_average_and_gives_the_weights_back(data: TrajectoryDataModule) -> None:
    task = small_task(data, ema_decay=0.5)
    runner = trainer(max_epochs=2)
    runner.fit(task, datamodule=data)
    metrics = {name: float(value) for name, value in runner.callback_metrics.items() if name.startswith("val")}
    averaged = small_task(data, ema_decay=None)
    averaged.emulator.load_state_dict(task.average.state_dict())
    second = trainer()
    second.validate(averaged, datamodule=data, verbose=False)
    assert {name: float(second.callback_metrics[name]) for name in metrics} == metrics
    raw = trainer()
    own = small_task(data, ema_decay=None)
    own.emulator.load_state_dict(task.emulator.state_dict())
    raw.validate(own, datamodule=data, verbose=False)
    assert float(raw.callback_metrics["val/nrmse"]) != metrics["val/nrmse"]
    assert_same_bits(dict(task.trained_emulator().state_dict()), dict(averaged.emulator.state_dict()))


def test_a_checkpoint_is_plain_data_and_gives_the_averaged_emulator(data: TrajectoryDataModule, tmp_path: Path) -> None:
    task = small_task(data)
    runner = trainer(LastCheckpoint(tmp_path), BestCheckpoint(tmp_path), max_epochs=2)
    runner.fit(task, datamodule=data)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["emulator"] == task.emulator.config
    assert checkpoint["hyper_parameters"]["emulator"]["metadata"]["data_hash"] == data.metadata.data_hash
    assert {"torch", "python"} <= checkpoint["hyper_parameters"]["emulator"]["metadata"]["versions"].keys()
    assert checkpoint["ema_state_dict"].keys() == checkpoint["state_dict"].keys()
    emulator = Emulator.from_checkpoint(tmp_path / "last.ckpt")
    assert_same_bits(dict(emulator.state_dict()), dict(task.trained_emulator().state_dict()))
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "best.ckpt"}


class Poison(Callback):
    """Makes the batch of one step infinite."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, task: ForecastTask, batch: Tensor, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            batch[0, 0] = torch.inf


@pytest.mark.parametrize("log_every_n_steps", [1, 3, 50])
def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoint(
    data: TrajectoryDataModule, tmp_path: Path, log_every_n_steps: int
) -> None:
    runner = trainer(
        Poison(6), LastCheckpoint(tmp_path, every_n_train_steps=1), max_epochs=3, log_every_n_steps=log_every_n_steps
    )
    with pytest.raises(NonFiniteLossError, match=r"at step 6\..*last\.ckpt.*optimizer\.lr"):
        runner.fit(small_task(data), datamodule=data)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 6
    assert all(torch.isfinite(value).all() for value in checkpoint["state_dict"].values())


def test_weights_that_are_not_finite_are_not_saved(data: TrajectoryDataModule, tmp_path: Path) -> None:
    class Break(Callback):
        def on_train_batch_end(self, trainer: Trainer, task: ForecastTask, *_: Any) -> None:
            if trainer.global_step == 3:
                next(task.parameters()).data.fill_(torch.nan)

    with pytest.raises(NonFiniteLossError, match="stopped being finite at step 3"):
        trainer(Break(), LastCheckpoint(tmp_path, every_n_train_steps=1)).fit(small_task(data), datamodule=data)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2


@pytest.fixture
def checkpoint(data: TrajectoryDataModule, tmp_path: Path) -> Path:
    trainer(LastCheckpoint(tmp_path)).fit(small_task(data), datamodule=data)
    return tmp_path / "last.ckpt"


def edited(path: Path, **metadata: Any) -> Path:
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["emulator"]["metadata"] |= metadata
    torch.save(content, path)
    return path


def test_a_checkpoint_of_another_operator_is_refused(data: TrajectoryDataModule, checkpoint: Path) -> None:
    task = small_task(data)
    task.emulator.network = FNO(1, 1, width=6, modes=(4,), depth=2)
    other = ForecastTask(
        task.emulator,
        objective=task.objective,
        loss=task.loss,
        optimizer=task.optimizer,
        schedule=task.schedule,
        horizon_metric=task.horizon_metric,
    )
    with pytest.raises(ValueError, match=r"operator\.width is 8 in the checkpoint and 6 here.*config\.yaml"):
        trainer(max_epochs=2).fit(other, datamodule=data, ckpt_path=checkpoint)


def test_a_checkpoint_of_another_equation_is_refused(data: TrajectoryDataModule, checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="equation is 'burgers' in the checkpoint and 'unknown' here"):
        trainer(max_epochs=2).fit(small_task(data), datamodule=data, ckpt_path=edited(checkpoint, equation="burgers"))


def test_other_data_and_other_versions_are_named(data: TrajectoryDataModule, checkpoint: Path) -> None:
    versions = small_emulator(data).config["metadata"]["versions"] | {"torch": "2.0.0"}
    path = edited(checkpoint, data_hash="abc", versions=versions)
    with pytest.warns(UserWarning, match=r"data_hash is 'abc'.*torch's version is '2\.0\.0'"):
        trainer(max_epochs=2).fit(small_task(data), datamodule=data, ckpt_path=path)


def test_a_regulariser_that_differs_in_a_part_alone_is_named(data: TrajectoryDataModule, tmp_path: Path) -> None:
    def task(product: ForwardMode | FiniteDifference) -> ForecastTask:
        built = small_task(data)
        return ForecastTask(
            built.emulator,
            objective=built.objective,
            loss=built.loss,
            optimizer=built.optimizer,
            schedule=built.schedule,
            horizon_metric=built.horizon_metric,
            regularizer=JacobianPenalty(1e-3, probe=JacobianProbe(product=product)),
        )

    first = trainer(max_epochs=1)
    first.fit(task(ForwardMode()), datamodule=data)
    first.save_checkpoint(tmp_path / "one.ckpt")
    with pytest.warns(UserWarning, match=r"regularizer is .*ForwardMode.* in the checkpoint and .*FiniteDifference"):
        trainer(max_epochs=2).fit(task(FiniteDifference()), datamodule=data, ckpt_path=tmp_path / "one.ckpt")


def test_an_emulator_of_another_structure_is_refused(data: TrajectoryDataModule, checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["emulator"]["conserve"] = {"_target_": "rollwave.operators.Conserve"}
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=r"conserve is .* in the checkpoint and None here"):
        trainer(max_epochs=2).fit(small_task(data), datamodule=data, ckpt_path=checkpoint)


def test_a_checkpoint_that_is_not_there_or_not_ours_is_told(data: TrajectoryDataModule, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="<run folder>/checkpoints"):
        trainer().fit(small_task(data), datamodule=data, ckpt_path=tmp_path / "none.ckpt")
    torch.save({"state_dict": {}, "pytorch-lightning_version": "2.6.6"}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"train\.py wrote"):
        trainer().fit(small_task(data), datamodule=data, ckpt_path=tmp_path / "other.ckpt")


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def half(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert AtomicCheckpointIO().load_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_while_writing_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    code = (
        "import os, signal, torch\n"
        "from rollwave.training import AtomicCheckpointIO\n"
        "def half(content, file):\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "torch.save = half\n"
        f"AtomicCheckpointIO().save_checkpoint({{'step': 2}}, {str(path)!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd="/", check=False).returncode == -signal.SIGKILL
    assert AtomicCheckpointIO().load_checkpoint(path) == {"step": 1}


def gradients(emulator: Emulator, window: Tensor, **autocast: Any) -> dict[str, Tensor]:
    emulator.zero_grad()
    with torch.autocast("cpu", **autocast):
        z = emulator.encode(window)
        RelativeL2()(emulator.advance(z[:, :1]), z[:, 1]).mean().backward()
    return {name: value.grad.clone() for name, value in emulator.named_parameters()}


def test_bfloat16_gradients_are_those_of_float32_to_three_digits(data: TrajectoryDataModule) -> None:
    """A bfloat16 keeps 8 bits: relative differences of a few 2^-8 in every gradient, in their norm."""
    emulator, window = small_emulator(data), next(iter(data.train_dataloader()))
    single = gradients(emulator, window, enabled=False)
    half = gradients(emulator, window, enabled=True, dtype=torch.bfloat16)
    for name, gradient in single.items():
        assert half[name].dtype == torch.float32
        assert (half[name] - gradient).norm() < 0.05 * gradient.norm(), name
    assert any(not torch.equal(half[name], gradient) for name, gradient in single.items())


def test_a_run_in_bfloat16_follows_the_run_in_float32(data: TrajectoryDataModule) -> None:
    curves = []
    for precision in ("32-true", "bf16-mixed"):
        falling = Falling()
        trainer(falling, max_epochs=5, precision=precision, gradient_clip_val=1.0, enable_checkpointing=False).fit(
            small_task(data), datamodule=data
        )
        curves.append(torch.tensor(falling.losses))
    assert torch.allclose(*curves, rtol=0.03)
    assert not torch.equal(*curves)


def test_float16_is_refused(data: TrajectoryDataModule) -> None:
    task = small_task(data)
    task._trainer = type("", (), {"precision_plugin": type("", (), {"scaler": object()})()})()
    with pytest.raises(ValueError, match="bf16-mixed"):
        task.on_fit_start()


def test_the_network_compiles_as_one_graph_without_renaming_weights(data: TrajectoryDataModule) -> None:
    plain, compiled = small_emulator(data), small_emulator(data)
    compile_network(compiled, backend="aot_eager")
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    assert compiled.config == plain.config
    window = next(iter(data.train_dataloader()))
    ours, theirs = (gradients(emulator, window, enabled=False) for emulator in (plain, compiled))
    for name, gradient in ours.items():
        assert (theirs[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_a_graph_break_is_an_error(data: TrajectoryDataModule) -> None:
    class Broken(torch.nn.Module):
        def forward(self, u: Tensor) -> Tensor:
            torch._dynamo.graph_break()
            return u

    emulator = small_emulator(data)
    emulator.network = Broken()
    compile_network(emulator, backend="eager")
    with pytest.raises(Exception, match="graph_break"):
        emulator.advance(torch.zeros(1, 1, 1, 16))


def test_a_compiled_run_is_the_run(data: TrajectoryDataModule) -> None:
    curves = []
    for compiled in (False, True):
        falling, task = Falling(), small_task(data)
        if compiled:
            compile_network(task.emulator, backend="aot_eager")
        trainer(falling, max_epochs=2, enable_checkpointing=False).fit(task, datamodule=data)
        curves.append(torch.tensor(falling.losses))
    assert torch.allclose(*curves, rtol=1e-5)


def test_a_run_compiles_few_graphs(data: TrajectoryDataModule) -> None:
    """Training, validation and its last, smaller batch: a layout that varied would compile more, up to an error."""
    torch._dynamo.utils.counters.clear()
    task = small_task(data, objective=Pushforward(3))
    data = TrajectoryDataModule(data.folder, horizon=3, batch_size=4, validation_steps=5)
    compile_network(task.emulator, backend="eager")
    trainer(max_epochs=2, enable_checkpointing=False).fit(task, datamodule=data)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 5


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_inductor_trains_the_run_that_eager_trains(data: TrajectoryDataModule, precision: str) -> None:
    curves = []
    for compiled in (False, True):
        falling, task = Falling(), small_task(data)
        if compiled:
            compile_network(task.emulator)
        trainer(falling, max_epochs=2, precision=precision, enable_checkpointing=False).fit(task, datamodule=data)
        curves.append(torch.tensor(falling.losses))
    assert torch.allclose(*curves, rtol=1e-4 if precision == "32-true" else 0.03)


def test_fused_adam_is_clipped_under_mixed_precision(data: TrajectoryDataModule) -> None:
    """Lightning's own clipping refuses fused optimisers there."""
    norms = []

    class Clipped(Callback):
        def on_train_batch_end(self, trainer: Trainer, task: ForecastTask, *_: Any) -> None:
            norms.append(torch.nn.utils.get_total_norm([value.grad for value in task.parameters()]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer(Clipped(), precision="bf16-mixed", gradient_clip_val=0.01, enable_checkpointing=False).fit(
            small_task(data), datamodule=data
        )
    assert torch.stack(norms).max() <= 0.01 * (1 + 1e-4)

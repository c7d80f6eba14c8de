"""A run that is interrupted anywhere and resumed ends where an undisturbed one ends, to the last bit."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from torch import Tensor
from training_helpers import small_task, write_waves

from rollwave.datasets import TrajectoryDataModule
from rollwave.training import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint, Noise, Objective, Pushforward

EPOCHS, STEPS = 3, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_waves(tmp_path_factory.mktemp("data") / "waves", {"train": 3, "valid": 3, "test": 1})


class SaveEverywhere(Checkpoint):
    """Keeps a checkpoint of every step and of every end of an epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        # Inside an accumulation the gradient is state too; `LastCheckpoint` waits for the step, and so does this.
        if not (trainer.fit_loop.epoch_loop._num_ready_batches_reached() or trainer.fit_loop._should_accumulate()):
            trainer.save_checkpoint(self.folder / f"step-{trainer.global_step:02d}.ckpt")

    def on_validation_end(self, trainer: Trainer, _: LightningModule) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / f"validated-{trainer.global_step:02d}.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, _: LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.global_step:02d}.ckpt")


class Record(Callback):
    """The losses by step and the validations by epoch."""

    def __init__(self) -> None:
        self.losses: dict[int, float] = {}
        self.horizons: dict[int, tuple[float, ...]] = {}

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.losses[trainer.global_step] = float(trainer.callback_metrics["train/loss"])

    def on_validation_end(self, trainer: Trainer, _: LightningModule) -> None:
        if not trainer.sanity_checking:
            metrics = trainer.callback_metrics
            self.horizons[trainer.global_step] = tuple(
                float(metrics[f"val/{name}"]) for name in ("loss", "nrmse", "horizon")
            )


def run(
    folder: Path, work: Path, *callbacks: Callback, resume: Path | None = None, workers: int = 0, **changes: Any
) -> tuple[dict[str, Any], Record]:
    """Fit, from a checkpoint if one is given; the state that training leaves, and what it logged."""
    record = Record()
    known = ("max_epochs", "max_steps", "accumulate_grad_batches", "precision")
    limits = {key: changes.pop(key) for key in known if key in changes}
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=[
            *callbacks,
            record,
            EarlyStopping("val/nrmse", check_on_train_epoch_end=False, patience=changes.pop("patience", 50)),
            BestCheckpoint(work),
        ],
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        gradient_clip_val=1.0,
        log_every_n_steps=1,
        **({"max_epochs": EPOCHS} | limits),
    )
    objective = changes.get("objective")
    data = TrajectoryDataModule(
        folder, horizon=objective.horizon if objective else 1, batch_size=8, validation_steps=5, workers=workers, seed=3
    )
    data.setup("fit")
    task = small_task(data, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(task, datamodule=data, ckpt_path=resume)
    state = {
        "weights": task.state_dict(),
        "average": task.average.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "scheduler": trainer.lr_scheduler_configs[0].scheduler.state_dict(),
        "updates": task.average.updates,
        "step": trainer.global_step,
    }
    return state, record


def assert_same_bits(a: Any, b: Any, where: str = "") -> None:
    """Numbers alike in every bit, containers in what they hold; a tuple may come back as a list."""
    if isinstance(a, Tensor):
        assert torch.equal(a, b), f"{where} differs by {(a - b).abs().max():.1e}"
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same_bits(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same_bits(x, y, f"{where}.{index}")
    else:
        assert a == b, where


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_epochs": 10, "max_steps": EPOCHS * STEPS - 1},
        {"objective": Noise(0.1), "accumulate_grad_batches": 2},
        {"precision": "64-true"},
    ],
    ids=["epochs", "steps", "accumulated", "double"],
)
def test_resuming_from_any_checkpoint_changes_no_bit(folder: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    whole, logged = run(folder, tmp_path, SaveEverywhere(tmp_path), **changes)
    checkpoints = sorted(path for path in tmp_path.glob("*.ckpt") if path.name != "best.ckpt")
    assert len(checkpoints) >= 9
    for checkpoint in checkpoints:
        resumed, rest = run(folder, tmp_path, resume=checkpoint, **changes)
        assert_same_bits(whole, resumed, checkpoint.name)
        assert rest.losses.items() <= logged.losses.items(), checkpoint.name
        assert rest.horizons.items() <= logged.horizons.items(), checkpoint.name
        at = int(checkpoint.stem.split("-")[1])
        done = checkpoint.stem.startswith(("validated", "epoch"))
        assert set(rest.horizons) == {step for step in logged.horizons if step > at or (step == at and not done)}, (
            checkpoint.name
        )


@pytest.mark.parametrize("objective", [Pushforward(3), Noise(0.1)], ids=["pushforward", "noise"])
def test_resuming_with_workers_and_random_objectives_changes_no_bit(
    folder: Path, tmp_path: Path, objective: Objective
) -> None:
    settings = {"objective": objective, "workers": 2, "max_epochs": 2}
    whole, _ = run(folder, tmp_path, SaveEverywhere(tmp_path), **settings)
    resumed, _ = run(folder, tmp_path, resume=tmp_path / "step-02.ckpt", **settings)
    assert_same_bits(whole, resumed)


def test_a_run_that_dies_in_validation_resumes_before_it(folder: Path, tmp_path: Path) -> None:
    """A checkpoint after the last batch of an epoch would resume in the next one, its validation skipped."""

    class Die(Callback):
        def on_validation_start(self, trainer: Trainer, _: LightningModule) -> None:
            if trainer.global_step == 2 * STEPS:
                raise RuntimeError("dead")

    whole, logged = run(folder, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="dead"):
        run(folder, tmp_path / "died", Die(), LastCheckpoint(tmp_path, every_n_train_steps=1))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2 * STEPS - 1
    resumed, rest = run(folder, tmp_path / "resumed", resume=tmp_path / "last.ckpt")
    assert_same_bits(whole, resumed)
    assert set(rest.horizons) == {2 * STEPS, 3 * STEPS}
    assert rest.horizons.items() <= logged.horizons.items()


def test_the_best_is_remembered_in_another_run_folder(folder: Path, tmp_path: Path) -> None:
    """And of two equal ones the later is kept."""
    run(folder, tmp_path / "one", LastCheckpoint(tmp_path))
    states = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"].values()
    (saved,) = [state for state in states if "best_model_score" in state]
    callback, score = BestCheckpoint(tmp_path / "two"), saved["best_model_score"]
    callback.load_state_dict(saved)
    assert callback.best_model_score == score
    assert Path(callback.best_model_path) == tmp_path / "one" / "best.ckpt"
    trainer = type("", (), {"strategy": type("", (), {"reduce_boolean_decision": staticmethod(bool)})()})()
    assert [callback.check_monitor_top_k(trainer, score + step) for step in (-0.1, 0.0, 0.1)] == [False, True, True]


def test_early_stopping_counts_on(folder: Path, tmp_path: Path) -> None:
    """Without a learning rate no validation improves on the first: 5 of them and the run is over, resumed or not."""
    still = {"optimizer": lambda parameters: torch.optim.AdamW(parameters, lr=0.0), "max_epochs": 100, "patience": 4}
    whole, _ = run(folder, tmp_path, SaveEverywhere(tmp_path), **still)
    assert whole["step"] == 5 * STEPS
    resumed, _ = run(folder, tmp_path, resume=tmp_path / f"step-{3 * STEPS + 2:02d}.ckpt", **still)
    assert resumed["step"] == whole["step"]

"""Checkpoints that are whole or not there, and that resume exactly."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from rollwave.operators.pretrained import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk and renames: whatever moment a process dies at, the target is the
    old file or the new one.

    Reads with `weights_only=True`.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        if not Path(path).is_file():
            raise FileNotFoundError(f"ckpt_path={path} is not a file; a run keeps its own in <run folder>/checkpoints/")
        return read_checkpoint(path, map_location, weights_only=weights_only is not False)


class LastCheckpoint(Checkpoint):
    """Keeps `last.ckpt`: written every `every_n_train_steps` steps and at the end of every epoch, after its validation.

    Args:
        folder: where it lies.
        every_n_train_steps: optimiser steps from one to the next; 0 for the ends of epochs alone.
    """

    def __init__(self, folder: str | Path, *, every_n_train_steps: int = 0) -> None:
        self.path = Path(folder) / "last.ckpt"
        self.every_n_train_steps = every_n_train_steps

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.path = Path(trainer.strategy.broadcast(str(self.path)))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # The last batch of an epoch is followed by validation; a checkpoint between the two would resume without it.
        last = trainer.fit_loop.epoch_loop._num_ready_batches_reached()
        between = trainer.fit_loop._should_accumulate()
        if self.every_n_train_steps and trainer.global_step % self.every_n_train_steps == 0 and not (last or between):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path)


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of the best validation so far, the later of two equal ones, also across a resumption into
    another run folder.

    Args:
        folder: where it lies.
        monitor: the logged quantity that decides.
        mode: `"max"` if larger is better, `"min"` if smaller.
    """

    def __init__(self, folder: str | Path, *, monitor: str = "val/horizon", mode: str = "max") -> None:
        super().__init__(
            folder,
            filename="best",
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        return equal or super().check_monitor_top_k(trainer, current)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "dirpath": self.dirpath})

"""Windows of a dataset as batches, for one process or many."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from .metadata import DatasetMetadata, Statistics
from .mixture import Mixture
from .sampler import GlobalBatchSampler, ResumableLoader, evaluation_batches
from .trajectory_dataset import TrajectoryDataset, WindowError


class TrajectoryDataModule(LightningDataModule):
    """Training windows `[b, history + horizon, c, *space]` and validation and test windows `[b, history +
    validation_steps, c, *space]` of one dataset.

    Windows are in physical units. Validation and test batches are pairs `(index, window)`, where `index` names the
    window across processes. The test split stays closed until `setup("test")`. Resuming in the middle of an epoch
    continues after the batches already seen.

    Args:
        folder: the dataset's folder.
        history: frames that the operator sees.
        horizon: frames after them that the objective compares with.
        validation_steps: frames after the history in a validation or test window.
        batch_size: windows of a batch, over all processes together.
        time_stride: stored frames from one frame of a window to the next.
        workers: processes that read ahead.
        seed: of the order of the training windows.
        others: folders of further datasets of the same equation, which are read as one with the first.
        parameters: names of coefficients of the equation. With any, a window is a pair `(window, coefficients [p])`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        history: int = 1,
        horizon: int = 1,
        validation_steps: int = 64,
        batch_size: int = 32,
        time_stride: int = 1,
        workers: int = 0,
        seed: int = 0,
        others: Sequence[str | Path] = (),
        parameters: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if others and not parameters:
            raise ValueError(f"others {list(others)} need parameters that tell the datasets apart; set conditions")
        self.others, self.parameters = tuple(others), tuple(parameters)
        self.folder = Path(folder)
        self.history = history
        self.horizon = horizon
        self.validation_steps = validation_steps
        self.batch_size = batch_size
        self.time_stride = time_stride
        self.workers = workers
        self.seed = seed
        self.metadata: DatasetMetadata
        self.statistics: Statistics
        self._splits: dict[str, TrajectoryDataset | Mixture] = {}
        self._training_loader: ResumableLoader | None = None
        self._resumed: dict[str, int] = {}

    def setup(self, stage: str | None = None) -> None:
        """Open the splits that `stage` reads: `"test"` the test split, `"validate"` the validation split, anything else
        training and validation.
        """
        wanted = {"test": ["test"], "validate": ["valid"]}.get(stage or "fit", ["train", "valid"])
        for split in wanted:
            if split not in self._splits:
                self._splits[split] = self._open_all(split)
        dataset = self._splits[wanted[0]]
        self.metadata, self.statistics = dataset.metadata, dataset.statistics

    def _open_all(self, split: str) -> TrajectoryDataset | Mixture:
        if not self.parameters:
            return self._open(self.folder, split)
        return Mixture([self._open(folder, split) for folder in (self.folder, *self.others)], self.parameters)

    def _open(self, folder: str | Path, split: str) -> TrajectoryDataset:
        long = self.validation_steps
        frames, stride = (self.history + self.horizon, 1) if split == "train" else (self.history + long, long)
        try:
            return TrajectoryDataset(
                folder, split, frames=frames, time_stride=self.time_stride, window_stride=stride * self.time_stride
            )
        except WindowError as error:
            knobs = "history or the objective's steps" if split == "train" else f"data.validation_steps = {long}"
            raise WindowError(f"{error}; lower {knobs}, or use longer trajectories") from None

    def train_dataloader(self) -> ResumableLoader:
        """Global batches in the order of `(seed, epoch)`, this process's part of each."""
        dataset = self._splits["train"]
        rank, world_size = self._place()
        sampler = GlobalBatchSampler(len(dataset), self.batch_size, rank=rank, world_size=world_size, seed=self.seed)
        self._training_loader = ResumableLoader(dataset, batch_sampler=sampler, **self._reading())
        if self._resumed:
            self._training_loader.load_state_dict(self._resumed)
            self._resumed = {}
        return self._training_loader

    def val_dataloader(self) -> DataLoader[Any]:
        """Every validation window once."""
        return self._evaluation_loader("valid")

    def test_dataloader(self) -> DataLoader[Any]:
        """Every test window once."""
        return self._evaluation_loader("test")

    def state_dict(self) -> dict[str, Any]:
        """Where in which epoch the training windows are."""
        return {} if self._training_loader is None else self._training_loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there. A checkpoint restores this before or, for some strategies, after the loader is made."""
        if self._training_loader is None:
            self._resumed = dict(state_dict)
        elif state_dict:
            self._training_loader.load_state_dict(state_dict)

    def _evaluation_loader(self, split: str) -> DataLoader[Any]:
        dataset = self._splits[split]
        rank, world_size = self._place()
        batches = evaluation_batches(len(dataset), self.batch_size, rank=rank, world_size=world_size)
        return DataLoader(_Indexed(dataset), batch_sampler=batches, **self._reading())

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _reading(self) -> dict[str, Any]:
        on_cuda = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return {
            "num_workers": self.workers,
            "persistent_workers": self.workers > 0,
            "pin_memory": on_cuda,
        }


class _Indexed(Dataset[tuple[int, Any]]):
    """A dataset's windows with their indices."""

    def __init__(self, dataset: TrajectoryDataset | Mixture) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]

"""Windows of trajectories for training and evaluation."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from .files import DatasetError, FilePool
from .metadata import DatasetMetadata, Statistics
from .open_source import open_source
from .statistics import compute_statistics


class WindowError(DatasetError):
    """A window that is longer than the trajectories."""


class TrajectoryDataset(Dataset[Tensor]):
    """Windows `[frames, channel, *space]` of float32 in physical units, each inside one trajectory.

    Window `j` of a trajectory holds its stored frames `j * window_stride + i * time_stride`, `i < frames`. Items are
    ordered by trajectory, then by start. Files are opened when first read, by each worker for itself, few at a time.

    Args:
        folder: a generated dataset, a folder in The Well's layout, or a PDEBench file.
        split: `"train"`, `"valid"` or `"test"`.
        frames: frames of a window: history plus horizon.
        time_stride: stored frames from one frame of a window to the next.
        window_stride: stored frames from the start of one window to that of the next.
    """

    def __init__(
        self, folder: str | Path, split: str, *, frames: int, time_stride: int = 1, window_stride: int = 1
    ) -> None:
        for name, value in (("frames", frames), ("time_stride", time_stride), ("window_stride", window_stride)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.source = open_source(folder)
        self.split, self.frames = split, frames
        self.time_stride, self.window_stride = time_stride, window_stride
        self.shards = self.source.split(split)
        self.span = (frames - 1) * time_stride + 1
        counts = np.array([shard.trajectories for shard in self.shards], dtype=np.int64)
        room = np.array([shard.frames - self.span for shard in self.shards], dtype=np.int64)
        self._windows = np.where(room < 0, 0, room // window_stride + 1)
        self._item_ends = np.cumsum(counts * self._windows)
        self._trajectory_ends = np.cumsum(counts)
        self._pool = FilePool(self.source.check)
        if len(self) == 0:
            raise WindowError(
                f"{folder}: a window of frames={frames} with time_stride={time_stride} needs {self.span} stored "
                f"frames, but the trajectories of split '{split}' have {max(shard.frames for shard in self.shards)}"
            )

    def __len__(self) -> int:
        return int(self._item_ends[-1])

    def __getitem__(self, index: int) -> Float[Tensor, "t c *space"]:
        trajectory, start = self.locate(index)
        return self._read(trajectory, start, start + self.span)[:: self.time_stride].contiguous()

    def locate(self, index: int) -> tuple[int, int]:
        """Trajectory of the split and stored frame at which window `index` begins."""
        total = len(self)
        if not -total <= index < total:
            raise IndexError(f"window must lie in [0, {total}), got {index}")
        index = int(index) % total
        shard = int(np.searchsorted(self._item_ends, index, side="right"))
        inside = index - (int(self._item_ends[shard - 1]) if shard else 0)
        local, window = divmod(inside, int(self._windows[shard]))
        first = int(self._trajectory_ends[shard - 1]) if shard else 0
        return first + local, window * self.window_stride

    @property
    def trajectories(self) -> int:
        """Trajectories in the split."""
        return int(self._trajectory_ends[-1])

    def trajectory(self, index: int) -> Float[Tensor, "t c *space"]:
        """Every stored frame of one trajectory."""
        if not 0 <= index < self.trajectories:
            raise IndexError(f"trajectory must lie in [0, {self.trajectories}), got {index}")
        shard = int(np.searchsorted(self._trajectory_ends, index, side="right"))
        return self._read(index, 0, self.shards[shard].frames)

    @property
    def metadata(self) -> DatasetMetadata:
        """Name, geometry and hash of the dataset."""
        return self.source.metadata

    @cached_property
    def statistics(self) -> Statistics:
        """Statistics of the training split, whichever split this is; deltas over `time_stride` stored frames."""
        stored = self.source.stored_statistics() if self.time_stride == 1 else None
        return stored or compute_statistics(self.source, time_stride=self.time_stride)

    def _read(self, trajectory: int, start: int, stop: int) -> Float[Tensor, "t c *space"]:
        shard = int(np.searchsorted(self._trajectory_ends, trajectory, side="right"))
        first = int(self._trajectory_ends[shard - 1]) if shard else 0
        part = self.shards[shard]
        values = self.source.read(self._pool.get(part.path), part.first + trajectory - first, start, stop)
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

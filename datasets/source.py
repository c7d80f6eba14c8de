"""The interface behind which the file formats stand, and what their readers share."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable

import h5py
import numpy as np

from .files import DatasetError
from .metadata import DatasetMetadata, Shard, Statistics


class Source(ABC):
    """Trajectories `[time, channel, *space]` in HDF5 files, grouped in splits.

    Attributes:
        metadata: what the files hold.
        shards: the files of each split, in order.
    """

    metadata: DatasetMetadata
    shards: dict[str, tuple[Shard, ...]]

    @abstractmethod
    def read(self, file: h5py.File, trajectory: int, start: int, stop: int) -> np.ndarray:
        """Frames `start` to `stop` of one trajectory of an open file: float32 `[stop - start, channel, *space]`."""

    def check(self, file: h5py.File) -> None:  # noqa: B027
        """Called with each file when it is opened: raises `DatasetError` if it is not the one that was listed."""

    def stored_statistics(self) -> Statistics | None:
        """The statistics that lie beside the files, if they are complete."""
        return None

    def split(self, name: str) -> tuple[Shard, ...]:
        """The files of a split.

        Raises:
            DatasetError: there is none of that name.
        """
        if not self.shards.get(name):
            found = [split for split, shards in self.shards.items() if shards]
            raise DatasetError(f"dataset '{self.metadata.name}' has no split '{name}'; it has {found}")
        return self.shards[name]


def listing_hash(paths: Iterable[str]) -> str:
    """Identity of files that carry no hash of their own: SHA-256 of their names and sizes, marked as such."""
    rows = [f"{os.path.basename(path)} {os.path.getsize(path)}" for path in paths]
    return "listing:" + hashlib.sha256("\n".join(rows).encode()).hexdigest()


def spacing(axis: np.ndarray, where: str, cells: int = 1) -> float:
    """Distance of neighbours on a uniform axis. `cells` gives the length of that many, to seven digits.

    Raises:
        DatasetError: it has fewer than two entries or is not uniform to the precision of float32.
    """
    if axis.ndim != 1 or len(axis) < 2:
        raise DatasetError(f"{where}: expected a coordinate with at least two entries, got shape {axis.shape}")
    wide = axis.astype(np.float64)
    step = (wide[-1] - wide[0]) / (len(wide) - 1)
    slack = 1e-3 * abs(step) + 4 * np.finfo(np.float32).eps * np.abs(wide).max()
    if step <= 0 or np.abs(np.diff(wide) - step).max() > slack:
        raise DatasetError(f"{where}: expected a uniform increasing coordinate, got {wide[:3]} ... {wide[-2:]}")
    return float(f"{cells * step:.7g}")

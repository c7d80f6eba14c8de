"""The interface behind which the file formats stand."""

from abc import ABC, abstractmethod

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

"""The HDF5 layout, its writer, verifier and readers, and the Lightning data module."""

from typing import Any

from .files import DatasetError
from .metadata import DatasetMetadata, Statistics
from .open_source import open_source
from .statistics import compute_statistics
from .trajectory_dataset import TrajectoryDataset

__all__ = [
    "DatasetError",
    "DatasetMetadata",
    "Statistics",
    "TrajectoryDataModule",
    "TrajectoryDataset",
    "compute_statistics",
    "open_source",
]


def __getattr__(name: str) -> Any:
    """The data module, on first use: it brings Lightning, which generation and evaluation do not need."""
    if name == "TrajectoryDataModule":
        from .data_module import TrajectoryDataModule

        return TrajectoryDataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

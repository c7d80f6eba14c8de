"""Several datasets of one equation with other coefficients, as one."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from .files import DatasetError
from .layout import combined_hash
from .metadata import DatasetMetadata, Statistics
from .trajectory_dataset import TrajectoryDataset

ALIKE = ("equation", "channels", "points", "lengths", "interval")


class Mixture(Dataset[tuple[Tensor, Tensor]]):
    """Windows of several datasets, each with the coefficients of the equation that made it: `[frames, channel, *space]`
    and `[parameter]`.

    The datasets differ in coefficients and share everything else. Windows are ordered by dataset, then as there.

    Args:
        parts: the same split of each dataset.
        parameters: names of the coefficients.
    """

    def __init__(self, parts: Sequence[TrajectoryDataset], parameters: Sequence[str]) -> None:
        first = parts[0].metadata
        for part in parts:
            for key in ALIKE:
                ours, theirs = getattr(first, key), getattr(part.metadata, key)
                if ours != theirs:
                    raise DatasetError(
                        f"datasets that are trained on together need the same {key}: '{first.name}' has {ours}, "
                        f"'{part.metadata.name}' has {theirs}"
                    )
        self.parts = tuple(parts)
        rows = [parameters_of(part.metadata, parameters) for part in parts]
        self.parameters = torch.tensor(rows, dtype=torch.float32)
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "t c *space"], Float[Tensor, " p"]]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"window must lie in [0, {len(self)}), got {index}")
        index = int(index) % len(self)
        part = int(np.searchsorted(self._ends, index, side="right"))
        inside = index - (int(self._ends[part - 1]) if part else 0)
        return self.parts[part][inside], self.parameters[part]

    @property
    def metadata(self) -> DatasetMetadata:
        """That of the first dataset, with a hash of all."""
        everyone = [part.metadata for part in self.parts]
        if len(everyone) == 1:
            return everyone[0]
        return dataclasses.replace(everyone[0], data_hash=combined_hash(item.data_hash for item in everyone))

    @cached_property
    def statistics(self) -> Statistics:
        """Of all training splits together, each stored frame weighed alike."""
        everyone = [part.statistics for part in self.parts]
        sizes = np.array([sum(s.trajectories * s.frames for s in part.source.split("train")) for part in self.parts])
        shares = (sizes / sizes.sum())[:, None]
        columns = []
        for prefix in ("", "delta_"):
            means = np.array([getattr(item, prefix + "mean") for item in everyone])
            squares = np.array([getattr(item, prefix + "rms") for item in everyone]) ** 2
            mean = (shares * means).sum(0)
            columns += [mean, np.sqrt(np.maximum((shares * squares).sum(0) - mean**2, 0.0))]
        low, high = np.min([item.low for item in everyone], 0), np.max([item.high for item in everyone], 0)
        return Statistics(*(tuple(float(value) for value in column) for column in (*columns, low, high)))


def parameters_of(metadata: DatasetMetadata, names: Sequence[str]) -> list[float]:
    """The coefficients of a dataset's equation, by name.

    Raises:
        DatasetError: the dataset does not state one of them as a number.
    """
    stated = metadata.equation_config or {}
    missing = [name for name in names if not isinstance(stated.get(name), int | float)]
    if missing:
        raise DatasetError(
            f"dataset '{metadata.name}' states no number for {missing} of its equation; it states {sorted(stated)}"
        )
    return [float(stated[name]) for name in names]

"""Statistics of the training split, in float64, one piece of a trajectory at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .files import FilePool
from .metadata import Statistics
from .source import Source

# Values held in memory at once while streaming.
PIECE = 4_000_000


class Moments:
    """Count, mean and second central moment of each channel, merged piece by piece.

    Reference:
        Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = np.zeros(channels)
        self.square = np.zeros(channels)

    def update(self, values: np.ndarray) -> None:
        """Add `values` `[time, channel, *space]`."""
        if values.size == 0:
            return
        axes = (0, *range(2, values.ndim))
        wide = values.astype(np.float64)
        count = wide.size // wide.shape[1]
        mean = wide.mean(axis=axes)
        centred = wide - mean.reshape(1, -1, *(1,) * (wide.ndim - 2))
        shift, total = mean - self.mean, self.count + count
        self.square += np.square(centred).sum(axis=axes) + shift**2 * (self.count * count / total)
        self.mean += shift * (count / total)
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Square root of the population variance."""
        return np.sqrt(self.square / max(self.count, 1))


def compute_statistics(source: Source, *, time_stride: int = 1) -> Statistics:
    """Statistics over the training split alone, deltas over `time_stride` stored frames.

    Sums run in the order of the trajectories, so the files that these lie in do not matter.
    """
    channels = len(source.metadata.channels)
    field, delta = Moments(channels), Moments(channels)
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    pool = FilePool(source.check, limit=1)
    step = max(1, PIECE // (channels * int(np.prod(source.metadata.points))))
    for shard in source.split("train"):
        file = pool.get(shard.path)
        for trajectory in range(shard.first, shard.first + shard.trajectories):
            for start in range(0, shard.frames, step):
                piece = source.read(file, trajectory, start, min(start + step + time_stride, shard.frames))
                values, wide = piece[:step], piece.astype(np.float64)
                field.update(values)
                delta.update(wide[time_stride:] - wide[:-time_stride])
                axes = (0, *range(2, values.ndim))
                low, high = np.minimum(low, values.min(axis=axes)), np.maximum(high, values.max(axis=axes))
    pool.close()
    columns = field.mean, field.std, delta.mean, delta.std, low, high
    return Statistics(*(tuple(float(value) for value in column) for column in columns))


def to_yaml(statistics: Statistics, channels: tuple[str, ...]) -> str:
    """The text of `stats.yaml`: The Well's keys, then the range of each field."""
    rows = {
        "mean": statistics.mean,
        "std": statistics.std,
        "rms": statistics.rms,
        "mean_delta": statistics.delta_mean,
        "std_delta": statistics.delta_std,
        "rms_delta": statistics.delta_rms,
        "min": statistics.low,
        "max": statistics.high,
    }
    table = {key: dict(zip(channels, row, strict=True)) for key, row in rows.items()}
    return yaml.safe_dump(table, sort_keys=False)


def from_yaml(path: Path, channels: tuple[str, ...]) -> Statistics | None:
    """Statistics from a `stats.yaml` that lists every one of `channels`; None if it lacks any of the values."""
    if not path.is_file():
        return None
    table: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text()) or {}
    columns = []
    for key in ("mean", "std", "mean_delta", "std_delta", "min", "max"):
        row = table.get(key) or {}
        if not all(isinstance(row.get(channel), int | float) for channel in channels):
            return None
        columns.append(tuple(float(row[channel]) for channel in channels))
    return Statistics(*columns)

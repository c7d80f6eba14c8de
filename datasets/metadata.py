"""What a dataset is, in plain values that fit into a checkpoint."""

from dataclasses import asdict, dataclass, field
from typing import Any

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class DatasetMetadata:
    """Name, geometry and identity of a dataset.

    Attributes:
        name: name of the dataset.
        equation: name of the equation, `"unknown"` for a file that does not say.
        channels: names of the channels, in the order of the channel axis.
        points: points stored along each axis of space.
        lengths: period of the domain along each axis.
        interval: time between two stored frames.
        data_hash: SHA-256 that identifies the trajectories, whatever the files they lie in.
        trajectories: trajectories in each split.
        frames: frames of the shortest trajectory in each split.
        lyapunov_exponent: leading exponent in 1 / time, where the recipe records one.
        units: unit of each channel, empty for a file that does not say.
        equation_config: class and coefficients from which the equation is rebuilt, where the file holds a recipe.
    """

    name: str
    equation: str
    channels: tuple[str, ...]
    points: tuple[int, ...]
    lengths: tuple[float, ...]
    interval: float
    data_hash: str
    trajectories: dict[str, int]
    frames: dict[str, int]
    lyapunov_exponent: float | None = None
    units: tuple[str, ...] = ()
    equation_config: dict[str, Any] | None = None

    @property
    def dimensions(self) -> int:
        """Axes of space."""
        return len(self.points)

    def to_dict(self) -> dict[str, Any]:
        """Lists, numbers and strings only: safe in a checkpoint that loads with `weights_only=True`."""
        plain = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


@dataclass(frozen=True)
class Statistics:
    """Moments and range of each channel over every point and frame of the training split, in physical units.

    `std` is the square root of the population variance. A delta is the change of the field from one frame of a window
    to the next one.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    delta_mean: tuple[float, ...]
    delta_std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def rms(self) -> tuple[float, ...]:
        """Root mean square of the field."""
        return tuple((m * m + s * s) ** 0.5 for m, s in zip(self.mean, self.std, strict=True))

    @property
    def delta_rms(self) -> tuple[float, ...]:
        """Root mean square of the change between frames."""
        return tuple((m * m + s * s) ** 0.5 for m, s in zip(self.delta_mean, self.delta_std, strict=True))

    def to_dict(self) -> dict[str, list[float]]:
        """The attributes as lists."""
        return {key: list(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Shard:
    """One HDF5 file, or a part of one, as a reader sees it.

    Attributes:
        path: the file.
        trajectories: trajectories that belong to the split.
        frames: frames of each of them.
        first: index inside the file of the first of them.
        content_hash: SHA-256 of the trajectories, where the manifest states it.
    """

    path: str
    trajectories: int
    frames: int
    first: int = 0
    content_hash: str | None = field(default=None, repr=False)

"""Reader of PDEBench's files. Splits are cut in the order of the file: 80 % train, 10 % valid, 10 % test.

Three layouts: (i) `tensor` `(N, T, X[, Y[, Z]])`; (ii) one dataset per field, such as `density`, `pressure`, `Vx`, each
`(N, T, X[, Y[, Z]])`; (iii) a group per sample with `data` `(T, X[, Y], channel)` and `grid/{t,x,y}`.
"""

import os
from pathlib import Path

import h5py
import numpy as np

from .files import DatasetError, open_hdf5, require
from .metadata import DatasetMetadata, Shard
from .source import Source, listing_hash, spacing

FLUID_FIELDS = ("density", "pressure", "Vx", "Vy", "Vz")


def sample_groups(file: h5py.File) -> list[str]:
    """Names of the groups that hold one sample each."""
    return sorted(name for name, member in file.items() if isinstance(member, h5py.Group) and "data" in member)


def is_pdebench(file: h5py.File) -> bool:
    """Whether the root looks like one of the three layouts."""
    return "tensor" in file or any(name in file for name in FLUID_FIELDS) or bool(sample_groups(file))


class PDEBenchSource(Source):
    """One file of PDEBench.

    Args:
        path: the `.hdf5` or `.h5` file.
    """

    def __init__(self, path: Path) -> None:
        self.path = os.fspath(path)
        with open_hdf5(path) as file:
            self.groups = [] if "tensor" in file else sample_groups(file)
            self.fields = ["tensor"] if "tensor" in file else [name for name in FLUID_FIELDS if name in file]
            if self.groups:
                shape, channels, axes = self._grouped(file)
            else:
                shape, channels, axes = self._flat(file)
        count, frames, *points = shape
        if frames < 2:
            raise DatasetError(f"{path}: expected trajectories in time, got {frames} frame (a steady problem)")
        time, *space = axes
        if len(time) not in (frames, frames + 1):
            raise DatasetError(
                f"{path}: the time coordinate has {len(time)} entries, expected {frames} as saved (or {frames + 1}, "
                "as the 1-D generators write)"
            )
        lengths = tuple(
            spacing(axis, f"{path}: coordinate '{name}'", len(axis)) for name, axis in zip("xyz", space, strict=False)
        )
        self._cut(count, frames)
        self.metadata = DatasetMetadata(
            name=path.stem,
            equation="unknown",
            channels=channels,
            points=tuple(points),
            lengths=lengths,
            interval=spacing(time, f"{path}: time coordinate"),
            data_hash=listing_hash([self.path]),
            trajectories={split: sum(s.trajectories for s in shards) for split, shards in self.shards.items()},
            frames={split: frames for split in self.shards},
        )

    def _cut(self, count: int, frames: int) -> None:
        held = max(1, count // 10) if count >= 3 else 0
        cuts = {"train": (0, count - 2 * held), "valid": (count - 2 * held, held), "test": (count - held, held)}
        self.shards = {
            split: (Shard(self.path, size, frames, first=first),) if size else ()
            for split, (first, size) in cuts.items()
        }

    def _flat(self, file: h5py.File) -> tuple[tuple[int, ...], tuple[str, ...], list[np.ndarray]]:
        shapes = {name: require(file, name).shape for name in self.fields}
        shape = shapes[self.fields[0]]
        if len(set(shapes.values())) != 1 or not 3 <= len(shape) <= 5:
            raise DatasetError(f"{self.path}: expected fields of one shape (sample, time, x[, y[, z]]), got {shapes}")
        names = ["t-coordinate", *(f"{axis}-coordinate" for axis in "xyz"[: len(shape) - 2])]
        axes = [np.asarray(require(file, name)) for name in names]
        self._compare(shape[2:], axes[1:], names[1:])
        return shape, ("u",) if self.fields == ["tensor"] else tuple(self.fields), axes

    def _grouped(self, file: h5py.File) -> tuple[tuple[int, ...], tuple[str, ...], list[np.ndarray]]:
        shapes = {name: require(file[name], "data").shape for name in self.groups}
        shape = shapes[self.groups[0]]
        for name, other in shapes.items():
            if other != shape or not 3 <= len(shape) <= 5:
                raise DatasetError(
                    f"{self.path}: '/{name}/data' has shape {other}, expected (time, x[, y[, z]], channel) = {shape} "
                    f"as in '/{self.groups[0]}'"
                )
        grid = require(file[self.groups[0]], "grid", h5py.Group)
        names = ["t", *"xyz"[: len(shape) - 2]]
        axes = [np.asarray(require(grid, name)) for name in names]
        self._compare(shape[1:-1], axes[1:], names[1:])
        channels = ("u",) if shape[-1] == 1 else tuple(f"u{number}" for number in range(shape[-1]))
        return (len(self.groups), *shape[:-1]), channels, axes

    def _compare(self, points: tuple[int, ...], axes: list[np.ndarray], names: list[str]) -> None:
        for count, axis, name in zip(points, axes, names, strict=True):
            if axis.shape != (count,):
                raise DatasetError(f"{self.path}: '{name}' has shape {axis.shape}, expected ({count},) as in the field")

    def read(self, file: h5py.File, trajectory: int, start: int, stop: int) -> np.ndarray:
        """Frames of one trajectory, `[time, channel, *space]`."""
        if self.groups:
            values = np.moveaxis(file[self.groups[trajectory]]["data"][start:stop], -1, 1)
        else:
            values = np.stack([file[name][trajectory, start:stop] for name in self.fields], axis=1)
        return values.astype(np.float32, copy=False)

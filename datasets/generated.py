"""Reader of the datasets that we generate: what the manifest says, checked against each file as it is opened."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .files import DatasetError, attribute, require
from .layout import MANIFEST, read_manifest
from .metadata import SPLITS, DatasetMetadata, Shard, Statistics
from .source import Source


class GeneratedSource(Source):
    """A finished dataset of ours. Opens no file when built; sizes are compared with the manifest at once.

    Args:
        folder: the folder that holds the manifest.
        manifest: what to read instead of that file, before it is written.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any] | None = None) -> None:
        manifest = read_manifest(folder) if manifest is None else manifest
        if manifest is None:
            raise DatasetError(f"{folder}: expected a generated dataset with {MANIFEST}")
        self.manifest, self.folder = manifest, folder
        try:
            self.metadata = metadata_of(manifest)
            self.shards = {split: tuple(self._shard(row) for row in manifest["splits"][split]) for split in SPLITS}
        except KeyError as error:
            raise DatasetError(f"{folder / MANIFEST}: key {error} is missing; generate the dataset again") from error

    def _shard(self, row: dict[str, Any]) -> Shard:
        path = self.folder / row["file"]
        size = os.path.getsize(path) if path.is_file() else None
        if size != row["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise DatasetError(
                f"{path}: {found}, the manifest says {row['bytes']} bytes; the file was truncated, replaced or not "
                "copied. Copy it again, or generate the dataset again with overwrite=true."
            )
        return Shard(os.fspath(path), row["trajectories"], row["frames"], content_hash=row["content_hash"])

    def check(self, file: h5py.File) -> None:
        """Raise unless the file holds the trajectories that the manifest lists under its name."""
        shard = next(s for shards in self.shards.values() for s in shards if s.path == file.filename)
        found = str(attribute(require(file, "provenance", h5py.Group), "content_hash"))
        if found != shard.content_hash:
            raise DatasetError(
                f"{file.filename}: '/provenance' has content_hash {found[:12]}..., the manifest says "
                f"{str(shard.content_hash)[:12]}...; the file belongs to another dataset or place"
            )
        expected = (shard.trajectories, shard.frames, *self.metadata.points)
        group = require(file, "t0_fields", h5py.Group)
        for channel in self.metadata.channels:
            if require(group, channel).shape != expected:
                raise DatasetError(
                    f"{file.filename}: '/t0_fields/{channel}' has shape {group[channel].shape}, "
                    f"expected (trajectory, time, *space) = {expected}"
                )

    def read(self, file: h5py.File, trajectory: int, start: int, stop: int) -> np.ndarray:
        """Frames of one trajectory, `[time, channel, *space]`."""
        fields = (file[f"t0_fields/{channel}"] for channel in self.metadata.channels)
        return np.stack([field[trajectory, start:stop] for field in fields], axis=1)

    def stored_statistics(self) -> Statistics:
        """The statistics in the manifest."""
        return Statistics(**{key: tuple(row) for key, row in self.manifest["statistics"].items()})


def metadata_of(manifest: dict[str, Any]) -> DatasetMetadata:
    """The metadata that a manifest states."""
    recipe = manifest["recipe"]
    stride = recipe["space_stride"]
    rows = manifest["splits"]
    return DatasetMetadata(
        name=recipe["name"],
        equation=manifest["equation"],
        channels=tuple(manifest["channels"]),
        points=tuple(points // stride for points in recipe["points"]),
        lengths=tuple(float(length) for length in recipe["lengths"]),
        interval=float(recipe["interval"]),
        data_hash=manifest["data_hash"],
        trajectories={split: sum(row["trajectories"] for row in rows[split]) for split in SPLITS},
        frames={split: min((row["frames"] for row in rows[split]), default=0) for split in SPLITS},
        lyapunov_exponent=recipe["lyapunov_exponent"],
        units=tuple(manifest["units"]),
        equation_config=recipe["equation"],
    )

"""Reader of The Well's layout: folders `data/{train,valid,test}` of HDF5 files, whoever wrote them."""

import os
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import h5py
import numpy as np

from .files import DatasetError, attribute, open_hdf5, require
from .layout import FIELD_GROUPS, STATISTICS
from .metadata import SPLITS, DatasetMetadata, Shard, Statistics
from .source import Source, listing_hash, spacing
from .statistics import from_yaml


@dataclass(frozen=True)
class WellField:
    """A field that varies in time: `path` in the file, tensor `order`, and which of its axes are stored."""

    path: str
    order: int
    sample_varying: bool
    dim_varying: tuple[bool, ...]


class WellSource(Source):
    """A dataset in The Well's layout. Components of vectors and tensors become channels (`velocity_x`); fields that
    are constant in time are left out.

    Args:
        folder: the folder that holds `data/` (or the split folders themselves).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = {split: () for split in SPLITS}
        first: DatasetMetadata | None = None
        for split, paths in split_files(folder).items():
            for path in paths:
                with open_hdf5(path) as file:
                    found, fields, shard = self._describe(file)
                if first is None:
                    first, self.fields = found, fields
                elif (found, fields) != (first, self.fields):
                    raise DatasetError(
                        f"{path}: expected the channels, points, lengths and interval of the other files "
                        f"({first.channels}, {first.points}, {first.lengths}, {first.interval}), "
                        f"got ({found.channels}, {found.points}, {found.lengths}, {found.interval})"
                    )
                self.shards[split] += (shard,)
        if first is None:
            raise DatasetError(f"{folder}: expected .hdf5 or .h5 files in data/train, data/valid or data/test")
        self.metadata = replace(
            first,
            data_hash=listing_hash(shard.path for split in SPLITS for shard in self.shards[split]),
            trajectories={split: sum(s.trajectories for s in self.shards[split]) for split in SPLITS},
            frames={split: min((s.frames for s in self.shards[split]), default=0) for split in SPLITS},
        )

    def _describe(self, file: h5py.File) -> tuple[DatasetMetadata, tuple[WellField, ...], Shard]:
        """What one file holds; raises if its fields do not have the shapes that its dimensions ask for."""
        dimensions = require(file, "dimensions", h5py.Group)
        names = [str(name) for name in attribute(dimensions, "spatial_dims")]
        coordinates = [np.asarray(require(dimensions, name)) for name in names]
        points = tuple(axis.shape[-1] for axis in coordinates)
        time = np.asarray(require(dimensions, "time")).reshape(-1, require(dimensions, "time").shape[-1])[0]
        trajectories = int(attribute(file, "n_trajectories"))
        periodic = periodic_axes(file, names)
        lengths = tuple(
            spacing(
                axis.reshape(-1, n)[0],
                f"{file.filename}: '/dimensions/{name}'",
                n if name in periodic else n - 1,
            )
            for name, axis, n in zip(names, coordinates, points, strict=True)
        )
        fields, channels = [], []
        for order, group_name in enumerate(FIELD_GROUPS):
            group = require(file, group_name, h5py.Group)
            for name in (str(name) for name in attribute(group, "field_names")):
                dataset = require(group, name)
                if not attribute(dataset, "time_varying"):
                    continue
                varying = tuple(bool(v) for v in attribute(dataset, "dim_varying"))
                field = WellField(dataset.name, order, bool(attribute(dataset, "sample_varying")), varying)
                expected = ((trajectories,) if field.sample_varying else ()) + (len(time),)
                expected += tuple(n for n, v in zip(points, varying, strict=True) if v) + (len(names),) * order
                if dataset.shape != expected:
                    raise DatasetError(
                        f"{file.filename}: '{dataset.name}' has shape {dataset.shape}, expected {expected} "
                        f"from n_trajectories, '/dimensions' and the tensor order {order}"
                    )
                fields.append(field)
                tails = ["".join(tail) for tail in product(names, repeat=order)]
                channels += [name if not tail else f"{name}_{tail}" for tail in tails]
        if not fields:
            raise DatasetError(f"{file.filename}: expected a field that varies in time in one of {FIELD_GROUPS}")
        interval = spacing(time, f"{file.filename}: '/dimensions/time'")
        metadata = DatasetMetadata(
            str(attribute(file, "dataset_name")), "unknown", tuple(channels), points, lengths, interval, "", {}, {}
        )
        return metadata, tuple(fields), Shard(os.fspath(file.filename), trajectories, len(time))

    def read(self, file: h5py.File, trajectory: int, start: int, stop: int) -> np.ndarray:
        """Frames of one trajectory, `[time, channel, *space]`."""
        columns = []
        points = self.metadata.points
        for field in self.fields:
            dataset = file[field.path]
            values = dataset[trajectory, start:stop] if field.sample_varying else dataset[start:stop]
            shape = tuple(n if v else 1 for n, v in zip(points, field.dim_varying, strict=True))
            values = values.reshape(stop - start, *shape, -1)
            values = np.broadcast_to(values, (stop - start, *points, values.shape[-1]))
            columns.append(np.moveaxis(values, -1, 1))
        return np.concatenate(columns, axis=1).astype(np.float32, copy=False)

    def stored_statistics(self) -> Statistics | None:
        """The statistics of `stats.yaml`, where it lists every channel and its range."""
        return from_yaml(self.folder / STATISTICS, self.metadata.channels)


def split_files(folder: Path) -> dict[str, list[Path]]:
    """The HDF5 files of each split below `folder` or `folder/data`, sorted by name."""
    base = folder / "data" if (folder / "data").is_dir() else folder
    found = {split: sorted([*(base / split).glob("*.hdf5"), *(base / split).glob("*.h5")]) for split in SPLITS}
    return {split: paths for split, paths in found.items() if paths}


def periodic_axes(file: h5py.File, names: list[str]) -> set[str]:
    """Axes whose boundary condition is periodic."""
    periodic: set[str] = set()
    for boundary in require(file, "boundary_conditions", h5py.Group).values():
        if str(boundary.attrs.get("bc_type", "")).lower() == "periodic":
            periodic |= {str(name) for name in boundary.attrs.get("associated_dims", names)}
    return periodic

"""Writing: HDF5 images in The Well's layout, and files that are either whole or not there."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .layout import (
    DIMENSIONS,
    FIELD_GROUPS,
    FORMAT,
    FORMAT_VERSION,
    ROOT_GROUPS,
    canonical_json,
    chunks,
    combined_hash,
    trajectory_hash,
)
from .recipe import Recipe

# Attributes of the root that a coefficient of the same name must not overwrite.
RESERVED = ("dataset_name", "grid_type", "n_spatial_dims", "n_trajectories", "simulation_parameters")


def atomic_write(path: Path, data: bytes | memoryview, temporary: Path) -> None:
    """Write `data` under `path`, complete or not at all: into `temporary` first, flushed to the disk, then renamed.

    Raises:
        OSError: the disk refuses; names `path`, and `temporary` is gone.
    """
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def shard_image(
    recipe: Recipe, split: str, first: int, trajectories: Sequence[np.ndarray], provenance: dict[str, Any]
) -> memoryview:
    """The bytes of one HDF5 file with `trajectories` `[time, channel, *space]`, the first of which has index `first`.

    Made in memory, so that a full disk is met by a plain write; the same arguments give the same bytes.
    """
    equation = recipe.build_equation()
    space, count, frames = recipe.stored_points, len(trajectories), recipe.frames_of(split)
    names = DIMENSIONS[: len(space)]
    with h5py.File("shard", "w", driver="core", backing_store=False, libver=("v108", "v108")) as file:
        parameters = _coefficients(recipe.equation)
        file.attrs["dataset_name"] = recipe.name
        file.attrs["grid_type"] = "cartesian"
        file.attrs["n_spatial_dims"] = len(space)
        file.attrs["n_trajectories"] = count
        file.attrs["simulation_parameters"] = _strings(parameters)
        groups = {name: file.create_group(name, track_order=False) for name in ROOT_GROUPS}
        _write_dimensions(groups["dimensions"], recipe, frames)
        for axis, name in enumerate(names):
            _write_boundary(groups["boundary_conditions"], name, space[axis])
        groups["scalars"].attrs["field_names"] = _strings(parameters)
        for name, value in parameters.items():
            file.attrs[name] = value
            _varying(groups["scalars"].create_dataset(name, data=np.float32(value)), sample=False, time=False)
        for name in FIELD_GROUPS:
            groups[name].attrs["field_names"] = _strings(equation.channels if name == "t0_fields" else ())
        for channel, (name, unit) in enumerate(zip(equation.channels, equation.units, strict=True)):
            field = groups["t0_fields"].create_dataset(
                name,
                shape=(count, frames, *space),
                dtype="<f4",
                chunks=chunks(frames, space),
                compression=recipe.compression,
                fillvalue=0,
            )
            for row, values in enumerate(trajectories):
                field[row] = values[:, channel]
            _varying(field, sample=True, time=True)
            field.attrs["dim_varying"] = np.ones(len(space), dtype=bool)
            field.attrs["units"] = unit
        _write_provenance(file.create_group("provenance"), recipe, split, first, trajectories, provenance)
        file.flush()
        return memoryview(file.id.get_file_image())


def _write_dimensions(group: h5py.Group, recipe: Recipe, frames: int) -> None:
    group.attrs["spatial_dims"] = _strings(DIMENSIONS[: len(recipe.points)])
    time = group.create_dataset("time", data=(np.arange(frames) * recipe.interval).astype("<f4"))
    _varying(time, sample=False, time=True)
    for name, points, length in zip(DIMENSIONS, recipe.stored_points, recipe.lengths, strict=False):
        axis = group.create_dataset(name, data=(np.arange(points) * (length / points)).astype("<f4"))
        _varying(axis, sample=False, time=False)


def _write_boundary(group: h5py.Group, name: str, points: int) -> None:
    boundary = group.create_group(f"{name}_periodic")
    boundary.attrs["associated_dims"] = _strings([name])
    boundary.attrs["associated_fields"] = _strings([])
    boundary.attrs["bc_type"] = "periodic"
    _varying(boundary, sample=False, time=False)
    mask = np.zeros(points, dtype=bool)
    mask[[0, -1]] = True
    boundary.create_dataset("mask", data=mask)


def _write_provenance(
    group: h5py.Group,
    recipe: Recipe,
    split: str,
    first: int,
    trajectories: Sequence[np.ndarray],
    provenance: dict[str, Any],
) -> None:
    hashes = [trajectory_hash(values) for values in trajectories]
    equation = recipe.build_equation()
    group.attrs["format"], group.attrs["format_version"] = FORMAT, FORMAT_VERSION
    group.attrs["recipe"] = canonical_json(recipe.to_dict())
    for key in ("versions", "certificate"):
        group.attrs[key] = canonical_json(provenance[key])
    for key, text in recipe.words().items():
        group.attrs[key] = "" if text is None else text
    group.attrs["commit"] = provenance["versions"]["commit"]
    group.attrs["equation"], group.attrs["units"] = equation.name, _strings(equation.units)
    group.attrs["split"], group.attrs["seed"] = split, recipe.split_seed(split)
    group.attrs["content_hash"] = combined_hash(hashes)
    # The initial condition of a trajectory is drawn from the pair (seed, index).
    seeds = [[recipe.split_seed(split), index] for index in range(first, first + len(trajectories))]
    group.create_dataset("trajectory_seed", data=np.array(seeds, dtype="<i8").reshape(-1, 2))
    group.create_dataset("trajectory_hash", data=np.array(hashes, dtype="S64"))


def _varying(owner: h5py.Group | h5py.Dataset, *, sample: bool, time: bool) -> None:
    owner.attrs["sample_varying"], owner.attrs["time_varying"] = np.bool_(sample), np.bool_(time)


def _strings(names: Sequence[str] | dict[str, Any]) -> np.ndarray:
    return np.array(list(names), dtype=h5py.string_dtype())


def _coefficients(config: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of an equation's config, nested ones with the names of their owners in front."""
    found: dict[str, float] = {}
    for key, value in config.items():
        name = prefix + key
        if isinstance(value, dict):
            found |= _coefficients(value, f"{name}_")
        elif isinstance(value, bool | int | float) and name not in RESERVED:
            found[name] = float(value)
    return found

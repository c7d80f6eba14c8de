"""The last step of a generation: rows for the shards, statistics, and the manifest that makes a dataset complete."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import h5py

from .blocks import GenerationError
from .files import DatasetError, attribute, open_hdf5, require
from .generated import GeneratedSource
from .layout import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    PARTIAL,
    STATISTICS,
    canonical_json,
    combined_hash,
    shard_path,
)
from .metadata import SPLITS
from .recipe import Recipe
from .statistics import compute_statistics, to_yaml
from .writer import atomic_write


def shard_indices(recipe: Recipe, split: str) -> list[range]:
    """Indices of the trajectories in each shard of a split."""
    count, size = recipe.count(split), recipe.trajectories_per_file
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def differing_keys(found: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Keys, nested ones with dots, whose values differ, with both values; None stands for a missing one."""
    differing: dict[str, tuple[Any, Any]] = {}
    for key in sorted(set(found) | set(asked)):
        a, b = found.get(key), asked.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            differing |= differing_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            differing[prefix + key] = (a, b)
    return differing


def stored_hashes(file: h5py.File) -> list[str]:
    """The hashes of the trajectories that a shard states."""
    group = require(file, "provenance", h5py.Group)
    return [value.decode() for value in require(group, "trajectory_hash")[:]]


def shard_is_sound(recipe: Recipe, folder: Path, split: str, number: int) -> bool:
    """Whether a shard is there and is the one that the recipe asks for; anything else of that name is removed."""
    path = shard_path(folder, recipe.name, split, number)
    if not path.is_file():
        return False
    try:
        with open_hdf5(path) as file:
            group = require(file, "provenance", h5py.Group)
            wanted = shard_indices(recipe, split)[number]
            seeds = [[recipe.split_seed(split), index] for index in wanted]
            sound = (
                json.loads(attribute(group, "recipe")) == recipe.to_dict()
                and require(group, "trajectory_seed")[:].tolist() == seeds
                and attribute(group, "content_hash") == combined_hash(stored_hashes(file))
            )
    except DatasetError:
        sound = False
    if not sound:
        path.unlink()
    return sound


def shard_row(recipe: Recipe, folder: Path, split: str, number: int) -> tuple[dict[str, Any], list[str]]:
    """The manifest's row for a shard, from the file as it lies on the disk, and the hashes of its trajectories."""
    path = shard_path(folder, recipe.name, split, number)
    with open(path, "rb") as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    with open_hdf5(path) as file:
        hashes = stored_hashes(file)
    row = {
        "file": path.relative_to(folder).as_posix(),
        "bytes": os.path.getsize(path),
        "sha256": digest,
        "content_hash": combined_hash(hashes),
        "trajectories": len(hashes),
        "frames": recipe.frames_of(split),
    }
    return row, hashes


def refuse_equal(hashes: dict[str, list[str]]) -> None:
    """Refuse trajectories that occur twice, such as one that training and test share."""
    first: dict[str, str] = {}
    for split in hashes:
        for index, value in enumerate(hashes[split]):
            name = f"trajectory {index} of split '{split}'"
            if value in first:
                raise GenerationError(
                    f"{name} equals {first[value]}; choose another dataset.seed, or an initial condition that is random"
                )
            first[value] = name


def write_manifest(recipe: Recipe, folder: Path, provenance: dict[str, Any]) -> None:
    """Write `stats.yaml`, then the manifest: hashes of every shard, statistics of the training split.

    Raises:
        GenerationError: two trajectories are equal.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    found: dict[str, list[str]] = {}
    for split in SPLITS:
        pairs = [shard_row(recipe, folder, split, n) for n in range(len(shard_indices(recipe, split)))]
        rows[split] = [row for row, _ in pairs]
        found[split] = [value for _, listed in pairs for value in listed]
    refuse_equal(found)
    equation = recipe.build_equation()
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "recipe": recipe.to_dict(),
        "equation": equation.name,
        "channels": list(equation.channels),
        "units": list(equation.units),
        "data_hash": combined_hash(f"{split} {value}" for split, hashes in found.items() for value in hashes),
        "splits": rows,
        **provenance,
    }
    statistics = compute_statistics(GeneratedSource(folder, manifest))
    manifest["statistics"] = statistics.to_dict()
    for name, text in (
        (STATISTICS, to_yaml(statistics, equation.channels)),
        (MANIFEST, canonical_json(manifest) + "\n"),
    ):
        atomic_write(folder / name, text.encode(), folder / PARTIAL / f"{name}.{os.getpid()}.tmp")

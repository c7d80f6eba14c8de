"""Checking a finished dataset against itself and against a fresh computation from the recipe inside its files."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .blocks import compute_block, single_thread
from .certificate import certify_recipe, summary
from .files import DatasetError, attribute, open_hdf5, require
from .finish import differing_keys, stored_hashes
from .generated import GeneratedSource
from .layout import FIELD_GROUPS, STATISTICS, combined_hash, trajectory_hash
from .metadata import SPLITS
from .provenance import versions
from .recipe import Recipe
from .statistics import compute_statistics, to_yaml

# Statistics and certificates may differ in the last digits between processors.
CLOSE = 1e-6


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what, whether it held, and what was found."""

    subject: str
    passed: bool
    detail: str


def verify_dataset(folder: str | Path, *, samples: int = 2, tolerance: float = 1e-3) -> Iterator[Check]:
    """Checks of hashes, recipe, recomputed trajectories, statistics and certificate, one by one as they are done.

    Args:
        samples: trajectories of each split to compute again.
        tolerance: largest relative difference of a recomputed trajectory where code or processor differ from those
            that wrote it; on equal ones every bit must agree.
    """
    folder = Path(folder)
    try:
        source = GeneratedSource(folder)
        recipe = Recipe.from_dict(source.manifest["recipe"])
    except ValueError as error:
        yield Check("manifest", False, str(error))
        return
    yield Check("manifest", True, f"{sum(map(len, source.shards.values()))} files of the stated size")
    hashes: list[str] = []
    for split in SPLITS:
        for row in source.manifest["splits"][split]:
            try:
                found = _check_shard(folder / row["file"], row, source.manifest)
            except (DatasetError, OSError) as error:
                yield Check(row["file"], False, str(error))
                continue
            hashes += [f"{split} {value}" for value in found]
            yield Check(row["file"], True, f"{len(found)} trajectories have their hashes")
    total = combined_hash(hashes)
    equal = total == source.metadata.data_hash
    yield Check("data hash", equal, total[:16] if equal else f"{total[:16]}, the manifest says otherwise")
    if not equal:
        return
    for split in SPLITS:
        yield from _recompute(source, recipe, split, samples, tolerance)
    yield _check_statistics(source, folder)
    yield _check_certificate(source, recipe)


def _check_shard(path: Path, row: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """The hashes of a shard's trajectories; raises at the first thing that is not as the manifest says."""
    with open_hdf5(path) as file:
        group = require(file, "provenance", h5py.Group)
        differing = differing_keys(json.loads(attribute(group, "recipe")), manifest["recipe"])
        if differing:
            raise DatasetError(
                f"{path}: the recipe in '/provenance' differs from the manifest's in {sorted(differing)}"
            )
        stated = stored_hashes(file)
        fields = [require(require(file, FIELD_GROUPS[0], h5py.Group), name) for name in manifest["channels"]]
        for number, expected in enumerate(stated):
            found = trajectory_hash(np.stack([field[number] for field in fields], axis=1))
            if found != expected:
                raise DatasetError(
                    f"{path}: trajectory {number} in '/t0_fields' has SHA-256 {found[:12]}..., "
                    f"expected {expected[:12]}..."
                )
        if combined_hash(stated) != row["content_hash"]:
            raise DatasetError(f"{path}: holds trajectories other than those the manifest lists; was it swapped?")
    with open(path, "rb") as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    if digest != row["sha256"]:
        raise DatasetError(f"{path}: an attribute or byte outside the trajectories differs from what was written")
    return stated


def _recompute(source: GeneratedSource, recipe: Recipe, split: str, samples: int, tolerance: float) -> Iterator[Check]:
    """Compute evenly spread trajectories of a split again and compare every bit."""
    count = recipe.count(split)
    same_machine = source.manifest["versions"] == versions()
    chosen: list[int] = sorted(set(np.linspace(0, count - 1, min(samples, count)).round().astype(int).tolist()))
    for index in chosen:
        number, inside = divmod(index, recipe.block)
        shard, local = divmod(index, recipe.trajectories_per_file)
        part = source.split(split)[shard]
        with open_hdf5(part.path) as file, single_thread():
            stored = source.read(file, local, 0, part.frames)
            fresh = compute_block(recipe, split, number)[inside]
        subject = f"{split} trajectory {index} recomputed"
        if np.array_equal(stored, fresh):
            yield Check(subject, True, "bit for bit")
            continue
        difference = float(np.abs(stored - fresh).max())
        relative = difference / max(float(np.abs(stored).max()), float(np.finfo(np.float32).tiny))
        detail = f"{part.path}: largest difference {difference:.2e}, relative {relative:.1e}"
        if same_machine:
            yield Check(subject, False, f"{detail}; code and processor are the same, so every bit should be")
        else:
            yield Check(
                subject,
                relative <= tolerance,
                f"{detail}, tolerance {tolerance:.0e}; written by {_describe(source.manifest['versions'])}",
            )


def _check_statistics(source: GeneratedSource, folder: Path) -> Check:
    stated, found = source.stored_statistics(), compute_statistics(source)
    pairs = [(np.array(row), np.array(getattr(stated, key))) for key, row in found.to_dict().items()]
    scale = np.array(found.rms)
    worst = max(float((np.abs(a - b) / scale).max()) for a, b in pairs)
    if worst > CLOSE:
        return Check("statistics", False, f"the manifest's differ from those of the training split by {worst:.1e}")
    path = folder / STATISTICS
    if not path.is_file() or path.read_text() != to_yaml(stated, source.metadata.channels):
        return Check("statistics", False, f"{path} is missing or differs from the manifest")
    return Check("statistics", True, "recomputed from the training split")


def _check_certificate(source: GeneratedSource, recipe: Recipe) -> Check:
    stated = source.manifest["certificate"]
    if stated is None:
        return Check("certificate", True, "none was asked for")
    with single_thread():
        found = certify_recipe(recipe)
    if found is None:
        return Check("certificate", False, "the recipe asks for none, the manifest holds one")
    for name, a, b in _numbers(stated, found.to_dict()):
        if not abs(a - b) <= 0.1 * max(abs(a), abs(b)) + CLOSE and a != b:
            return Check("certificate", False, f"{name} is {b:.2e}, the manifest says {a:.2e}")
    return Check("certificate", True, summary(found))


def _numbers(stated: dict[str, Any], found: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Errors that were stated, which in datasets of older versions are fewer, with those found now."""
    for key in ("step_error", "grid_error", "spectral_tail"):
        yield key, stated[key], found[key]
    for name, error in stated.get("budget_error", {}).items():
        yield f"budget_error of {name}", error, found["budget_error"].get(name, float("inf"))


def _describe(found: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in found.items())

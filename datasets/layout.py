"""Names, attributes and hashes of the layout that we write: The Well's, plus a `provenance` group and a manifest.

<name>/data/{train,valid,test}/<name>_0000.hdf5    trajectories
<name>/stats.yaml                                  The Well's statistics of the training split
<name>/manifest.json                               recipe, hashes, statistics, certificate; written last
<name>/.partial/                                   finished blocks while a generation is under way
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .files import DatasetError

FORMAT = "rollwave-dataset"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
STATISTICS = "stats.yaml"
PARTIAL = ".partial"
DIMENSIONS = ("x", "y", "z")
FIELD_GROUPS = ("t0_fields", "t1_fields", "t2_fields")
ROOT_GROUPS = ("dimensions", "boundary_conditions", "scalars", *FIELD_GROUPS)
CHUNK_FRAMES = 8


class ForeignManifestError(DatasetError):
    """A manifest of another program: nothing of ours to read, continue or discard."""


def shard_path(folder: Path, name: str, split: str, number: int) -> Path:
    """Where shard `number` of a split lies."""
    return folder / "data" / split / f"{name}_{number:04d}.hdf5"


def chunks(frames: int, space: tuple[int, ...]) -> tuple[int, ...]:
    """Chunks of a field `[trajectory, time, *space]`: what one training window reads."""
    return (1, min(CHUNK_FRAMES, frames), *space)


def trajectory_hash(values: np.ndarray) -> str:
    """SHA-256 of the little-endian float32 bytes of `[time, channel, *space]`."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f4").data).hexdigest()


def combined_hash(hashes: Iterable[str]) -> str:
    """SHA-256 of hashes in order: the same for the same trajectories, however they are cut into files."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, so that equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=True)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished dataset; None where there is none.

    Raises:
        DatasetError: there is a file of that name that is not our manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DatasetError(
            f"{path}: expected JSON ({error}); generate the dataset again with overwrite=true"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ForeignManifestError(
            f"{path}: expected a manifest with format '{FORMAT}'; name another folder with dataset.name=... or move "
            "this one away"
        )
    if manifest.get("format_version") != FORMAT_VERSION:
        raise DatasetError(
            f"{path}: expected format_version {FORMAT_VERSION}, got {manifest.get('format_version')}; "
            "read it with the version of rollwave that wrote it, or generate it again with overwrite=true"
        )
    return manifest

"""From a recipe to a finished dataset, in steps each of which survives a kill at any moment.

Blocks are computed into `.partial/`, shards assembled from them, the manifest written last. Every file appears by a
rename, so whatever exists is whole, and running the same recipe again does what is still missing.
"""

import errno
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from .blocks import GenerationError, find_block, load_block, single_thread, store_blocks
from .certificate import Certificate, CertificateError, accept, certify_recipe, summary
from .files import DatasetError
from .finish import shard_indices, shard_is_sound, write_manifest
from .generated import GeneratedSource
from .layout import PARTIAL, ForeignManifestError, canonical_json, read_manifest, shard_path
from .metadata import SPLITS
from .recipe import Recipe
from .workplace import abandon, claim, finish_reset, locked, refuse_difference
from .writer import atomic_write, shard_image

log = logging.getLogger(__name__)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CERTIFICATE = "certificate.json"


def ensure_dataset(recipe: Recipe, root: str | Path, *, workers: int | None = None, overwrite: bool = False) -> Path:
    """The folder `root / recipe.name` of the finished dataset, generated or finished first where needed.

    Processes that ask for the same dataset at the same time wait for one another.

    Args:
        workers: processes; None for one per core where there is enough to do. They change no byte.
        overwrite: discard the dataset that the folder holds.

    Raises:
        ValueError: the folder holds something else; names the keys that differ.
        CertificateError: the truth misses the tolerance that the recipe sets.
        GenerationError: a trajectory stopped being finite, or two are equal.
        OSError: the disk is full; what was finished is kept.
    """
    folder = Path(root) / recipe.name
    with locked(folder):
        finish_reset(folder)
        try:
            manifest = read_manifest(folder)
        except ForeignManifestError:
            raise
        except DatasetError:
            # One of ours that cannot be read is what overwrite is for.
            if not overwrite:
                raise
            manifest = None
        if manifest is not None and not overwrite:
            refuse_difference(manifest["recipe"], recipe, folder)
            # Raises where a file is not of the size that the manifest states.
            GeneratedSource(folder, manifest)
            shutil.rmtree(folder / PARTIAL, ignore_errors=True)
            log.info("dataset %s is complete", folder)
            return folder
        try:
            _generate(recipe, folder, workers, overwrite)
        except (CertificateError, GenerationError):
            abandon(folder)
            raise
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise OSError(
                error.errno,
                f"no space left; finished blocks are kept in {folder / PARTIAL}: free some space and run the same "
                "command again",
                error.filename,
            ) from error
    return folder


def _generate(recipe: Recipe, folder: Path, workers: int | None, overwrite: bool) -> None:
    partial = folder / PARTIAL
    # A recipe of which nothing was finished, whatever stopped it, keeps its name from no other.
    state = claim(recipe, folder, overwrite or not _anything_finished(folder))
    provenance = {"versions": state["versions"], "certificate": _certificate(recipe, partial), **recipe.words()}
    missing = [
        (split, number)
        for split in SPLITS
        for number in range(len(shard_indices(recipe, split)))
        if not shard_is_sound(recipe, folder, split, number)
    ]
    wanted = sorted({(split, b) for split, n in missing for b in _blocks_of(recipe, split, n)}, key=_order)
    files = {key: path for key in wanted if (path := find_block(recipe, *key, partial)) is not None}
    tasks = [key for key in wanted if key not in files]
    size = 4 * np.prod(recipe.stored_points) * len(recipe.build_equation().channels)
    size *= sum(recipe.count(split) * recipe.frames_of(split) for split in SPLITS)
    log.info(
        "generating %s: %d trajectories, %.1f MB, %d blocks to compute, %d found",
        folder, sum(map(recipe.count, SPLITS)), size / 1e6, len(tasks), len(files),
    )  # fmt: skip
    missing = _assemble(recipe, folder, missing, files, provenance)
    for done, (key, path) in enumerate(zip(tasks, store_blocks(recipe, tasks, partial, workers), strict=True), 1):
        files[key] = path
        missing = _assemble(recipe, folder, missing, files, provenance)
        if done % max(1, len(tasks) // 5) == 0:
            log.info("block %d of %d", done, len(tasks))
    write_manifest(recipe, folder, provenance)
    shutil.rmtree(partial)
    log.info("dataset %s is complete", folder)


def _anything_finished(folder: Path) -> bool:
    """Whether the folder holds a manifest, a shard, a block or anything else that is not the start of a generation."""
    strange = {path.name for path in folder.iterdir()} - {PARTIAL, "data"}
    files = any(path.is_file() for path in (folder / "data").rglob("*"))
    return bool(strange) or files or any((folder / PARTIAL).glob("*.block"))


def _assemble(
    recipe: Recipe,
    folder: Path,
    missing: list[tuple[str, int]],
    files: dict[tuple[str, int], Path],
    provenance: dict[str, Any],
) -> list[tuple[str, int]]:
    """Write the shards whose blocks are all there, drop blocks no shard waits for; returns what is still missing."""
    ready = [(split, n) for split, n in missing if all((split, b) in files for b in _blocks_of(recipe, split, n))]
    for split, number in ready:
        indices = shard_indices(recipe, split)[number]
        blocks = {b: load_block(recipe, split, files[split, b]) for b in _blocks_of(recipe, split, number)}
        rows = [blocks[index // recipe.block][index % recipe.block] for index in indices]
        image = shard_image(recipe, split, indices.start, rows, provenance)
        path = shard_path(folder, recipe.name, split, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, image, folder / PARTIAL / f"{path.name}.{os.getpid()}.tmp")
    if ready:
        missing = [key for key in missing if key not in ready]
        needed = {(split, b) for split, n in missing for b in _blocks_of(recipe, split, n)}
        for key in [key for key in files if key not in needed]:
            files.pop(key).unlink()
    return missing


def _blocks_of(recipe: Recipe, split: str, number: int) -> range:
    indices = shard_indices(recipe, split)[number]
    return range(indices.start // recipe.block, (indices.stop - 1) // recipe.block + 1)


def _order(key: tuple[str, int]) -> tuple[int, int]:
    return SPLITS.index(key[0]), key[1]


def _certificate(recipe: Recipe, partial: Path) -> dict[str, Any] | None:
    """The certificate, measured once; raises if the truth misses its tolerance."""
    path = partial / CERTIFICATE
    if path.is_file():
        stored = json.loads(path.read_text())
        certificate = None if stored is None else Certificate.from_dict(stored)
    else:
        with single_thread():
            certificate = certify_recipe(recipe)
        text = canonical_json(None if certificate is None else certificate.to_dict())
        atomic_write(path, text.encode(), partial / f"{CERTIFICATE}.{os.getpid()}.tmp")
    if certificate is not None:
        log.info("certificate of %s: %s", recipe.name, summary(certificate))
    for warning in accept(certificate, recipe):
        log.warning("%s", warning)
    return None if certificate is None else certificate.to_dict()

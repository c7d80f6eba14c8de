"""The folder under generation: who holds it, what it was begun with, how it is emptied. A kill anywhere is harmless."""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .finish import differing_keys
from .layout import MANIFEST, PARTIAL, STATISTICS, canonical_json
from .provenance import versions
from .recipe import Recipe
from .writer import atomic_write

log = logging.getLogger(__name__)
STATE, DISCARD = "state.json", "discard"


def claim(recipe: Recipe, folder: Path, overwrite: bool) -> dict[str, Any]:
    """The state of the generation under way in the folder, a new one if there is none or if it came from other code."""
    partial, wanted = folder / PARTIAL, {"recipe": recipe.to_dict(), "versions": versions()}
    path = partial / STATE
    finished = (folder / MANIFEST).is_file()
    if path.is_file() and not finished:
        state = json.loads(path.read_text())
        if not overwrite:
            refuse_difference(state["recipe"], recipe, folder)
        if state == wanted:
            _remove_temporary(folder)
            return wanted
        log.warning("%s was begun by another recipe, version or machine; starting over", folder)
    elif not finished and set(os.listdir(folder)) - {PARTIAL}:
        raise ValueError(
            f"{folder}: holds {sorted(os.listdir(folder))[:5]}, but no dataset that we generated; "
            "name another folder with dataset.name=... or move it away"
        )
    _reset(folder)
    atomic_write(path, canonical_json(wanted).encode(), partial / f"{STATE}.{os.getpid()}.tmp")
    return wanted


def _reset(folder: Path) -> None:
    """Empty the folder; a kill on the way leaves a mark by which the next run finishes the job."""
    (folder / PARTIAL).mkdir(exist_ok=True)
    (folder / PARTIAL / DISCARD).touch()
    finish_reset(folder)


def finish_reset(folder: Path) -> None:
    """Do what is left of a reset that was killed."""
    mark = folder / PARTIAL / DISCARD
    if not mark.exists():
        return
    for path in (folder / MANIFEST, folder / STATISTICS, *(p for p in (folder / PARTIAL).iterdir() if p != mark)):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "data", ignore_errors=True)
    mark.unlink()


def abandon(folder: Path) -> None:
    """Leave nothing of a generation whose recipe turned out not to work, so a corrected one finds the name free."""
    _reset(folder)
    (folder / PARTIAL).rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove_temporary(folder: Path) -> None:
    """Remove what a killed process was writing."""
    for path in (folder / PARTIAL).glob("*.tmp"):
        path.unlink(missing_ok=True)


def refuse_difference(found: dict[str, Any], recipe: Recipe, folder: Path) -> None:
    """Raise `ValueError` if the folder was made from another recipe, naming the keys that differ.

    A recipe of an older version means by a key that it lacks what that key is by default.
    """
    with contextlib.suppress(ValueError):
        found = Recipe.from_dict(found).to_dict()
    differing = differing_keys(found, recipe.to_dict())
    if differing:
        rows = "\n".join(f"  {key}: {there!r} there, {asked!r} asked" for key, (there, asked) in differing.items())
        raise ValueError(
            f"{folder} holds a dataset made from another recipe:\n{rows}\n"
            "give this one another name (dataset.name=...), or discard that one with overwrite=true"
        )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, made where there is none; the system lets go when the process ends. Without `fcntl` there is no
    such lock.
    """
    try:
        import fcntl
    except ImportError:
        folder.mkdir(parents=True, exist_ok=True)
        yield
        return
    while True:
        # Who held it before may have removed it (see `abandon`), at any moment.
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("another process is generating %s; waiting for it", folder)
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _stands(folder, handle):
                yield
                return
        finally:
            os.close(handle)


def _stands(folder: Path, handle: int) -> bool:
    """Whether an open folder is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False

"""HDF5 files that stay shut until they are read: opened per process, few at a time, with errors that name the file."""

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

OPEN_FILES = 32


class DatasetError(ValueError):
    """A file or folder that is not what a reader needs: says which one, where in it, and what was expected."""


def open_hdf5(path: str | Path) -> h5py.File:
    """Open a file for reading, without a lock, so that read-only file systems serve too.

    Raises:
        DatasetError: the file is missing, truncated, or no HDF5 file.
    """
    if not os.path.isfile(path):
        raise DatasetError(f"{path}: no such file; expected an HDF5 file")
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        size = os.path.getsize(path)
        kind = "is truncated" if "truncated" in str(error) else "is no readable HDF5 file"
        raise DatasetError(
            f"{path}: {kind} ({size} bytes; HDF5 says: {error}); expected a complete HDF5 file. "
            "Copy, download or generate it again."
        ) from error


def require(group: h5py.Group, name: str, kind: type = h5py.Dataset) -> Any:
    """The member `name` of a group.

    Raises:
        DatasetError: it is missing or of another kind; names file, group and what is there.
    """
    noun = "dataset" if kind is h5py.Dataset else "group"
    if name not in group:
        where = f"{group.file.filename}: group '{group.name}'"
        raise DatasetError(f"{where} has no {noun} '{name}'; found {sorted(group) or 'nothing'}")
    member = group[name]
    if not isinstance(member, kind):
        where = f"{group.file.filename}: group '{group.name}'"
        raise DatasetError(f"{where}: expected '{name}' to be a {noun}, got a {type(member).__name__.lower()}")
    return member


def attribute(owner: h5py.Group | h5py.Dataset, name: str) -> Any:
    """The attribute `name`, or a `DatasetError` that says which object lacks it."""
    if name not in owner.attrs:
        raise DatasetError(
            f"{owner.file.filename}: '{owner.name}' has no attribute '{name}'; found {sorted(owner.attrs) or 'none'}"
        )
    return owner.attrs[name]


class FilePool:
    """Open files of this process, the least recently used one closed beyond `limit`.

    Handles are never carried into another process: a pickled pool arrives empty, and a forked one drops what it
    inherited.

    Args:
        check: called once with each file that is opened; raises if it is the wrong one.
        limit: files open at the same time.
    """

    def __init__(self, check: Callable[[h5py.File], None] | None = None, *, limit: int = OPEN_FILES) -> None:
        self.check = check
        self.limit = limit
        self._pid = os.getpid()
        self._open: OrderedDict[str, h5py.File] = OrderedDict()

    def get(self, path: str) -> h5py.File:
        """The open file."""
        if self._pid != os.getpid():
            self._pid, self._open = os.getpid(), OrderedDict()
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        file = open_hdf5(path)
        if self.check is not None:
            try:
                self.check(file)
            except BaseException:
                file.close()
                raise
        self._open[path] = file
        while len(self._open) > self.limit:
            self._open.popitem(last=False)[1].close()
        return file

    def close(self) -> None:
        """Close every file that this process opened."""
        if self._pid == os.getpid():
            for file in self._open.values():
                file.close()
        self._open.clear()

    def __len__(self) -> int:
        return len(self._open)

    def __getstate__(self) -> dict[str, Any]:
        return {"check": self.check, "limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["check"], limit=state["limit"])  # type: ignore[misc]

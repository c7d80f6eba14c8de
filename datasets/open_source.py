"""From a path to its reader."""

from pathlib import Path

import h5py

from .files import DatasetError, open_hdf5
from .generated import GeneratedSource
from .layout import MANIFEST, PARTIAL
from .pdebench import PDEBenchSource, is_pdebench
from .source import Source
from .well import WellSource, split_files

EXPECTED = (
    f"a generated dataset ({MANIFEST}), a folder in The Well's layout (data/train/*.hdf5), or a PDEBench file "
    "('tensor', or 'density', 'pressure', 'Vx', ..., or a group per sample with 'data')"
)


def open_source(path: str | Path) -> Source:
    """The reader of a dataset, found from what lies at `path`.

    Raises:
        DatasetError: nothing there, an unfinished generation, or an unknown format; lists what was looked for.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder; expected {EXPECTED}")
    if path.is_dir():
        return _open_folder(path)
    with open_hdf5(path) as file:
        if "dimensions" in file and "t0_fields" in file:
            raise DatasetError(
                f"{path}: a file in The Well's layout; give the folder that holds its data/train instead"
            )
        if not is_pdebench(file):
            raise DatasetError(f"{path}: group '/' holds {_listing(file)}; expected {EXPECTED}")
    return PDEBenchSource(path)


def _open_folder(folder: Path) -> Source:
    if (folder / MANIFEST).exists():
        return GeneratedSource(folder)
    if (folder / PARTIAL).is_dir():
        raise DatasetError(
            f"{folder}: its generation was interrupted; run the same generate.py command again to finish it"
        )
    if split_files(folder):
        return WellSource(folder)
    files = sorted([*folder.glob("*.hdf5"), *folder.glob("*.h5")])
    if len(files) == 1:
        return open_source(files[0])
    found = sorted(entry.name for entry in folder.iterdir())[:8]
    raise DatasetError(f"{folder}: holds {found or 'nothing'}; expected {EXPECTED}")


def _listing(file: h5py.File) -> str:
    return str(sorted(file)[:8]) if len(file) else "nothing"

"""Finds the emulator in whatever a user calls a checkpoint."""

from pathlib import Path

from rollwave.operators import Emulator

FOLDER_WEIGHTS = "model.safetensors"


def load_emulator(checkpoint: str | Path) -> Emulator:
    """The emulator in a folder that `save_pretrained` wrote, in a `.ckpt` file of `train.py`, in its run's folder, or
    on the Hugging Face hub.

    A run's folder gives its exported emulator, else its best checkpoint, else its last. A name that is no path here and
    looks like `owner/name` is looked up on the hub.

    Raises:
        FileNotFoundError: none of these is there; says where it looked.
    """
    path = Path(checkpoint)
    if path.is_file() and path.name != FOLDER_WEIGHTS:
        return Emulator.from_checkpoint(path)
    if path.is_file():
        return Emulator.from_pretrained(path.parent)
    for folder in (path, path / "emulator"):
        if (folder / FOLDER_WEIGHTS).is_file():
            return Emulator.from_pretrained(folder)
    for file in (path / "checkpoints" / "best.ckpt", path / "checkpoints" / "last.ckpt"):
        if file.is_file():
            return Emulator.from_checkpoint(file)
    if not path.exists() and not path.is_absolute() and len(path.parts) == 2 and path.suffix == "":
        if path.parent.exists():
            raise FileNotFoundError(f"checkpoint={checkpoint}: no such folder in {path.parent.resolve()}")
        return Emulator.from_pretrained(str(checkpoint))
    found = "holds none of them" if path.exists() else "does not exist"
    raise FileNotFoundError(
        f"checkpoint={checkpoint} {found}: expected a .ckpt file, a folder with {FOLDER_WEIGHTS}, "
        "or a run's folder with emulator/ or checkpoints/"
    )

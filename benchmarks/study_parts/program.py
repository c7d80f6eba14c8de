"""`train.py` as a module, its config composed, and the width at which a network has a given size."""

import functools
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).resolve().parent.parent.parent
os.environ.setdefault("ROLLWAVE_ROOT", str(ROOT))
LARGEST = 256
# Parts of a config that say where things lie, or how they are logged.
PLACES = ("folder", "paths", "callbacks", "logger", "ckpt_path", "name", "evaluate", "compile", "hydra")


@functools.cache
def program() -> ModuleType:
    """`train.py`."""
    spec = importlib.util.spec_from_file_location("train", ROOT / "train.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"expected {ROOT / 'train.py'}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def composed(overrides: list[str] | tuple[str, ...], data: Path, folder: Path) -> DictConfig:
    """The config of `train.py`, with datasets under `data` and the run in `folder`."""
    places = [f"folder='{folder}'", f"paths.data='{data}'", f"paths.logs='{folder}'"]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", overrides=[*overrides, *places])


def told(cfg: DictConfig) -> dict[str, Any]:
    """A config as plain values, without places."""
    kept = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in PLACES])
    plain: Any = OmegaConf.to_container(kept, resolve=False)
    plain["data"].pop("folder")
    return dict(plain)


def parameters(cfg: DictConfig, channels: int, dimensions: int) -> int:
    """True parameters of the operator of a config, on fields of so many channels and axes."""
    shape: dict[str, int] = {"in_channels": cfg.history * channels, "out_channels": channels}
    if "dimensions" in cfg.operator and cfg.operator.dimensions is None:
        shape["dimensions"] = dimensions
    network = instantiate(cfg.operator, **shape, _convert_="all")
    return sum(parameter.numel() for parameter in network.parameters())


def matched_width(
    target: int, cfg: DictConfig, widths: Sequence[str], *, multiple: int, channels: int, dimensions: int
) -> int:
    """The width whose number of parameters is nearest to `target`, which grows with the width.

    Args:
        cfg: the config, whatever its width.
        widths: `key={width}`, what a width sets.
        multiple: of which the width must be one.
    """

    @functools.cache
    def size(number: int) -> int:
        filled = [text.format(width=multiple * number) for text in widths]
        changed: Any = OmegaConf.merge(cfg, OmegaConf.from_dotlist(filled))
        return parameters(changed, channels, dimensions)

    low, high = 1, LARGEST // multiple
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) <= target else (low, middle)
    return multiple * min((low, high), key=lambda number: abs(size(number) - target))

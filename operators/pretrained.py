"""Emulators as files: safetensors for weights, JSON for the recipe, a card for people. No file can make code run."""

import json
import os
import pickle
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from .card import card
from .metadata import version_differences

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
Network = TypeVar("Network", bound=nn.Module)


def save(folder: str | Path, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Write the three files. The weights carry the config too: their single rename is the moment the save happens."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2) + "\n"
    # A clone each: some of neuraloperator's layers hold one tensor under two names, which the format refuses.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    parameters = sum(value.numel() for name, value in tensors.items() if not name.startswith("normalizer."))
    weights = safetensors.torch.save(tensors, metadata={"format": "pt", "rollwave": json.dumps(config)})
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as temporary:
        contents = {WEIGHTS: weights, CONFIG: text.encode(), CARD: card(folder.name, config, parameters).encode()}
        for name, content in contents.items():
            with open(Path(temporary) / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name in contents:
            os.replace(Path(temporary) / name, folder / name)


def load(name: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and weights from a local folder or from the hub."""
    folder = Path(name) if Path(name).is_dir() else _download(str(name))
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{folder} has no {WEIGHTS}; expected a folder written by Emulator.save_pretrained")
    try:
        with safetensors.safe_open(weights, framework="pt") as file:
            embedded = (file.metadata() or {}).get("rollwave")
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except safetensors.SafetensorError as error:
        raise ValueError(f"{weights} is not a readable safetensors file, perhaps cut short: {error}") from None
    config = _read_config(folder / CONFIG, embedded)
    return config, state


def _read_config(path: Path, embedded: str | None) -> dict[str, Any]:
    """The recipe inside the weights, which cannot be of another save; `config.json` for weights that carry none."""
    if not path.is_file() and embedded is None:
        raise FileNotFoundError(f"{path.parent} has no {CONFIG}; expected a folder written by Emulator.save_pretrained")
    try:
        beside = json.loads(path.read_text()) if path.is_file() else None
    except json.JSONDecodeError as error:
        if embedded is None:
            raise ValueError(f"{path} is not valid JSON: {error}") from None
        beside = None
    config: dict[str, Any] = json.loads(embedded) if embedded is not None else beside  # type: ignore[assignment]
    if beside != config:
        warnings.warn(
            f"{path} is not the config that {WEIGHTS} was saved with; using the one inside the weights", stacklevel=5
        )
    return config


def _download(repository: str) -> Path:
    """The hub's copy of a repository."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, allow_patterns=[WEIGHTS, CONFIG, CARD]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(
            f"{repository} is neither a folder nor a hub repository that can be read: {error}"
        ) from None


def read_checkpoint(path: str | Path, map_location: Any = "cpu", *, weights_only: bool = True) -> dict[str, Any]:
    """What a file of `torch.save` holds.

    Raises:
        ValueError: it is cut short, another kind of file, or holds more than tensors and plain data.
    """
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=weights_only)
    except (FileNotFoundError, PermissionError):
        raise
    # Bytes that are no pickle raise almost anything: KeyError, IndexError, EOFError, OSError, ...
    except Exception as error:
        # The message of an UnpicklingError advises to load it unsafely.
        said = "" if isinstance(error, pickle.UnpicklingError) else str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{path} is no checkpoint of tensors and plain data, or was cut short ({os.path.getsize(path)} bytes), and "
            f"is not loaded: expected a .ckpt file of train.py ({type(error).__name__}{said and ': '}{said})"
        ) from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{path} holds a {type(checkpoint).__name__}; expected a .ckpt file of train.py")
    return checkpoint


def load_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and weights, averaged ones first, from a training checkpoint; unpickles nothing but plain data."""
    checkpoint = read_checkpoint(path)
    recorded = checkpoint.get("hyper_parameters", {})
    if "emulator" not in recorded:
        raise ValueError(
            f"{path} holds no emulator: its hyper_parameters are {sorted(recorded)}; "
            f"expected a .ckpt file of train.py, or a folder with {WEIGHTS}"
        )
    prefix, state = "emulator.", checkpoint.get("ema_state_dict") or checkpoint["state_dict"]
    # torch.compile puts a name of its own into the keys.
    ours = {
        key.removeprefix(prefix).replace("_orig_mod.", ""): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    return recorded["emulator"], ours


def filled(network: Network, config: Mapping[str, Any], state: Mapping[str, Tensor], *, source: str) -> Network:
    """The emulator of `config` with its weights, ready to step; warns where other versions made them.

    Raises:
        ValueError: the weights are of another emulator.
    """
    try:
        in_saved_precision(network, state)
        network.load_state_dict(state)
    except RuntimeError as error:
        first, *others = str(error).split("\n\t")[1:]
        raise ValueError(f"the weights in {source} do not fit its config ({len(others)} more): {first}") from None
    warn_about_versions(config, source)
    return network.eval()


def in_saved_precision(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give every parameter and buffer the precision of its saved value, so that loading, which copies, rounds nothing.

    Assigned instead of copied, parameters that modules share would part.
    """
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        tensor.data = tensor.data.to(state.get(name, tensor).dtype)


def warn_about_versions(config: Mapping[str, Any], source: str) -> None:
    """One warning that names every package that matters here and has another version."""
    foreign = config["network"]["_target_"].endswith(".NeuralOperatorModel")
    packages = {"rollwave", "torch", "neuraloperator"} if foreign else {"rollwave", "torch"}
    if differences := version_differences(config["metadata"].get("versions", {}), packages):
        warnings.warn(f"{source} was made with " + "; ".join(differences), stacklevel=4)

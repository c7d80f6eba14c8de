"""Whether a checkpoint belongs to the run that wants to resume it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from torch import nn


def recipe_of(thing: Any) -> dict[str, Any]:
    """Class and fields of a frozen dataclass, and of those inside it, or `config` of a module, as plain data."""
    if isinstance(thing, nn.Module):
        return {"name": type(thing).__name__, **thing.config}  # type: ignore[dict-item]
    fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    return {"name": type(thing).__name__, **{field.name: _plain(getattr(thing, field.name)) for field in fields}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return recipe_of(value) if dataclasses.is_dataclass(value) else value


def check_resumable(checkpoint: Mapping[str, Any], hyper_parameters: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another operator or another equation; warn, by name, of all else that differs.

    Raises:
        ValueError: naming every difference that forbids to go on.
    """
    saved = checkpoint.get("hyper_parameters", {})
    if "emulator" not in saved:
        raise ValueError("the checkpoint holds no emulator: ckpt_path takes a checkpoint that train.py wrote")
    then, now = _decisive(saved["emulator"]), _decisive(hyper_parameters["emulator"])
    if wrong := _differences(then, now):
        raise ValueError(
            "the checkpoint is of another emulator than this run configures: " + "; ".join(wrong) + ". "
            "Resume with the settings of its own run (.hydra/config.yaml in its folder), or start without ckpt_path"
        )
    then, now = _informative(saved), _informative(hyper_parameters)
    if notes := _differences(then, now):
        rank_zero_warn("resuming although the checkpoint differs from this run: " + "; ".join(notes))


def _decisive(emulator: Mapping[str, Any]) -> dict[str, Any]:
    metadata = emulator["metadata"]
    return {
        **{f"operator.{key}": value for key, value in emulator["network"].items()},
        **{key: emulator[key] for key in ("history", "residual")},
        **{key: emulator.get(key) for key in ("symmetry", "conserve", "conditions")},
        **{key: metadata[key] for key in ("equation", "channels", "interval")},
    }


def _informative(hyper_parameters: Mapping[str, Any]) -> dict[str, Any]:
    metadata = hyper_parameters["emulator"]["metadata"]
    own = {key: value for key, value in hyper_parameters.items() if key != "emulator"}
    versions = {f"{package}'s version": version for package, version in metadata["versions"].items()}
    return {**own, **{key: metadata[key] for key in ("data_hash", "points", "lengths")}, **versions}


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {then.get(key)!r} in the checkpoint and {now.get(key)!r} here"
        for key in dict.fromkeys([*then, *now])
        if then.get(key) != now.get(key)
    ]

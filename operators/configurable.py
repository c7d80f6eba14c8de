"""Operators remember how they were built, as plain data, so that a file can hold their recipe next to their weights."""

import functools
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from torch import nn

PREFIX = "rollwave.operators."
Operator = TypeVar("Operator", bound=nn.Module)


def configurable(cls: type[Operator]) -> type[Operator]:
    """`module.config` will hold `_target_` and every constructor argument, with defaults, as plain data."""
    construct = cls.__init__
    signature = inspect.signature(construct)

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        construct(self, *args, **kwargs)
        arguments = {name: plain(value) for name, value in list(bound.arguments.items())[1:]}
        self.config = {"_target_": PREFIX + cls.__name__, **arguments}

    cls.__init__ = __init__  # type: ignore[method-assign]
    return cls


def plain(value: Any) -> Any:
    """`value` as None, bool, int, float, str, list and dict; a configurable module becomes its own recipe."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, nn.Module) and "config" in vars(value):
        return plain(value.config)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    raise TypeError(f"arguments of an operator must be numbers, strings, lists, mappings or operators, got {value!r}")


def build(config: Mapping[str, Any]) -> nn.Module:
    """The module that a recipe describes. Whatever it says, only operators exported by this package are constructed."""
    target = str(config.get("_target_", ""))
    package = importlib.import_module(__package__)
    legal = [name for name in package.__all__ if name not in {"Emulator", "EmulatorMetadata", "Normalizer"}]
    if target.removeprefix(PREFIX) not in legal or not target.startswith(PREFIX):
        raise ValueError(f"_target_ must be one of {[PREFIX + name for name in legal]}, got {target!r}")
    arguments = {
        key: build(value) if isinstance(value, Mapping) and "_target_" in value else value
        for key, value in config.items()
        if key != "_target_"
    }
    operator: nn.Module = getattr(package, target.removeprefix(PREFIX))(**arguments)
    return operator

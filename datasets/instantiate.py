"""Objects of `rollwave.solvers` from plain values and back: what a data file needs to rebuild its equation."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

PACKAGE = "rollwave.solvers"
TARGET = "_target_"


def locate(target: Any, key: str = TARGET) -> type:
    """The class of a dotted name.

    Raises:
        ValueError: it is no class defined in `rollwave.solvers`: a data file may name nothing else.
    """
    module, _, name = str(target).rpartition(".")
    if module != PACKAGE and not module.startswith(PACKAGE + "."):
        raise ValueError(
            f"{key} must be a class of {PACKAGE} by its full name, {PACKAGE}.<class>; got {target!r}. "
            f"The classes are {', '.join(public_classes())}"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{PACKAGE} has no {target!r}; it has {', '.join(public_classes())}") from error
    if not isinstance(found, type) or not found.__module__.startswith(PACKAGE + "."):
        raise ValueError(f"{key} must be a class of {PACKAGE}, got {target!r}")
    return found


def public_classes() -> list[str]:
    """Names of the classes that `rollwave.solvers` exports."""
    package = importlib.import_module(PACKAGE)
    return sorted(name for name in package.__all__ if isinstance(getattr(package, name), type))


def instantiate(config: Any) -> Any:
    """Values as they are, lists as tuples, mappings with `_target_` as objects of that class."""
    if isinstance(config, list | tuple):
        return tuple(instantiate(value) for value in config)
    if not isinstance(config, Mapping):
        return config
    if TARGET not in config:
        raise ValueError(f"expected a key {TARGET} that names a class of {PACKAGE}, got keys {sorted(config)}")
    cls = locate(config[TARGET])
    arguments = {key: instantiate(value) for key, value in config.items() if key != TARGET}
    legal = list(inspect.signature(cls).parameters)
    unknown = sorted(set(arguments) - set(legal))
    if unknown:
        raise ValueError(f"{cls.__name__} has no argument {unknown}; it takes {legal}")
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(f"{cls.__name__}({arguments}): {error}; it takes {legal}") from error


def class_name(cls: type) -> str:
    """The dotted name from which `locate` finds a class, the public one where there is one."""
    package = importlib.import_module(PACKAGE)
    if getattr(package, cls.__name__, None) is cls:
        return f"{PACKAGE}.{cls.__name__}"
    return f"{cls.__module__}.{cls.__name__}"


def describe(value: Any) -> Any:
    """The plain values from which `instantiate` builds an equal object, defaults spelled out."""
    if is_dataclass(value) and not isinstance(value, type):
        arguments = {item.name: describe(getattr(value, item.name)) for item in fields(value) if item.init}
        return {TARGET: class_name(type(value)), **arguments}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"a recipe holds numbers, strings and dataclasses of {PACKAGE}, got {type(value).__name__}")


def checked_values(cls: Any, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values as arguments of a dataclass.

    Raises:
        ValueError: a key is unknown or missing, or a value of the wrong type; lists the legal keys.
    """
    legal = {item.name: item for item in fields(cls)}
    unknown = sorted(set(values) - set(legal))
    if unknown:
        raise ValueError(f"unknown recipe keys {[prefix + key for key in unknown]}; legal ones are {sorted(legal)}")
    required = {k for k, item in legal.items() if item.default is MISSING and item.default_factory is MISSING}
    missing = sorted(required - {key for key, value in values.items() if value is not None})
    if missing:
        raise ValueError(f"the recipe lacks {[prefix + key for key in missing]}")
    return {key: _number(prefix + key, value, legal[key].type) for key, value in values.items()}


def _number(key: str, value: Any, kind: Any) -> Any:
    """A whole number where a float is meant becomes one, so that equal recipes have equal bytes."""
    if kind in (float, float | None) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kinds = {int: int, float: float, int | None: int, float | None: float, str: str, str | None: str}
    wanted = kinds.get(kind)
    if wanted is not None and value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
        raise ValueError(f"{key} must be of type {wanted.__name__}, got {value!r}")
    return value

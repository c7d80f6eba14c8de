"""What an emulator was trained on, and with which software."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Collection, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class EmulatorMetadata:
    """The data and the versions behind an emulator.

    Attributes:
        equation: name of the equation, as in `rollwave.solvers`.
        channels: names of the channels, in order.
        points: grid points an axis of the training data; other grids may be used where the network allows them.
        lengths: physical lengths of the axes.
        interval: physical time of one step.
        data_hash: content hash of the training data, empty if unknown.
        versions: of Python and of the packages that decide what the emulator computes.
    """

    equation: str
    channels: tuple[str, ...]
    points: tuple[int, ...]
    lengths: tuple[float, ...]
    interval: float
    data_hash: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=lambda: package_versions())

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(str(name) for name in self.channels))
        object.__setattr__(self, "points", tuple(int(N) for N in self.points))
        object.__setattr__(self, "lengths", tuple(float(L) for L in self.lengths))
        object.__setattr__(self, "interval", float(self.interval))
        object.__setattr__(self, "versions", {str(key): str(value) for key, value in self.versions.items()})
        if not self.channels or not self.points or len(self.points) != len(self.lengths):
            raise ValueError(
                "metadata needs channel names, and one number of points and one length for each space axis, "
                f"got channels {self.channels}, points {self.points}, lengths {self.lengths}"
            )
        if not self.interval > 0:
            raise ValueError(f"interval must be a positive physical time, got {self.interval}")

    @property
    def dimensions(self) -> int:
        return len(self.points)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-like data."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()} | {
            "versions": dict(self.versions)
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "EmulatorMetadata":
        legal = [field.name for field in dataclasses.fields(cls)]
        if unknown := set(fields) - set(legal):
            raise ValueError(f"unknown metadata {sorted(unknown)}; legal fields are {legal}")
        return cls(**fields)


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what an emulator computes."""
    versions = {"python": platform.python_version()}
    for package in ("rollwave", "torch", "neuraloperator"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def version_differences(saved: Mapping[str, str], packages: Collection[str]) -> list[str]:
    """Which packages run another version than `saved` names, build tags aside: `torch 2.11.0, running 2.13.0`."""
    running = package_versions()
    return [
        f"{package} {version}, running {running.get(package, 'none')}"
        for package, version in saved.items()
        if package in packages and version.split("+")[0] != running.get(package, "none").split("+")[0]
    ]

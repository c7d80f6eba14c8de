"""Everything that decides the trajectories of a dataset, in one value that fits into a file."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rollwave.solvers import Equation, Grid, InitialCondition, Stepper
from rollwave.solvers.steps import steps_in

from .certificate_recipe import CertificateRecipe
from .files import DatasetError
from .instantiate import checked_values, class_name, describe, instantiate, locate
from .layout import MANIFEST, read_manifest
from .metadata import SPLITS

COMPRESSIONS = (None, "gzip", "lzf")
# Keys that say something about the trajectories and decide nothing.
WORDS = ("source", "differences")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a dataset is made from. Trajectory `i` of a split depends on these values and `i`, and on nothing else.

    Attributes:
        name: of the dataset and its folder.
        equation: class (`_target_`) and coefficients.
        initial_condition: class and parameters; the equation's own where None.
        points: of the solver's grid.
        lengths: periods of the box.
        space_stride: every how many points the grid is stored.
        stepper: class; the equation's own where None.
        dt: step of the scheme, in time; divides `interval` and `warmup`.
        interval: time between stored frames.
        warmup: time before the first stored frame.
        frames: stored frames of a trajectory, the first included.
        test_frames: the same for the test split; `frames` where None.
        train, valid, test: trajectories of each split.
        seed: of all initial conditions.
        block: consecutive trajectories that are computed together, always: arithmetic may depend on it in the last bit.
        trajectories_per_file: of a shard; changes no trajectory.
        compression: HDF5 filter such as `"gzip"`, or None.
        lyapunov_exponent: leading exponent in 1 / time, where known.
        certificate: how the truth is checked.
        source: in words, the publication or dataset whose flow this is.
        differences: in words, how it differs from that one. Both are stored beside the recipe, not as a part of it:
            editing them makes no other dataset.
    """

    name: str
    equation: dict[str, Any]
    points: tuple[int, ...]
    lengths: tuple[float, ...]
    dt: float
    interval: float
    frames: int
    train: int
    valid: int
    test: int
    initial_condition: dict[str, Any] | None = None
    stepper: str | None = None
    space_stride: int = 1
    warmup: float = 0.0
    test_frames: int | None = None
    seed: int = 0
    block: int = 16
    trajectories_per_file: int = 64
    compression: str | None = None
    lyapunov_exponent: float | None = None
    certificate: CertificateRecipe = field(default_factory=CertificateRecipe)
    source: str | None = field(default=None, compare=False)
    differences: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ValueError(f"name must be letters, digits, '_', '-' and '.', got {self.name!r}")
        for key in ("frames", "block", "trajectories_per_file", "space_stride", "train"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be at least 1, got {getattr(self, key)}")
        if min(self.valid, self.test, self.seed) < 0:
            raise ValueError("valid, test and seed must not be negative")
        if any(points % self.space_stride for points in self.points):
            raise ValueError(f"space_stride must divide points = {self.points}, got {self.space_stride}")
        if self.compression not in COMPRESSIONS:
            raise ValueError(f"compression must be null, gzip or lzf, got {self.compression!r}")
        equation = self.build_equation()
        equation.check(self.build_grid())
        scheme = self.stepper_class if self.stepper else equation.default_stepper
        initial = self.build_initial_condition()
        steps_in(self.interval, self.dt, "interval")
        steps_in(self.warmup, self.dt, "warmup")
        self.certificate.check(self.interval)
        object.__setattr__(self, "equation", describe(equation))
        object.__setattr__(self, "initial_condition", describe(initial))
        object.__setattr__(self, "stepper", class_name(scheme))
        object.__setattr__(self, "test_frames", self.test_frames or self.frames)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """A recipe from the plain values of a config or a file.

        Raises:
            ValueError: a key is unknown or missing, or a value illegal; lists the legal ones.
        """
        checked = checked_values(cls, values)
        certificate = CertificateRecipe(
            **checked_values(CertificateRecipe, checked.get("certificate") or {}, "certificate.")
        )
        for key in ("points", "lengths"):
            value = checked[key]
            checked[key] = tuple(value) if isinstance(value, list | tuple) else (value,)
        checked["lengths"] = tuple(float(length) for length in checked["lengths"])
        return cls(**(checked | {"certificate": certificate}))

    def to_dict(self) -> dict[str, Any]:
        """Lists, numbers and strings from which `from_dict` builds an equal recipe: all but the `words`."""
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {key: value for key, value in plain.items() if key not in WORDS}

    def words(self) -> dict[str, str | None]:
        """Where the dataset comes from and how it differs from there."""
        return {key: getattr(self, key) for key in WORDS}

    def build_equation(self) -> Equation:
        """The equation with its coefficients."""
        equation = instantiate(self.equation)
        if not isinstance(equation, Equation):
            raise ValueError(f"equation must be an Equation, got {type(equation).__name__}")
        return equation

    def build_initial_condition(self) -> InitialCondition:
        """The random field of frame zero, before the warm-up."""
        if self.initial_condition is None:
            return self.build_equation().default_initial_condition
        initial = instantiate(self.initial_condition)
        if not isinstance(initial, InitialCondition):
            raise ValueError(f"initial_condition must be callable(grid, generator), got {type(initial).__name__}")
        return initial

    def build_grid(self, refinement: int = 1) -> Grid:
        """The solver's grid, in float64, or one with `refinement` times the points."""
        return Grid(tuple(refinement * points for points in self.points), self.lengths)

    @property
    def stepper_class(self) -> type[Stepper]:
        """The scheme."""
        cls = locate(self.stepper, "stepper")
        if not issubclass(cls, Stepper):
            raise ValueError(f"stepper must be a Stepper of rollwave.solvers, got {self.stepper}")
        return cls

    def count(self, split: str) -> int:
        """Trajectories of a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]

    def frames_of(self, split: str) -> int:
        """Stored frames of each trajectory of a split."""
        return (self.test_frames or self.frames) if split == "test" else self.frames

    def split_seed(self, split: str) -> int:
        """Seed of the initial conditions of a split, independent of those of the others."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=(SPLITS.index(split),))
        return int(sequence.generate_state(1, np.uint64)[0]) >> 1

    @property
    def stored_points(self) -> tuple[int, ...]:
        """Points stored along each axis."""
        return tuple(points // self.space_stride for points in self.points)


def load_recipe(folder: str | Path) -> Recipe:
    """The recipe of a generated dataset, with its words.

    Raises:
        DatasetError: the folder holds no dataset that we generated.
    """
    manifest = read_manifest(Path(folder))
    if manifest is None:
        raise DatasetError(f"{folder}: no {MANIFEST}, so no recipe; expected a dataset that generate.py finished")
    return Recipe.from_dict(manifest["recipe"] | {key: manifest.get(key) for key in WORDS})

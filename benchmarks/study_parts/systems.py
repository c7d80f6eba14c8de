"""The flows of the study, at a size that one core trains on in less than a minute."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .budget import Steps


@dataclass(frozen=True, kw_only=True)
class System:
    """A dataset, and what is asked of a run on it.

    Attributes:
        name: of the dataset's folder too.
        words: what the page says of it.
        overrides: the dataset, its recipe's changes and how it is read, as overrides of `configs/train.yaml`.
        wavenumber: the largest that spectral operators keep, on every axis.
        points: stored, on every axis.
        dimensions: space axes.
        width: of the Fourier operator whose parameters the other operators match.
        steps: the budget of a run where steps are equal; where time is, that of as many steps of the Fourier operator.
        outside: further test sets, by name: overrides of the recipe on top of `overrides`.
        attractor: whether trajectories stay on one, so that long-time statistics mean something.
        fronts: whether the field has fronts whose shape is measured.
        extend: steps of the emulator beyond the truth, of which survival is reported.
        conserve: which config of `configs/conserve` keeps what the equation conserves; null where none can.
    """

    name: str
    words: str
    overrides: tuple[str, ...]
    wavenumber: int
    points: int
    dimensions: int = 1
    width: int = 32
    steps: Steps
    outside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attractor: bool = True
    fronts: bool = False
    extend: int = 1000
    conserve: str = "means"


def counts(train: int, valid: int, test: int, block: int = 16) -> tuple[str, ...]:
    """Trajectories of each split."""
    sizes = {"train": train, "valid": valid, "test": test, "block": block}
    return tuple(f"dataset.{key}={value}" for key, value in sizes.items())


def waves(modes: int, rms: float) -> str:
    """Burgers' initial field: amplitudes that fall as 1 / k."""
    target = "rollwave.solvers.RandomFourierSeries"
    return f"dataset.initial_condition={{_target_: {target}, modes: {modes}, decay: 1.0, rms: {rms}}}"


def burgers(viscosity: float, *, solver_points: int = 2048) -> tuple[str, ...]:
    """Fronts, solved finely and stored on 256 points."""
    return (
        f"dataset.equation.viscosity={viscosity}",
        f"dataset.points=[{solver_points}]",
        f"dataset.space_stride={solver_points // 256}",
        f"dataset.dt={0.0025 * 2048 / solver_points}",
        "dataset.certificate.samples=2",
        "dataset.certificate.horizon=2.0",
    )


# Of flows of 101 frames: trajectories, and validation rollouts over all of each.
HUNDRED_STEPS = (*counts(128, 16, 32), "data.batch_size=8", "data.validation_steps=100")
SMALL_TEST = counts(8, 0, 32)
# Amplitude and wavenumbers beyond those of training.
STRONGER = (waves(5, 1.5), *SMALL_TEST)
FINER = (waves(10, 1.0), *SMALL_TEST)

KS_L22 = System(
    name="ks_l22",
    words="Kuramoto-Sivashinsky chaos, L = 22, 64 points, steps of 1.0",
    overrides=(
        "dataset=ks_l22_quick",
        "dataset.test_frames=261",
        *counts(128, 16, 32),
        "data.batch_size=16",
        "data.validation_steps=64",
    ),
    wavenumber=16,
    points=64,
    steps=Steps(1000),
)
KS_L64 = System(
    name="ks_l64",
    words="Kuramoto-Sivashinsky chaos, L = 64, 128 points, steps of 0.5",
    overrides=("dataset=ks_l64", *counts(96, 16, 32), "data.batch_size=16", "data.validation_steps=64"),
    wavenumber=32,
    points=128,
    steps=Steps(1000),
)
BURGERS_1E2 = System(
    name="burgers_1e2",
    words="Burgers fronts at nu = 0.01, 256 points, steps of 0.05",
    overrides=(
        "dataset=burgers",
        *burgers(0.01),
        waves(5, 1.0),
        *HUNDRED_STEPS,
    ),
    wavenumber=32,
    points=256,
    width=24,
    steps=Steps(800),
    outside={"rms x 1.5": STRONGER, "k to 10": FINER, "nu = 0.002": (*burgers(0.002, solver_points=8192), *SMALL_TEST)},
    attractor=False,
    fronts=True,
    extend=200,
)
BURGERS_5E3 = System(
    name="burgers_5e3",
    words="Burgers fronts at nu = 0.005, 256 points, steps of 0.05",
    overrides=(
        "dataset=burgers",
        *burgers(0.005, solver_points=4096),
        waves(5, 1.0),
        *HUNDRED_STEPS,
    ),
    wavenumber=32,
    points=256,
    width=24,
    steps=Steps(800),
    # Faster waves, steeper fronts: at the step of the others some trajectory stops being finite.
    outside={"rms x 1.5": (*STRONGER, "dataset.dt=0.000625"), "k to 10": FINER},
    attractor=False,
    fronts=True,
    extend=200,
)
KOLMOGOROV = System(
    name="kolmogorov",
    words="Kolmogorov flow, solved on 128^2 points and stored on 32^2, steps of 0.25",
    overrides=(
        "dataset=navier_stokes",
        "dataset.space_stride=4",
        *counts(32, 8, 8, block=8),
        "dataset.test_frames=120",
        "data.batch_size=8",
        "data.validation_steps=60",
    ),
    wavenumber=10,
    points=32,
    dimensions=2,
    width=12,
    steps=Steps(1000),
    extend=400,
)
SCHRODINGER = System(
    name="schrodinger",
    words="focusing Schroedinger waves from random fields, 256 points, steps of 0.1",
    overrides=("dataset=nonlinear_schrodinger", *HUNDRED_STEPS),
    wavenumber=32,
    points=256,
    width=24,
    steps=Steps(1000),
    attractor=False,
    extend=200,
    conserve="declared",
)
KLEIN_GORDON = replace(
    SCHRODINGER,
    name="klein_gordon",
    words="sine-Gordon waves from random fields, 256 points, steps of 0.2",
    overrides=("dataset=klein_gordon", *HUNDRED_STEPS),
    conserve="null",
)

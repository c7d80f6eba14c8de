"""Partial differential equations and how to integrate them: torch only."""

from .burgers import Burgers
from .equation import Equation, Semilinear, Separable, Split, relative_drift
from .etdrk import ETDRK2, ETDRK4
from .forcing import DiagonalForcing
from .grid import Grid
from .initial_conditions import (
    BandLimitedField,
    GaussianRandomField,
    InitialCondition,
    RandomComplexField,
    RandomFourierSeries,
    RandomSolitons,
    RandomWave,
    sample,
    trajectory_generators,
)
from .klein_gordon import KleinGordon, Linear, Phi4, Potential, SineGordon
from .kuramoto_sivashinsky import KuramotoSivashinsky
from .navier_stokes import Forcing, KolmogorovForcing, NavierStokes
from .nonlinear_schrodinger import NonlinearSchrodinger
from .simulate import SimulationError, simulate
from .splitting import Strang
from .stepper import Stepper
from .symplectic import StoermerVerlet

__all__ = [
    "ETDRK2",
    "ETDRK4",
    "BandLimitedField",
    "Burgers",
    "DiagonalForcing",
    "Equation",
    "Forcing",
    "GaussianRandomField",
    "Grid",
    "InitialCondition",
    "KleinGordon",
    "KolmogorovForcing",
    "KuramotoSivashinsky",
    "Linear",
    "NavierStokes",
    "NonlinearSchrodinger",
    "Phi4",
    "Potential",
    "RandomComplexField",
    "RandomFourierSeries",
    "RandomSolitons",
    "RandomWave",
    "Semilinear",
    "Separable",
    "SimulationError",
    "SineGordon",
    "Split",
    "Stepper",
    "StoermerVerlet",
    "Strang",
    "relative_drift",
    "sample",
    "simulate",
    "trajectory_generators",
]

"""Partial differential equations and how to integrate them: torch only."""

from .burgers import Burgers
from .equation import Equation, Semilinear, Separable, Split
from .etdrk import ETDRK2, ETDRK4
from .grid import Grid
from .initial_conditions import (
    BandLimitedField,
    GaussianRandomField,
    InitialCondition,
    RandomFourierSeries,
    sample,
    trajectory_generators,
)
from .kuramoto_sivashinsky import KuramotoSivashinsky
from .simulate import SimulationError, simulate
from .stepper import Stepper

__all__ = [
    "ETDRK2",
    "ETDRK4",
    "BandLimitedField",
    "Burgers",
    "Equation",
    "GaussianRandomField",
    "Grid",
    "InitialCondition",
    "KuramotoSivashinsky",
    "RandomFourierSeries",
    "Semilinear",
    "Separable",
    "SimulationError",
    "Split",
    "Stepper",
    "sample",
    "simulate",
    "trajectory_generators",
]

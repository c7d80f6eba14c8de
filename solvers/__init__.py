"""Partial differential equations and how to integrate them: torch only."""

from .burgers import Burgers
from .certificate import Certificate, certify
from .dormand_prince import DormandPrince853
from .equation import Equation, Reversible, Semilinear, Separable, Split, relative_drift
from .etdrk import ETDRK2, ETDRK4
from .forcing import DiagonalForcing
from .grid import Grid
from .initial_conditions import (
    BandLimitedField,
    GaussianRandomField,
    InitialCondition,
    RandomBreathers,
    RandomComplexField,
    RandomFourierSeries,
    RandomKinks,
    RandomSines,
    RandomSolitons,
    RandomWave,
    TruncatedFourierSeries,
    WhiteNoise,
    sample,
    trajectory_generators,
)
from .klein_gordon import KleinGordon, Linear, Phi4, Potential, SineGordon
from .korteweg_de_vries import KortewegDeVries
from .kuramoto_sivashinsky import KuramotoSivashinsky
from .lyapunov import LyapunovExponents, lyapunov_exponents
from .navier_stokes import Forcing, KolmogorovForcing, NavierStokes
from .nonlinear_schrodinger import NonlinearSchrodinger
from .simulate import SimulationError, simulate
from .splitting import BlanesMoan4, BlanesMoan6, Strang, Yoshida4
from .stepper import Stepper
from .symplectic import StoermerVerlet, SymplecticRKN4, SymplecticRKN6
from .vector_burgers import VectorBurgers

__all__ = [
    "ETDRK2",
    "ETDRK4",
    "BandLimitedField",
    "BlanesMoan4",
    "BlanesMoan6",
    "Burgers",
    "Certificate",
    "DiagonalForcing",
    "DormandPrince853",
    "Equation",
    "Forcing",
    "GaussianRandomField",
    "Grid",
    "InitialCondition",
    "KleinGordon",
    "KolmogorovForcing",
    "KortewegDeVries",
    "KuramotoSivashinsky",
    "Linear",
    "LyapunovExponents",
    "NavierStokes",
    "NonlinearSchrodinger",
    "Phi4",
    "Potential",
    "RandomBreathers",
    "RandomComplexField",
    "RandomFourierSeries",
    "RandomKinks",
    "RandomSines",
    "RandomSolitons",
    "RandomWave",
    "Reversible",
    "Semilinear",
    "Separable",
    "SimulationError",
    "SineGordon",
    "Split",
    "Stepper",
    "StoermerVerlet",
    "Strang",
    "SymplecticRKN4",
    "SymplecticRKN6",
    "TruncatedFourierSeries",
    "VectorBurgers",
    "WhiteNoise",
    "Yoshida4",
    "certify",
    "lyapunov_exponents",
    "relative_drift",
    "sample",
    "simulate",
    "trajectory_generators",
]

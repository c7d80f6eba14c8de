"""The Lightning task, its objectives, losses and callbacks."""

from .all_pairs import AllPairs
from .augmentation import Augmentation, augmentation_for, keeps, legal_symmetries
from .checkpointing import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from .commutativity import Commutativity
from .compilation import compile_network
from .dissipativity import Dissipativity
from .diverted import Diverted
from .draws import Draws
from .ema import ExponentialAverage
from .finite import NonFiniteLossError
from .jacobian import (
    DoubleBackward,
    FiniteDifference,
    ForwardMode,
    JacobianProduct,
    column_energies,
    row_energies,
    transposed_product,
    weighted_energy,
)
from .jacobian_matching import JacobianMatching
from .jacobian_penalty import JacobianPenalty, OneSided, SlopeWeight, UniformWeight
from .jacobian_probe import JacobianProbe
from .jaws import JAWS
from .likelihood import Likelihood
from .losses import BandWeighted, RelativeH1, RelativeL2
from .noise import Noise
from .objective import Loss, Objective
from .one_step import OneStep
from .pushforward import Pushforward
from .refinement import Refinement
from .regularizer import Regularizer
from .schedules import Constant, Schedule, WarmupCosine
from .spectral_norm import SpectralNorm
from .structure import conserve_for, galilean_for
from .symmetries import Boost, Flip, Phase, QuarterTurn, Symmetry, Translation
from .task import ForecastTask
from .teacher_forcing import TeacherForcing
from .tolerances import Averaged, InPlace, Permuted, ToleranceHead, TolerancePrior
from .unrolled import Unrolled

__all__ = [
    "JAWS",
    "AllPairs",
    "AtomicCheckpointIO",
    "Augmentation",
    "Averaged",
    "BandWeighted",
    "BestCheckpoint",
    "Boost",
    "Commutativity",
    "Constant",
    "Dissipativity",
    "Diverted",
    "DoubleBackward",
    "Draws",
    "ExponentialAverage",
    "FiniteDifference",
    "Flip",
    "ForecastTask",
    "ForwardMode",
    "InPlace",
    "JacobianMatching",
    "JacobianPenalty",
    "JacobianProbe",
    "JacobianProduct",
    "LastCheckpoint",
    "Likelihood",
    "Loss",
    "Noise",
    "NonFiniteLossError",
    "Objective",
    "OneSided",
    "OneStep",
    "Permuted",
    "Phase",
    "Pushforward",
    "QuarterTurn",
    "Refinement",
    "Regularizer",
    "RelativeH1",
    "RelativeL2",
    "Schedule",
    "SlopeWeight",
    "SpectralNorm",
    "Symmetry",
    "TeacherForcing",
    "ToleranceHead",
    "TolerancePrior",
    "Translation",
    "UniformWeight",
    "Unrolled",
    "WarmupCosine",
    "augmentation_for",
    "column_energies",
    "compile_network",
    "conserve_for",
    "galilean_for",
    "keeps",
    "legal_symmetries",
    "row_energies",
    "transposed_product",
    "weighted_energy",
]

"""The Lightning task, its objectives, losses and callbacks."""

from .checkpointing import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from .compilation import compile_network
from .draws import Draws
from .ema import ExponentialAverage
from .finite import NonFiniteLossError
from .losses import BandWeighted, RelativeH1, RelativeL2
from .noise import Noise
from .objective import Loss, Objective
from .one_step import OneStep
from .pushforward import Pushforward
from .regularizer import Regularizer
from .schedules import Constant, Schedule, WarmupCosine
from .task import ForecastTask
from .unrolled import Unrolled

__all__ = [
    "AtomicCheckpointIO",
    "BandWeighted",
    "BestCheckpoint",
    "Constant",
    "Draws",
    "ExponentialAverage",
    "ForecastTask",
    "LastCheckpoint",
    "Loss",
    "Noise",
    "NonFiniteLossError",
    "Objective",
    "OneStep",
    "Pushforward",
    "Regularizer",
    "RelativeH1",
    "RelativeL2",
    "Schedule",
    "Unrolled",
    "WarmupCosine",
    "compile_network",
]

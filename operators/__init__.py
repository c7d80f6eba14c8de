"""Neural operators and the emulator around them."""

from .conditions import Conditions
from .connection import Connection
from .conservation import Conserve
from .dilated_resnet import DilatedResNet
from .dymixop import DyMixOp
from .emulator import Emulator
from .film import Conditioned
from .fno import FNO
from .galilean import Galilean
from .interaction import Interaction
from .metadata import EmulatorMetadata
from .neuraloperator import NeuralOperatorModel
from .normalizer import Normalizer
from .refiner import Refiner
from .unet import UNet

__all__ = [
    "FNO",
    "Conditioned",
    "Conditions",
    "Connection",
    "Conserve",
    "DilatedResNet",
    "DyMixOp",
    "Emulator",
    "EmulatorMetadata",
    "Galilean",
    "Interaction",
    "NeuralOperatorModel",
    "Normalizer",
    "Refiner",
    "UNet",
]

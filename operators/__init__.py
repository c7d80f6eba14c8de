"""Neural operators and the emulator around them."""

from .dilated_resnet import DilatedResNet
from .emulator import Emulator
from .fno import FNO
from .metadata import EmulatorMetadata
from .neuraloperator import NeuralOperatorModel
from .normalizer import Normalizer
from .unet import UNet

__all__ = ["FNO", "DilatedResNet", "Emulator", "EmulatorMetadata", "NeuralOperatorModel", "Normalizer", "UNet"]

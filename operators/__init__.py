"""Neural operators and the emulator around them."""

from .emulator import Emulator
from .fno import FNO
from .metadata import EmulatorMetadata
from .normalizer import Normalizer

__all__ = ["FNO", "Emulator", "EmulatorMetadata", "Normalizer"]

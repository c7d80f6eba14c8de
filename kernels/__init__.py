"""Spectral operations, one a file, each with its definition in plain PyTorch."""

from .allocation import keep_freed_memory
from .fourier_layer import fourier_layer
from .pointwise import pointwise, pointwise_mlp
from .spectral_conv import spectral_conv, weight_shape
from .truncated_fft import truncated_irfft, truncated_rfft

__all__ = [
    "fourier_layer",
    "keep_freed_memory",
    "pointwise",
    "pointwise_mlp",
    "spectral_conv",
    "truncated_irfft",
    "truncated_rfft",
    "weight_shape",
]

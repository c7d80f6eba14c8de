"""Spectral operations, one a file, each with its definition in plain PyTorch."""

from .spectral_conv import mode_mix, spectral_conv, weight_shape
from .truncated_fft import truncated_irfft, truncated_rfft

__all__ = ["mode_mix", "spectral_conv", "truncated_irfft", "truncated_rfft", "weight_shape"]

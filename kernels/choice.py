"""Which formulation of `spectral_conv` runs where.

A transform by matrices costs `4 (K + 1)` operations a point and axis, but no pass over memory that a product does not
need anyway; a fast transform costs about `5 log2 N`, many passes, and copies between layouts. Where they cross was
measured.
"""

import functools
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

BACKENDS = ("dft", "fft", "triton")
# Largest number of wavenumbers on any axis for which matrices are faster, by kind of device: one thread of an AMD EPYC
# with AVX-512; on cards a count of operations, not yet measured.
DFT_LIMIT = {"cpu": 32, "cuda": 64}
# The Triton kernels have been written for these; smaller cards lack the matrix units, float64 is left to the libraries.
CAPABILITY = (8, 0)
TRITON_LIMIT = 64


@dataclass(frozen=True)
class Choice:
    """One of `BACKENDS`, and why."""

    backend: str
    reason: str


def choose(device: torch.device, dtype: torch.dtype, modes: Sequence[int], backend: str = "auto") -> Choice:
    """The formulation for fields of a type on a device; the environment's `ROLLWAVE_BACKEND` stands in for "auto".

    Raises:
        ValueError: there is no such backend.
    """
    wanted = os.environ.get("ROLLWAVE_BACKEND", "auto") if backend == "auto" else backend
    if wanted in BACKENDS:
        return Choice(wanted, "asked for" if backend == wanted else "ROLLWAVE_BACKEND asks for it")
    if wanted != "auto":
        raise ValueError(f"backend must be auto or one of {', '.join(BACKENDS)}, got {wanted!r}")
    most = max(modes, default=0)
    if device.type == "cuda" and dtype == torch.float32 and most <= TRITON_LIMIT and _has_triton(device):
        return Choice("triton", f"float32 on a card with Triton, at most {TRITON_LIMIT} wavenumbers an axis")
    limit = DFT_LIMIT.get(device.type, 0)
    if most <= limit:
        return Choice(
            "dft", f"{most} wavenumbers on the longest axis; matrices are faster up to {limit} on {device.type}"
        )
    return Choice("fft", f"{most} wavenumbers on the longest axis; matrices are slower beyond {limit} on {device.type}")


@functools.cache
def _has_triton(device: torch.device) -> bool:
    return importlib.util.find_spec("triton") is not None and torch.cuda.get_device_capability(device) >= CAPABILITY

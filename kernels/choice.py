"""Which formulation of `spectral_conv` runs where.

A transform by matrices costs `4 (K + 1)` operations a point and axis, but no pass over memory that a product does not
need anyway; a fast transform costs about `5 log2 N`, many passes, and copies between layouts. Where they cross was
measured. Triton's kernels run where they are asked for: with tiles that no card has tuned they are right on an H100 and
no faster than matrices.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

BACKENDS = ("dft", "fft", "triton")
# Largest number of wavenumbers on any axis for which matrices are faster, by kind of device: one thread of an AMD EPYC
# with AVX-512, in one dimension; in two and three they still were at every number that a grid holds. On cards a count
# of operations, not yet measured.
DFT_LIMIT = {"cpu": 128, "cuda": 64}


@dataclass(frozen=True)
class Choice:
    """One of `BACKENDS`, and why."""

    backend: str
    reason: str


def choose(device: torch.device, modes: Sequence[int], backend: str = "auto") -> Choice:
    """The formulation for fields on a device; the environment's `ROLLWAVE_BACKEND` stands in for "auto".

    Raises:
        ValueError: there is no such backend.
    """
    wanted = os.environ.get("ROLLWAVE_BACKEND", "auto") if backend == "auto" else backend
    if wanted in BACKENDS:
        return Choice(wanted, "asked for" if backend == wanted else "ROLLWAVE_BACKEND asks for it")
    if wanted != "auto":
        raise ValueError(f"backend must be auto or one of {', '.join(BACKENDS)}, got {wanted!r}")
    most = max(modes, default=0)
    limit = DFT_LIMIT.get(device.type, 0)
    axis = f"{most} wavenumbers on the longest axis"
    if most <= limit:
        return Choice("dft", f"{axis}; matrices up to {limit} on {device.type}")
    return Choice("fft", f"{axis}; fast transforms beyond {limit} on {device.type}")

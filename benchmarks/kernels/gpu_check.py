"""Errors against float64, with new memory full of NaN so that whatever is left unwritten shows."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from rollwave.kernels import truncated_rfft
from rollwave.kernels.truncated_dft import analyse as analyse_by_matrices
from rollwave.kernels.truncated_dft import analysis

from .gpu_cases import Layer

# Largest error relative to the largest value: float32 sums of at most 2^20 terms, three products of tf32 to each.
TOLERANCE = 2e-5
# The weakest modes of a smooth field may be as wrong as this many times those of cuFFT in float32.
WORSE = 10.0
MAKERS = [(Tensor, "new_empty"), *((torch, name) for name in ("empty", "empty_like", "empty_strided"))]


@contextmanager
def poisoned() -> Iterator[None]:
    """New memory that is asked for in Python holds NaN."""

    def filled(make: Any) -> Any:
        def made(*args: Any, **kwargs: Any) -> Tensor:
            result = make(*args, **kwargs)
            return result.fill_(math.nan) if result.is_floating_point() else result

        return made

    patches = [mock.patch.object(owner, name, filled(getattr(owner, name))) for owner, name in MAKERS]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def worst(ours: Any, exact: Any) -> float:
    """Largest error of any tensor, relative to its largest value; infinite where one is not a number."""
    errors = []
    for mine, other in zip(tensors(ours), tensors(exact), strict=True):
        if mine.shape != other.shape:
            return math.inf
        error = ((mine.to(other.dtype) - other).abs().max() / other.abs().max().clamp(min=1e-300)).item()
        errors.append(error if math.isfinite(error) else math.inf)
    return max(errors)


def tensors(tree: Any) -> list[Tensor]:
    """Those that are there and hold something."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.numel()]


def double(tree: Any) -> Any:
    """The same in float64 or complex128."""
    wide = {torch.float32: torch.float64, torch.complex64: torch.complex128}
    return tree_map(lambda t: t.detach().to(wide.get(t.dtype, t.dtype)) if isinstance(t, Tensor) else t, tree)


def smooth(layer: Layer, device: torch.device) -> Tensor:
    """Fields whose coefficients fall as `k^-4`, phases random."""
    noise = torch.fft.rfftn(torch.randn(layer.batch, layer.width, *layer.points, device=device), dim=_space(layer))
    axes = [torch.fft.fftfreq(n, 1 / n, device=device) for n in layer.points[:-1]]
    axes.append(torch.fft.rfftfreq(layer.points[-1], 1 / layer.points[-1], device=device))
    squared = sum(k**2 for k in torch.meshgrid(*axes, indexing="ij"))
    phases = noise / noise.abs().clamp(min=1e-30)
    return torch.fft.irfftn(phases / (1 + squared) ** 2, s=layer.points, dim=_space(layer), norm="forward")


def mode_errors(layer: Layer, device: torch.device) -> dict[str, Any]:
    """For every analysis of a smooth field the error of its coefficients, relative to the largest, and the worst error
    of one wavenumber, relative to itself.
    """
    from rollwave.kernels.triton_analysis import analyse as analyse_by_triton

    x, modes = smooth(layer, device), layer.all_modes
    matrices = analysis(layer.points, modes, x)
    exact = truncated_rfft(x.double(), modes).movedim((0, 1), (-2, -1))
    found = {
        "fft": truncated_rfft(x, modes).movedim((0, 1), (-2, -1)),
        "dft": _joined(analyse_by_matrices(x.movedim(1, -1).contiguous(), matrices), -3),
    }
    with poisoned():
        for precision in ("tf32x3", "ieee", "tf32"):
            found[f"triton {precision}"] = _joined(analyse_by_triton(x, matrices, precision=precision)[0], 0)
    errors = {name: _errors(value.to(exact.dtype), exact) for name, value in found.items()}
    allowed = max(WORSE * errors["fft"]["mode"], 1e-5)
    good = all(errors[f"triton {name}"]["mode"] <= allowed for name in ("tf32x3", "ieee"))
    return layer.describe() | {"errors": errors, "agrees": good}


def _errors(ours: Tensor, exact: Tensor) -> dict[str, float]:
    each = (ours - exact).abs().amax((-2, -1)) / exact.abs().amax((-2, -1))
    return {"field": worst(ours, exact), "mode": each.nan_to_num(math.inf).max().item()}


def _joined(planar: Tensor, axis: int) -> Tensor:
    return torch.complex(*planar.unbind(axis))


def _space(layer: Layer) -> Sequence[int]:
    return tuple(range(2, 2 + len(layer.points)))

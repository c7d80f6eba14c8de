"""What the tests of the Triton kernels share. Without a GPU the kernels run in Triton's interpreter, which has to be
asked for before they are made: import this before them.
"""

import math
import os
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="needs triton")

from rollwave.kernels import triton_gelu, weight_shape  # noqa: E402

INTERPRETED = type(triton_gelu.gelu).__name__ == "InterpretedFunction"
runnable = pytest.mark.skipif(
    DEVICE == "cpu" and not INTERPRETED, reason="the kernels were imported for a GPU before they could be interpreted"
)
in_interpreter = pytest.mark.skipif(DEVICE == "cuda", reason="needs float64, which is for the interpreter")
WIDEST = torch.float32 if DEVICE == "cuda" else torch.float64
DTYPES = [torch.float32, pytest.param(torch.float64, marks=in_interpreter)]


def random(*shape: int, dtype: torch.dtype = WIDEST, requires_grad: bool = True) -> Tensor:
    """Of order one."""
    return torch.randn(*shape, dtype=dtype, device=DEVICE, requires_grad=requires_grad)


def operands(
    points: Sequence[int],
    modes: Sequence[int],
    batch: int,
    inner: int,
    outer: int,
    skip: bool,
    bias: bool,
    dtype: torch.dtype = WIDEST,
) -> list[Tensor | None]:
    """`x`, weight, bias and skip of a block."""  # fmt: skip
    x, weight = random(batch, inner, *points, dtype=dtype), random(*weight_shape(inner, outer, modes), dtype=dtype)
    return [
        x,
        weight,
        random(outer, dtype=dtype) if bias else None,
        random(outer, inner, dtype=dtype) if skip else None,
    ]


def gradients(y: Tensor, tensors: Sequence[Tensor | None], direction: Tensor) -> list[Tensor]:
    """Of `(y * direction).sum()` in the tensors that are there."""
    return list(torch.autograd.grad(y, [t for t in tensors if t is not None], direction))


def assert_same(ours: Sequence[Tensor], exact: Sequence[Tensor]) -> None:
    """Up to some units in the last place of the largest value, or of the inputs, which are of order one."""
    for mine, other in zip(ours, exact, strict=True):
        assert mine.shape == other.shape
        error, scale = (mine - other).abs().max().item(), max(1.0, other.abs().max().item())
        assert error <= 16 * torch.finfo(mine.dtype).eps * scale


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills new memory with NaN, so that whatever is left unwritten shows."""
    for owner, name in ((Tensor, "new_empty"), (torch, "empty_strided"), (torch, "empty_like")):
        make = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, make=make, **k: make(*a, **k).fill_(math.nan))

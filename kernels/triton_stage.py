"""A stage of an exponential integrator, `y[b, k] = u[b, k] + sum_j c_j[k] v_j[b, k]`, complex, up to four terms, as a
Triton kernel.

Every operand is read once and the result written once, where separate products and sums read and write once a term.
Complex numbers lie in memory as pairs of real ones. Its gradients are stages too, with conjugate coefficients.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Complex
from torch import Tensor

from .triton_configs import config, tiles

MOST = 4


@triton.jit
def _times(c: tl.tensor, v: tl.tensor, k: tl.tensor, at: tl.tensor, inside: tl.tensor) -> tl.tensor:
    c_r, c_i = tl.load(c + 2 * k, mask=inside, other=0.0), tl.load(c + 2 * k + 1, mask=inside, other=0.0)
    v_r, v_i = tl.load(v + at, mask=inside, other=0.0), tl.load(v + at + 1, mask=inside, other=0.0)
    return c_r * v_r - c_i * v_i, c_r * v_i + c_i * v_r


@triton.jit
def _stage_kernel(
    u: tl.tensor,
    out: tl.tensor,
    c_0: tl.tensor,
    v_0: tl.tensor,
    c_1: tl.tensor,
    v_1: tl.tensor,
    c_2: tl.tensor,
    v_2: tl.tensor,
    c_3: tl.tensor,
    v_3: tl.tensor,
    K: tl.tensor,
    BASE: tl.constexpr,
    TERMS: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    tiles_k = (K + BLOCK_K - 1) // BLOCK_K
    b = (tl.program_id(0) // tiles_k).to(tl.int64)
    k = (tl.program_id(0) % tiles_k).to(tl.int64) * BLOCK_K + tl.arange(0, BLOCK_K)
    at, inside = 2 * (b * K + k), k < K
    real, imaginary = _times(c_0, v_0, k, at, inside)
    if TERMS > 1:
        more_r, more_i = _times(c_1, v_1, k, at, inside)
        real, imaginary = real + more_r, imaginary + more_i
    if TERMS > 2:
        more_r, more_i = _times(c_2, v_2, k, at, inside)
        real, imaginary = real + more_r, imaginary + more_i
    if TERMS > 3:
        more_r, more_i = _times(c_3, v_3, k, at, inside)
        real, imaginary = real + more_r, imaginary + more_i
    if BASE:
        real += tl.load(u + at, mask=inside, other=0.0)
        imaginary += tl.load(u + at + 1, mask=inside, other=0.0)
    tl.store(out + at, real, mask=inside)
    tl.store(out + at + 1, imaginary, mask=inside)


@torch.library.custom_op("rollwave::stage", mutates_args=())
def stage(u: Tensor | None, coefficients: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    """`u` `[*b, *k]` or None for zero, coefficients `[*k]` and values `[*b, *k]`, all of one complex type.

    Raises `ValueError` for other numbers of terms than one to four and for shapes that do not fit.
    """
    check(u, coefficients, values)
    out = torch.empty_like(values[0], memory_format=torch.contiguous_format)
    K = coefficients[0].numel()
    reals = [_pairs(t) for pair in zip(coefficients, values, strict=True) for t in pair]
    reals += [None] * (2 * MOST - len(reals))
    blocks = config("stage", K=K)
    with torch.cuda.device_of(out):
        _stage_kernel[(out.numel() // max(K, 1) * tiles(K, blocks["BLOCK_K"]),)](
            _pairs(u), _pairs(out), *reals, K, BASE=u is not None, TERMS=len(values), **blocks
        )
    return out


def stage_definition(
    u: Complex[Tensor, "*b k"] | None,
    coefficients: Sequence[Complex[Tensor, " k"]],
    values: Sequence[Complex[Tensor, "*b k"]],
) -> Complex[Tensor, "*b k"]:
    """What `stage` computes."""
    total = torch.zeros_like(values[0]) if u is None else u
    for c, v in zip(coefficients, values, strict=True):
        total = total + c * v
    return total


@stage.register_fake
def _(u, coefficients, values):  # type: ignore[no-untyped-def]
    return torch.empty_like(values[0], memory_format=torch.contiguous_format)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, coefficients, values = inputs
    ctx.has_base = u is not None
    ctx.save_for_backward(*coefficients, *values)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    coefficients, values = saved[: len(saved) // 2], saved[len(saved) // 2 :]
    g_coefficients = [
        (v.conj() * gradient).sum_to_size(c.shape) if wanted else None
        for c, v, wanted in zip(coefficients, values, ctx.needs_input_grad[1], strict=True)
    ]
    g_values = [
        stage(None, [c.conj().resolve_conj()], [gradient]) if wanted else None
        for c, wanted in zip(coefficients, ctx.needs_input_grad[2], strict=True)
    ]
    return gradient if ctx.has_base else None, g_coefficients, g_values


stage.register_autograd(_backward, setup_context=_setup)


def check(u: Tensor | None, coefficients: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Raises where the operands of `stage` do not fit."""
    if not 1 <= len(values) <= MOST or len(coefficients) != len(values):
        raise ValueError(
            f"a stage has 1 to {MOST} pairs of a coefficient and a value, got {len(coefficients)} and {len(values)}"
        )
    shape, last = values[0].shape, coefficients[0].shape
    fits = shape[len(shape) - len(last) :] == last and all(c.shape == last for c in coefficients)
    if not fits or not all(t.shape == shape for t in (*values, *([] if u is None else [u]))):
        raise ValueError(
            f"values must be [*b, *k] and coefficients [*k], got {[tuple(t.shape) for t in (*values, *coefficients)]}"
        )
    dtypes = {t.dtype for t in (*coefficients, *values, *([] if u is None else [u]))}
    if len(dtypes) > 1 or not values[0].is_complex():
        raise TypeError(f"operands of a stage must be of one complex type, got {sorted(map(str, dtypes))}")


def _pairs(t: Tensor | None) -> Tensor | None:
    return None if t is None else torch.view_as_real(t.resolve_conj().contiguous())

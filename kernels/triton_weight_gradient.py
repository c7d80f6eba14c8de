"""The gradient of `triton_mix` in its weights, `gW_k = X_k^H gY_k`, as a Triton kernel.

With pairs of columns as the weights are stored,

    [gW_r, gW_i] = X_r^T [g_r, g_i] + X_i^T [g_i, -g_r].

One program owns a tile of the result and runs over the batch in order: the same bits every time.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .triton_configs import config, tiles


@triton.jit
def _weight_gradient_kernel(
    x_hat: tl.tensor,
    gradient: tl.tensor,
    out: tl.tensor,
    x_plane: tl.tensor,
    gradient_plane: tl.tensor,
    B: tl.tensor,
    INNER: tl.tensor,
    OUTER: tl.tensor,
    PRECISION: tl.constexpr,
    BLOCK_B: tl.constexpr,
    BLOCK_I: tl.constexpr,
    BLOCK_O: tl.constexpr,
) -> None:
    tiles_i, tiles_o = (INNER + BLOCK_I - 1) // BLOCK_I, (OUTER + BLOCK_O - 1) // BLOCK_O
    tile, rest = tl.program_id(0) % tiles_o, tl.program_id(0) // tiles_o
    m = (rest // tiles_i).to(tl.int64)
    i = (rest % tiles_i) * BLOCK_I + tl.arange(0, BLOCK_I)[:, None]
    column = tile * 2 * BLOCK_O + tl.arange(0, 2 * BLOCK_O)[None, :]
    o, part = column // 2, column % 2
    total = tl.full((BLOCK_I, 2 * BLOCK_O), 0.0, out.dtype.element_ty)
    for start in range(0, B, BLOCK_B):
        b = start + tl.arange(0, BLOCK_B)
        at, inside = x_hat + (m * B + b[None, :]) * INNER + i, (b[None, :] < B) & (i < INNER)
        real = tl.load(at, mask=inside, other=0.0)
        imaginary = tl.load(at + x_plane, mask=inside, other=0.0)
        at, inside = gradient + (m * B + b[:, None]) * OUTER + o, (b[:, None] < B) & (o < OUTER)
        same = tl.load(at + part * gradient_plane, mask=inside, other=0.0)
        turned = tl.load(at + (1 - part) * gradient_plane, mask=inside, other=0.0) * (1 - 2 * part)
        total = tl.dot(real, same, total, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
        total = tl.dot(imaginary, turned, total, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    tl.store(out + (m * INNER + i) * 2 * OUTER + column, total, mask=(i < INNER) & (column < 2 * OUTER))


def weight_gradient(
    x_hat: Float[Tensor, "2 *k b i"],
    gradient: Float[Tensor, "2 *k b o"],
    *,
    precision: str = "tf32x3",
    blocks: dict[str, int] | None = None,
) -> Float[Tensor, "*k i o 2"]:
    """`gW[k, i, o] = sum_b conj X[k, b, i] gY[k, b, o]` as real pairs, everything contiguous."""
    (_, *modes, B, INNER), OUTER = x_hat.shape, gradient.shape[-1]
    out = x_hat.new_empty(*modes, INNER, OUTER, 2)
    M = out.numel() // max(2 * INNER * OUTER, 1)
    blocks = blocks or config("weight_gradient", B=B, I=INNER, O=OUTER)
    programs = M * tiles(INNER, blocks["BLOCK_I"]) * tiles(OUTER, blocks["BLOCK_O"])
    _weight_gradient_kernel[(programs,)](
        x_hat, gradient, out, M * B * INNER, M * B * OUTER, B, INNER, OUTER, PRECISION=precision, **blocks
    )
    return out


def weight_gradient_definition(
    x_hat: Float[Tensor, "2 *k b i"], gradient: Float[Tensor, "2 *k b o"]
) -> Float[Tensor, "*k i o 2"]:
    """What `weight_gradient` computes."""
    (x_r, x_i), (g_r, g_i) = x_hat.mT.unbind(0), gradient.unbind(0)
    return torch.stack((x_r @ g_r + x_i @ g_i, x_r @ g_i - x_i @ g_r), -1)

"""The gradient of `triton_mix` in its coefficients, `gX_k = gY_k W_k^H`, as a Triton kernel.

With pairs of columns as the weights are stored,

    gX_r = [g_r, g_i] [W_r, W_i]^T,    gX_i = [g_i, -g_r] [W_r, W_i]^T.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .triton_configs import config, tiles


@triton.jit
def _mix_adjoint_kernel(
    gradient: tl.tensor,
    weight: tl.tensor,
    out: tl.tensor,
    gradient_plane: tl.tensor,
    out_plane: tl.tensor,
    B: tl.tensor,
    INNER: tl.tensor,
    OUTER: tl.tensor,
    PRECISION: tl.constexpr,
    BLOCK_B: tl.constexpr,
    BLOCK_I: tl.constexpr,
    BLOCK_O: tl.constexpr,
) -> None:
    tiles_b, tiles_i = (B + BLOCK_B - 1) // BLOCK_B, (INNER + BLOCK_I - 1) // BLOCK_I
    tile, rest = tl.program_id(0) % tiles_b, tl.program_id(0) // tiles_b
    m = (rest // tiles_i).to(tl.int64)
    b = tile * BLOCK_B + tl.arange(0, BLOCK_B)[:, None]
    i = (rest % tiles_i) * BLOCK_I + tl.arange(0, BLOCK_I)[None, :]
    real = tl.full((BLOCK_B, BLOCK_I), 0.0, out.dtype.element_ty)
    imaginary = tl.full((BLOCK_B, BLOCK_I), 0.0, out.dtype.element_ty)
    for start in range(0, 2 * OUTER, 2 * BLOCK_O):
        column = start + tl.arange(0, 2 * BLOCK_O)
        o, part = column[None, :] // 2, column[None, :] % 2
        at, inside = gradient + (m * B + b) * OUTER + o, (b < B) & (o < OUTER)
        same = tl.load(at + part * gradient_plane, mask=inside, other=0.0)
        turned = tl.load(at + (1 - part) * gradient_plane, mask=inside, other=0.0) * (1 - 2 * part)
        inside = (column[:, None] < 2 * OUTER) & (i < INNER)
        pairs = tl.load(weight + (m * INNER + i) * 2 * OUTER + column[:, None], mask=inside, other=0.0)
        real = tl.dot(same, pairs, real, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
        imaginary = tl.dot(turned, pairs, imaginary, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    at, inside = (m * B + b) * INNER + i, (b < B) & (i < INNER)
    tl.store(out + at, real, mask=inside)
    tl.store(out + out_plane + at, imaginary, mask=inside)


def mix_adjoint(
    gradient: Float[Tensor, "2 *k b o"],
    weight: Float[Tensor, "*k i o 2"],
    *,
    precision: str = "tf32x3",
    blocks: dict[str, int] | None = None,
) -> Float[Tensor, "2 *k b i"]:
    """`gX[k, b, i] = sum_o gY[k, b, o] conj W[k, i, o]`, everything contiguous."""
    *modes, INNER, OUTER, _ = weight.shape
    B, M = gradient.shape[-2], weight.numel() // max(2 * INNER * OUTER, 1)
    out = gradient.new_empty(2, *modes, B, INNER)
    blocks = blocks or config("mix_adjoint", B=B, I=INNER, O=OUTER)
    programs = M * tiles(INNER, blocks["BLOCK_I"]) * tiles(B, blocks["BLOCK_B"])
    _mix_adjoint_kernel[(programs,)](
        gradient, weight, out, M * B * OUTER, M * B * INNER, B, INNER, OUTER, PRECISION=precision, **blocks
    )
    return out


def mix_adjoint_definition(
    gradient: Float[Tensor, "2 *k b o"], weight: Float[Tensor, "*k i o 2"]
) -> Float[Tensor, "2 *k b i"]:
    """What `mix_adjoint` computes."""
    (g_r, g_i), (w_r, w_i) = gradient.unbind(0), weight.unbind(-1)
    return torch.stack((g_r @ w_r.mT + g_i @ w_i.mT, g_i @ w_r.mT - g_r @ w_i.mT))

"""A complex matrix for every wavenumber, `Y_k = X_k W_k`, on planar coefficients and paired weights, as a Triton
kernel.

With `[W_r, W_i]` the weights as they are stored, pairs of columns,

    P = X_r [W_r, W_i],    Q = X_i [W_r, W_i],    Y_r = P_r - Q_i,    Y_i = P_i + Q_r:

each weight is read once, in the order in which it lies in memory, and the parts are taken apart in registers.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .triton_configs import config, tiles


@triton.jit
def _mix_kernel(
    x_hat: tl.tensor,
    weight: tl.tensor,
    out: tl.tensor,
    x_plane: tl.tensor,
    out_plane: tl.tensor,
    B: tl.tensor,
    INNER: tl.tensor,
    OUTER: tl.tensor,
    PRECISION: tl.constexpr,
    BLOCK_B: tl.constexpr,
    BLOCK_I: tl.constexpr,
    BLOCK_O: tl.constexpr,
) -> None:
    tiles_b, tiles_o = (B + BLOCK_B - 1) // BLOCK_B, (OUTER + BLOCK_O - 1) // BLOCK_O
    tile, rest = tl.program_id(0) % tiles_b, tl.program_id(0) // tiles_b
    m, first = (rest // tiles_o).to(tl.int64), (rest % tiles_o) * BLOCK_O
    b = tile * BLOCK_B + tl.arange(0, BLOCK_B)[:, None]
    column = 2 * first + tl.arange(0, 2 * BLOCK_O)[None, :]
    p = tl.full((BLOCK_B, 2 * BLOCK_O), 0.0, out.dtype.element_ty)
    q = tl.full((BLOCK_B, 2 * BLOCK_O), 0.0, out.dtype.element_ty)
    for start in range(0, INNER, BLOCK_I):
        i = start + tl.arange(0, BLOCK_I)
        inside = (b < B) & (i[None, :] < INNER)
        at = (m * B + b) * INNER + i[None, :]
        real = tl.load(x_hat + at, mask=inside, other=0.0)
        imaginary = tl.load(x_hat + x_plane + at, mask=inside, other=0.0)
        inside = (i[:, None] < INNER) & (column < 2 * OUTER)
        pairs = tl.load(weight + (m * INNER + i[:, None]) * 2 * OUTER + column, mask=inside, other=0.0)
        p = tl.dot(real, pairs, p, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
        q = tl.dot(imaginary, pairs, q, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    p_r, p_i = tl.split(tl.reshape(p, (BLOCK_B, BLOCK_O, 2)))
    q_r, q_i = tl.split(tl.reshape(q, (BLOCK_B, BLOCK_O, 2)))
    o = first + tl.arange(0, BLOCK_O)[None, :]
    at, inside = (m * B + b) * OUTER + o, (b < B) & (o < OUTER)
    tl.store(out + at, p_r - q_i, mask=inside)
    tl.store(out + out_plane + at, p_i + q_r, mask=inside)


def mix(
    x_hat: Float[Tensor, "2 *k b i"],
    weight: Float[Tensor, "*k i o 2"],
    *,
    precision: str = "tf32x3",
    blocks: dict[str, int] | None = None,
) -> Float[Tensor, "2 *k b o"]:
    """`Y[k, b, o] = sum_i X[k, b, i] W[k, i, o]`, everything contiguous."""
    *modes, INNER, OUTER, _ = weight.shape
    B, M = x_hat.shape[-2], weight.numel() // max(2 * INNER * OUTER, 1)
    out = x_hat.new_empty(2, *modes, B, OUTER)
    blocks = blocks or config("mix", B=B, I=INNER, O=OUTER)
    programs = M * tiles(OUTER, blocks["BLOCK_O"]) * tiles(B, blocks["BLOCK_B"])
    _mix_kernel[(programs,)](
        x_hat, weight, out, M * B * INNER, M * B * OUTER, B, INNER, OUTER, PRECISION=precision, **blocks
    )
    return out


def mix_definition(x_hat: Float[Tensor, "2 *k b i"], weight: Float[Tensor, "*k i o 2"]) -> Float[Tensor, "2 *k b o"]:
    """What `mix` computes."""
    (x_r, x_i), (w_r, w_i) = x_hat.unbind(0), weight.unbind(-1)
    return torch.stack((x_r @ w_r - x_i @ w_i, x_r @ w_i + x_i @ w_r))

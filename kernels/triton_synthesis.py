"""The last axis of a synthesis and everything that follows it in a block, as one Triton kernel,

    y[b, o, s, n] = act( sum_j Y[s, j, b, o] S[j, n] + sum_i W[o, i] x[b, i, s, n] + bias[o] ),

with `s` the points of the leading axes. Both sums run into one accumulator; `x` is read once and `y` written once. What
goes into the GELU is written too where a backward pass will ask for it. With the matrix of the analysis in the place of
`S` and `W^T` in that of `W` it is the gradient in `x`.
"""

import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .triton_configs import config, tiles
from .triton_gelu import gelu as gelu_of


@triton.jit
def _synthesis_kernel(
    y_hat: tl.tensor,
    matrix: tl.tensor,
    x: tl.tensor,
    skip: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    pre: tl.tensor,
    B: tl.tensor,
    S: tl.tensor,
    J: tl.tensor,
    N: tl.tensor,
    INNER: tl.tensor,
    OUTER: tl.tensor,
    skip_o: tl.tensor,
    skip_i: tl.tensor,
    SKIP: tl.constexpr,
    BIAS: tl.constexpr,
    GELU: tl.constexpr,
    KEEP: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_J: tl.constexpr,
    BLOCK_I: tl.constexpr,
) -> None:
    tiles_o, tiles_n = (OUTER + BLOCK_O - 1) // BLOCK_O, (N + BLOCK_N - 1) // BLOCK_N
    tile, rest = tl.program_id(0) % tiles_o, tl.program_id(0) // tiles_o
    s, b = ((rest // tiles_n) % S).to(tl.int64), (rest // tiles_n // S).to(tl.int64)
    o = tile * BLOCK_O + tl.arange(0, BLOCK_O)[:, None]
    n = (rest % tiles_n) * BLOCK_N + tl.arange(0, BLOCK_N)[None, :]
    total = tl.full((BLOCK_O, BLOCK_N), 0.0, out.dtype.element_ty)
    for start in range(0, J, BLOCK_J):
        j = start + tl.arange(0, BLOCK_J)
        values = tl.load(
            y_hat + ((s * J + j[None, :]) * B + b) * OUTER + o, mask=(j[None, :] < J) & (o < OUTER), other=0.0
        )
        rows = tl.load(matrix + j[:, None] * N + n, mask=(j[:, None] < J) & (n < N), other=0.0)
        total = tl.dot(values, rows, total, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    if SKIP:
        for start in range(0, INNER, BLOCK_I):
            i = start + tl.arange(0, BLOCK_I)
            values = tl.load(
                skip + o * skip_o + i[None, :] * skip_i, mask=(i[None, :] < INNER) & (o < OUTER), other=0.0
            )
            rows = tl.load(
                x + ((b * INNER + i[:, None]) * S + s) * N + n, mask=(i[:, None] < INNER) & (n < N), other=0.0
            )
            total = tl.dot(values, rows, total, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    if BIAS:
        total += tl.load(bias + o, mask=o < OUTER, other=0.0)
    at, inside = ((b * OUTER + o) * S + s) * N + n, (o < OUTER) & (n < N)
    if KEEP:
        tl.store(pre + at, total, mask=inside)
    if GELU:
        total = gelu_of(total)
    tl.store(out + at, total, mask=inside)


def synthesise(
    y_hat: Float[Tensor, "s j b o"],
    matrix: Float[Tensor, "j n"],
    x: Float[Tensor, "b i s n"] | None = None,
    skip: Float[Tensor, "o i"] | None = None,
    bias: Float[Tensor, " o"] | None = None,
    *,
    gelu: bool = False,
    keep: bool = False,
    precision: str = "tf32x3",
    blocks: dict[str, int] | None = None,
) -> tuple[Float[Tensor, "b o s n"], Float[Tensor, "b o s n"] | None]:
    """The formula above, and with `keep` the argument of `act`; `x` and `skip` come together or not at all. All but
    `skip` contiguous.
    """
    S, J, B, OUTER = y_hat.shape
    N, INNER = matrix.shape[1], 1 if skip is None else skip.shape[1]
    out = y_hat.new_empty(B, OUTER, S, N)
    pre = y_hat.new_empty(B, OUTER, S, N) if keep else None
    blocks = blocks or config("synthesis", O=OUTER, N=N, J=J, I=INNER)
    programs = B * S * tiles(N, blocks["BLOCK_N"]) * tiles(OUTER, blocks["BLOCK_O"])
    _synthesis_kernel[(programs,)](
        y_hat, matrix, x, skip, bias, out, pre, B, S, J, N, INNER, OUTER, *((0, 0) if skip is None else skip.stride()),
        SKIP=skip is not None, BIAS=bias is not None, GELU=gelu, KEEP=keep, PRECISION=precision, **blocks,
    )  # fmt: skip
    return out, pre


def synthesise_definition(
    y_hat: Float[Tensor, "s j b o"],
    matrix: Float[Tensor, "j n"],
    x: Float[Tensor, "b i s n"] | None = None,
    skip: Float[Tensor, "o i"] | None = None,
    bias: Float[Tensor, " o"] | None = None,
    *,
    gelu: bool = False,
    keep: bool = False,
) -> tuple[Float[Tensor, "b o s n"], Float[Tensor, "b o s n"] | None]:
    """What `synthesise` computes."""
    y = (y_hat.permute(2, 3, 0, 1) @ matrix).contiguous()
    if skip is not None and x is not None:
        y = y + (skip @ x.flatten(2)).view(y.shape)
    if bias is not None:
        y = y + bias[:, None, None]
    return F.gelu(y) if gelu else y, y if keep else None

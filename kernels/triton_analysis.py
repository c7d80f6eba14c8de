"""A real matrix along one axis, `out[p, j, q] = sum_n A[j, n] v[p, n, q]`, as a Triton kernel, and with it the
truncated Fourier analysis of every axis.

`v` may be strided in any way, so one kernel takes the last axis of a field, `[1, n, rows]`, as well as a leading one.
It reads a field once and writes the few products. In the backward pass of a GELU `v` is multiplied on the way in by the
slope at `pre`, and the product, which others need, is written once.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from .triton_configs import config, tiles
from .triton_gelu import gelu_slope
from .truncated_dft import _merge, _split


@triton.jit
def _transform_kernel(
    v: tl.tensor,
    matrix: tl.tensor,
    pre: tl.tensor,
    product: tl.tensor,
    out: tl.tensor,
    J: tl.tensor,
    N: tl.tensor,
    Q: tl.tensor,
    v_p: tl.tensor,
    v_n: tl.tensor,
    v_q: tl.tensor,
    matrix_j: tl.tensor,
    matrix_n: tl.tensor,
    GELU: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_J: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_Q: tl.constexpr,
) -> None:
    tiles_j, tiles_q = (J + BLOCK_J - 1) // BLOCK_J, (Q + BLOCK_Q - 1) // BLOCK_Q
    tile, rest = tl.program_id(0) % tiles_j, tl.program_id(0) // tiles_j
    p = (rest // tiles_q).to(tl.int64)
    j = tile * BLOCK_J + tl.arange(0, BLOCK_J)[:, None]
    q = (rest % tiles_q).to(tl.int64) * BLOCK_Q + tl.arange(0, BLOCK_Q)[None, :]
    # One of the tiles that read the same values writes their product.
    owned = tl.where(tile == 0, Q, 0)
    total = tl.full((BLOCK_J, BLOCK_Q), 0.0, out.dtype.element_ty)
    for start in range(0, N, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        rows = tl.load(matrix + j * matrix_j + n[None, :] * matrix_n, mask=(j < J) & (n[None, :] < N), other=0.0)
        at = p * v_p + n[:, None].to(tl.int64) * v_n + q * v_q
        inside = (n[:, None] < N) & (q < Q)
        values = tl.load(v + at, mask=inside, other=0.0)
        if GELU:
            values *= gelu_slope(tl.load(pre + at, mask=inside, other=0.0))
            tl.store(product + at, values, mask=inside & (q < owned))
        total = tl.dot(rows, values, total, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    tl.store(out + (p * J + j) * Q + q, total, mask=(j < J) & (q < Q))


def transform(
    v: Float[Tensor, "p n q"],
    matrix: Float[Tensor, "j n"],
    pre: Float[Tensor, "p n q"] | None = None,
    *,
    precision: str = "tf32x3",
    blocks: dict[str, int] | None = None,
) -> tuple[Float[Tensor, "p j q"], Float[Tensor, "p n q"]]:
    """`A v`, and `v` itself; with `pre` both of `v gelu'(pre)`. All fields have the strides of `v`."""
    P, N, Q = v.shape
    J = len(matrix)
    out = v.new_empty(P, J, Q)
    product = v if pre is None else torch.empty_strided(v.shape, v.stride(), dtype=v.dtype, device=v.device)
    if pre is not None and pre.stride() != v.stride():
        raise ValueError(f"pre must have the strides {v.stride()} of v, got {pre.stride()}")
    blocks = blocks or config("analysis" if pre is None else "analysis_gelu", J=J, N=N, Q=Q)
    _transform_kernel[(P * tiles(Q, blocks["BLOCK_Q"]) * tiles(J, blocks["BLOCK_J"]),)](
        v, matrix, pre, product, out, J, N, Q, *v.stride(), *matrix.stride(),
        GELU=pre is not None, PRECISION=precision, **blocks,
    )  # fmt: skip
    return out, product


def transform_definition(
    v: Float[Tensor, "p n q"], matrix: Float[Tensor, "j n"], pre: Float[Tensor, "p n q"] | None = None
) -> tuple[Float[Tensor, "p j q"], Float[Tensor, "p n q"]]:
    """What `transform` computes."""
    v = v if pre is None else torch.ops.aten.gelu_backward(v, pre)
    return matrix @ v, v


def analyse(
    x: Float[Tensor, "b c *space"], matrices: Sequence[Tensor], pre: Tensor | None = None, precision: str = "tf32x3"
) -> tuple[Float[Tensor, "2 *k b c"], Float[Tensor, "b c *space"]]:
    """Planar coefficients of a contiguous field with channels first, and the field; with `pre` both of `x gelu'(pre)`.

    Every axis in its turn is the last one of what is left, and its coefficients go to the front.
    """
    axes, (batch, channels, *points) = len(matrices), x.shape
    columns = _last_axis(x, points[-1])
    v, product = transform(
        columns, matrices[-1], None if pre is None else _last_axis(pre, points[-1]), precision=precision
    )
    for axis in range(axes - 2, -1, -1):
        v, _ = transform(_last_axis(v, points[axis]), matrices[axis], precision=precision)
    v = v.view(*[size for matrix in matrices for size in (2, len(matrix) // 2)], batch, channels)
    for axis in range(axes - 2, -1, -1):
        v = _merge(v, 2 * axis, 2 * axis + 2)
    return v, product[0].T.view(x.shape)


def spread(
    y_hat: Float[Tensor, "2 *k b c"], matrices: Sequence[Tensor], precision: str = "tf32x3"
) -> Float[Tensor, "s j b c"]:
    """Synthesis along every axis but the last: `s` points of the leading axes, `j` rows of the last one's matrix."""
    axes, (batch, channels) = len(matrices), y_hat.shape[-2:]
    for axis in range(axes - 1):
        y_hat = _split(y_hat, 2 * axis)
    before, rows = 1, y_hat.numel()
    for matrix in matrices[:-1]:
        rows //= len(matrix)
        y_hat, _ = transform(y_hat.reshape(before, len(matrix), rows), matrix.T, precision=precision)
        before *= matrix.shape[1]
    return y_hat.reshape(before, len(matrices[-1]), batch, channels)


def _last_axis(x: Tensor, points: int) -> Tensor:
    """`[1, points, rows]`, without a copy."""
    return x.view(-1, points).T[None]

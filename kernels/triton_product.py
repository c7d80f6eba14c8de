"""A band-limited map times a local one, as one Triton kernel,

    y[b, o, s, n] = act( (sum_j Y[s, j, b, o] S[j, n] + bias[o]) (sum_i W[o, i] x[b, i, s, n]) ),

`s` the points of the leading axes. Both factors are made in accumulators and meet there: neither is ever written. A
backward pass makes them again, from the same coefficients, and writes with the same kernel what it needs of them: with
`g` the gradient of the argument of `act`, `G` and `L` the factors,

    gG = g L,    gL = g G.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .triton_configs import config, tiles
from .triton_gelu import gelu as gelu_of
from .triton_gelu import gelu_slope


@triton.jit
def _product_kernel(
    y_hat: tl.tensor,
    matrix: tl.tensor,
    x: tl.tensor,
    local: tl.tensor,
    bias: tl.tensor,
    gradient: tl.tensor,
    out: tl.tensor,
    other: tl.tensor,
    B: tl.tensor,
    S: tl.tensor,
    J: tl.tensor,
    N: tl.tensor,
    INNER: tl.tensor,
    OUTER: tl.tensor,
    BIAS: tl.constexpr,
    GELU: tl.constexpr,
    BACKWARD: tl.constexpr,
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
    far = tl.full((BLOCK_O, BLOCK_N), 0.0, out.dtype.element_ty)
    near = tl.full((BLOCK_O, BLOCK_N), 0.0, out.dtype.element_ty)
    for start in range(0, J, BLOCK_J):
        j = start + tl.arange(0, BLOCK_J)
        values = tl.load(
            y_hat + ((s * J + j[None, :]) * B + b) * OUTER + o, mask=(j[None, :] < J) & (o < OUTER), other=0.0
        )
        rows = tl.load(matrix + j[:, None] * N + n, mask=(j[:, None] < J) & (n < N), other=0.0)
        far = tl.dot(values, rows, far, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    for start in range(0, INNER, BLOCK_I):
        i = start + tl.arange(0, BLOCK_I)
        values = tl.load(local + o * INNER + i[None, :], mask=(i[None, :] < INNER) & (o < OUTER), other=0.0)
        rows = tl.load(x + ((b * INNER + i[:, None]) * S + s) * N + n, mask=(i[:, None] < INNER) & (n < N), other=0.0)
        near = tl.dot(values, rows, near, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
    if BIAS:
        far += tl.load(bias + o, mask=o < OUTER, other=0.0)
    at, inside = ((b * OUTER + o) * S + s) * N + n, (o < OUTER) & (n < N)
    if BACKWARD:
        slope = tl.load(gradient + at, mask=inside, other=0.0)
        if GELU:
            slope *= gelu_slope(far * near)
        tl.store(out + at, slope * near, mask=inside)
        tl.store(other + at, slope * far, mask=inside)
    else:
        y = far * near
        if GELU:
            y = gelu_of(y)
        tl.store(out + at, y, mask=inside)


def product(
    y_hat: Float[Tensor, "s j b o"],
    matrix: Float[Tensor, "j n"],
    x: Float[Tensor, "b i s n"],
    local: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"] | None = None,
    *,
    gelu: bool = False,
    precision: str = "tf32x3",
    blocks: dict[str, int] | None = None,
) -> Float[Tensor, "b o s n"]:
    """The formula above, everything contiguous."""
    out = y_hat.new_empty(y_hat.shape[2], y_hat.shape[3], y_hat.shape[0], matrix.shape[1])
    _launch((y_hat, matrix, x, local, bias), None, out, None, gelu, precision, blocks)
    return out


def product_backward(
    y_hat: Float[Tensor, "s j b o"],
    matrix: Float[Tensor, "j n"],
    x: Float[Tensor, "b i s n"],
    local: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"] | None,
    gradient: Float[Tensor, "b o s n"],
    *,
    gelu: bool = False,
    precision: str = "tf32x3",
    blocks: dict[str, int] | None = None,
) -> tuple[Float[Tensor, "b o s n"], Float[Tensor, "b o s n"]]:
    """`gG` and `gL` from the gradient of the result."""
    g_far, g_near = gradient.new_empty(gradient.shape), gradient.new_empty(gradient.shape)
    _launch((y_hat, matrix, x, local, bias), gradient, g_far, g_near, gelu, precision, blocks)
    return g_far, g_near


def _launch(
    factors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None],
    gradient: Tensor | None,
    out: Tensor,
    other: Tensor | None,
    gelu: bool,
    precision: str,
    blocks: dict[str, int] | None,
) -> None:
    y_hat, matrix, _, local, bias = factors
    (S, J, B, OUTER), N, INNER = y_hat.shape, matrix.shape[1], local.shape[1]
    blocks = blocks or config("product", O=OUTER, N=N, J=J, I=INNER)
    programs = B * S * tiles(N, blocks["BLOCK_N"]) * tiles(OUTER, blocks["BLOCK_O"])
    _product_kernel[(programs,)](
        *factors, gradient, out, other, B, S, J, N, INNER, OUTER,
        BIAS=bias is not None, GELU=gelu, BACKWARD=gradient is not None, PRECISION=precision, **blocks,
    )  # fmt: skip


def product_definition(
    y_hat: Float[Tensor, "s j b o"],
    matrix: Float[Tensor, "j n"],
    x: Float[Tensor, "b i s n"],
    local: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"] | None = None,
    *,
    gelu: bool = False,
) -> Float[Tensor, "b o s n"]:
    """What `product` computes."""
    far, near = factors_definition(y_hat, matrix, x, local, bias)
    return F.gelu(far * near) if gelu else far * near


def product_backward_definition(
    y_hat: Float[Tensor, "s j b o"],
    matrix: Float[Tensor, "j n"],
    x: Float[Tensor, "b i s n"],
    local: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"] | None,
    gradient: Float[Tensor, "b o s n"],
    *,
    gelu: bool = False,
) -> tuple[Float[Tensor, "b o s n"], Float[Tensor, "b o s n"]]:
    """What `product_backward` computes."""
    far, near = factors_definition(y_hat, matrix, x, local, bias)
    slope = torch.ops.aten.gelu_backward(gradient, far * near) if gelu else gradient
    return slope * near, slope * far


def factors_definition(
    y_hat: Tensor, matrix: Tensor, x: Tensor, local: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The band-limited factor and the local one."""
    far = y_hat.permute(2, 3, 0, 1) @ matrix
    near = (local @ x.flatten(2)).view(far.shape)
    return far if bias is None else far + bias[:, None, None], near

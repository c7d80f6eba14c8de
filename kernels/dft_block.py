"""`spectral_conv` with its transforms as matrix products: the fastest way on a CPU up to a hundred wavenumbers.

The block keeps what its backward pass needs and nothing else: the input, its few coefficients, and the field before the
GELU. The skip, the bias (in the coefficient `k = 0`) and the synthesis accumulate in one field. Inside, fields lie as
`[c, b, *space]`: then every product, there and back, is one of two matrices as they lie in memory.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .differentiation import activated, differentiable, gelu_backward, gradients_of, transformed, without_autocast
from .dual import dual, finished, only_dual, paired
from .field_dft import coefficients, field
from .mode_mix import mode_mix, mode_mix_backward
from .product import product
from .truncated_dft import analyse, analysis, synthesis, synthesise

Setting = tuple[tuple[int, ...], tuple[int, ...], bool]


def dft_block(
    x: Float[Tensor, "b i *space"],
    weight: Float[Tensor, "*k i o 2"],
    modes: Sequence[int],
    bias: Float[Tensor, " o"] | None,
    skip: Float[Tensor, "o i"] | None,
    gelu: bool,
    points: Sequence[int],
) -> Float[Tensor, "b o *out"]:
    """See `spectral_conv`; all of one type."""
    setting = (tuple(modes), tuple(points), gelu)
    if only_dual(x, (weight, bias, skip)):
        pair = block_of_pair(paired(x.transpose(0, 1)), weight, skip, modes, points)
        return dual(*finished(pair, bias, gelu)).transpose(0, 1)
    if transformed(x, weight, bias, skip):
        return plain(x.movedim(1, -1), weight, bias, skip, setting).movedim(-1, 1)
    v = x.transpose(0, 1).contiguous()
    if differentiable(x, weight, bias, skip):
        return _Block.apply(v, weight, bias, skip, setting).transpose(0, 1)
    z = block_forward(v, weight, bias, skip, setting)[0]
    return (activated(z, keep=False) if gelu else z).transpose(0, 1)


def plain(v: Tensor, weight: Tensor, bias: Tensor | None, skip: Tensor | None, setting: Setting) -> Tensor:
    """The block on fields with channels last, by operations that are differentiable in every way and to every order."""
    modes, points, gelu = setting
    y_hat = mode_mix(analyse(v, analysis(v.shape[1:-1], modes, v)), weight)
    y = synthesise(y_hat, synthesis(points, modes, v))
    if skip is not None:
        y = y + F.linear(v, skip, bias)
    elif bias is not None:
        y = y + bias
    return F.gelu(y) if gelu else y


def block_of_pair(
    pair: Tensor, weight: Tensor, skip: Tensor | None, modes: Sequence[int], points: Sequence[int]
) -> Tensor:
    """The linear part of the block, with the gradient by hand, on a pair of `dual`."""
    given = (pair, weight, None, skip, (tuple(modes), tuple(points), False))
    result: Tensor = _Block.apply(*given) if differentiable(*given[:-1]) else block_forward(*given)[0]
    return result


def block_definition(v: Tensor, weight: Tensor, bias: Tensor | None, skip: Tensor | None, setting: Setting) -> Tensor:
    """`plain` on fields as they lie here."""
    return plain(v.movedim(0, -1), weight, bias, skip, setting).movedim(-1, 0)


def block_forward(
    v: Tensor, weight: Tensor, bias: Tensor | None, skip: Tensor | None, setting: Setting
) -> tuple[Tensor, Tensor]:
    """What goes into the GELU, and the coefficients of `v`."""
    modes, points, _ = setting
    x_hat = coefficients(v, analysis(v.shape[2:], modes, v))
    y_hat = mode_mix(x_hat, weight)
    if bias is not None:
        # The mean of the field: real part at `k = 0`.
        y_hat.flatten(0, len(modes) - 1)[0, 0] += bias
    z = None if skip is None else product(skip, v.flatten(1).T).view(-1, *v.shape[1:])
    return field(y_hat, synthesis(points, modes, v), z), x_hat


class _Block(torch.autograd.Function):
    """The block, its gradient by hand."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, weight: Tensor, bias: Tensor | None, skip: Tensor | None, setting: Setting
    ) -> Tensor:
        z, x_hat = block_forward(v, weight, bias, skip, setting)
        gelu = setting[2]
        ctx.save_for_backward(v, weight, bias, skip, x_hat, z if gelu else None)
        ctx.setting = setting
        return F.gelu(z) if gelu else z

    @staticmethod
    @without_autocast
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        v, weight, bias, skip, x_hat, z = ctx.saved_tensors
        if torch.is_grad_enabled():
            tensors = (v, weight, bias, skip)
            return (*gradients_of(block_definition, tensors, ctx.setting, ctx.needs_input_grad, gradient), None)
        gradient = gelu_backward(gradient, z) if ctx.setting[2] else gradient.contiguous()
        wanted = ctx.needs_input_grad[0]
        return (*block_backward(gradient, v, weight, bias, skip, x_hat, ctx.setting, wanted), None)


def block_backward(
    gradient: Tensor,
    v: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    skip: Tensor | None,
    x_hat: Tensor,
    setting: Setting,
    wanted: bool,
) -> tuple[Tensor | None, ...]:
    """Gradients of `v`, where that is wanted, and of what follows it, of that of the GELU's argument."""
    modes, points, _ = setting
    g_hat = coefficients(gradient, synthesis(points, modes, v))
    g_x_hat, g_weight = mode_mix_backward(g_hat, x_hat, weight)
    g_v = g_skip = None
    if skip is not None:
        rows = gradient.flatten(1)
        g_v = product(skip.T, rows.T).view(v.shape) if wanted else None
        g_skip = product(rows, v.flatten(1))
    if wanted:
        g_v = field(g_x_hat, analysis(v.shape[2:], modes, v), g_v)
    g_bias = None if bias is None else g_hat.flatten(0, len(modes) - 1)[0, 0].sum(0)
    return g_v, g_weight, g_bias, g_skip

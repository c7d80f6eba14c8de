"""`spectral_conv` with its transforms as matrix products: the fastest way on a CPU up to some thirty wavenumbers.

The block keeps what its backward pass needs and nothing else: the input, its few coefficients, and the field before the
GELU. The skip, the bias (in the coefficient `k = 0`) and the synthesis accumulate in one field. Channels come last,
which saves the transposes around every product.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .differentiation import differentiable, gelu_backward, gradients_of, without_autocast
from .mode_mix import mode_mix, mode_mix_backward
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
    v, setting = x.movedim(1, -1).contiguous(), (tuple(modes), tuple(points), gelu)
    if differentiable(x, weight, bias, skip):
        y = _Block.apply(v, weight, bias, skip, setting)
    else:
        y = plain(v, weight, bias, skip, setting)
    return y.movedim(-1, 1)


def plain(v: Tensor, weight: Tensor, bias: Tensor | None, skip: Tensor | None, setting: Setting) -> Tensor:
    """The block by operations that are differentiable in every way and to every order."""
    modes, points, gelu = setting
    y_hat = mode_mix(analyse(v, analysis(v.shape[1:-1], modes, v)), weight)
    y = synthesise(y_hat, synthesis(points, modes, v))
    if skip is not None:
        y = y + F.linear(v, skip, bias)
    elif bias is not None:
        y = y + bias
    return F.gelu(y) if gelu else y


class _Block(torch.autograd.Function):
    """The block, its gradient by hand."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, weight: Tensor, bias: Tensor | None, skip: Tensor | None, setting: Setting
    ) -> Tensor:
        modes, points, gelu = setting
        x_hat = analyse(v, analysis(v.shape[1:-1], modes, v))
        y_hat = mode_mix(x_hat, weight)
        if bias is not None:
            # The mean of the field: real part at `k = 0`.
            y_hat.flatten(0, len(modes) - 1)[0, 0] += bias
        z = None if skip is None else F.linear(v, skip)
        z = synthesise(y_hat, synthesis(points, modes, v), z)
        ctx.save_for_backward(v, weight, bias, skip, x_hat, z if gelu else None)
        ctx.setting = setting
        return F.gelu(z) if gelu else z

    @staticmethod
    @without_autocast
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        v, weight, bias, skip, x_hat, z = ctx.saved_tensors
        if torch.is_grad_enabled():
            tensors = (v, weight, bias, skip)
            return (*gradients_of(plain, tensors, ctx.setting, ctx.needs_input_grad, gradient), None)
        modes, points, gelu = ctx.setting
        gradient = gelu_backward(gradient, z) if gelu else gradient.contiguous()
        g_hat = analyse(gradient, synthesis(points, modes, v))
        g_x_hat, g_weight = mode_mix_backward(g_hat, x_hat, weight)
        g_v = g_skip = None
        if skip is not None:
            rows = gradient.flatten(0, -2)
            g_v, g_skip = gradient @ skip, rows.T @ v.flatten(0, -2)
        if ctx.needs_input_grad[0]:
            g_v = synthesise(g_x_hat, analysis(v.shape[1:-1], modes, v), g_v)
        g_bias = None if bias is None else g_hat.flatten(0, len(modes) - 1)[0, 0].sum(0)
        return g_v, g_weight, g_bias, g_skip, None

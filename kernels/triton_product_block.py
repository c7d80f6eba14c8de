"""`act( (synthesise(mix(analyse(x))) + bias) (W x) )`, a spectral convolution times a local map, on Triton kernels.

Backward the factors are made again from the few coefficients of the forward pass: their gradients are written, they are
not kept. From there on it is the backward pass of a spectral block whose skip is `W`, with a gradient of its own for
each term.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .dft_block import Setting, plain
from .differentiation import differentiable, gradients_of
from .triton_analysis import analyse, spread
from .triton_block import check, matrices, transformed
from .triton_mix import mix
from .triton_mix_adjoint import mix_adjoint
from .triton_product import product, product_backward
from .triton_synthesis import synthesise
from .triton_weight_gradient import weight_gradient


def triton_product_block(
    x: Float[Tensor, "b i *space"],
    weight: Float[Tensor, "*k i o 2"],
    modes: Sequence[int],
    local: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"] | None,
    gelu: bool,
    points: Sequence[int],
    precision: str = "tf32x3",
) -> Float[Tensor, "b o *space"]:
    """The formula above; types and `precision` as in `triton_block`, and `points` are those of `x`."""
    tensors, setting = (x, weight, bias, local), (tuple(modes), tuple(points), gelu)
    check(x, local, points)
    if transformed(*tensors):
        return product_block_definition(*tensors, setting)
    keep = differentiable(*tensors)
    there, back = (matrices(x, points, modes, way) for way in (False, True))
    y: Tensor = product_block(x, weight, bias, local, there, back, gelu, keep, precision)[0]
    return y


def product_block_definition(x: Tensor, weight: Tensor, bias: Tensor | None, local: Tensor, setting: Setting) -> Tensor:
    """The block by plain operations on fields with channels first."""
    v, (modes, points, gelu) = x.movedim(1, -1), setting
    y = plain(v, weight, bias, None, (modes, points, False)) * F.linear(v, local)
    return (F.gelu(y) if gelu else y).movedim(-1, 1)


@torch.library.custom_op("rollwave::product_block", mutates_args=())
def product_block(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    local: Tensor,
    there: Sequence[Tensor],
    back: Sequence[Tensor],
    gelu: bool,
    keep: bool,
    precision: str,
) -> tuple[Tensor, Tensor]:
    """The block, and where it is kept for a backward pass the coefficients of `x`."""
    with torch.cuda.device_of(x):
        x_hat, _ = analyse(x.contiguous(), there, precision=precision)
        y_hat = spread(mix(x_hat, weight.contiguous(), precision=precision), back, precision)
        y = product(y_hat, back[-1], _flat(x), local.contiguous(), _dense(bias), gelu=gelu, precision=precision)
    return y.view(*y.shape[:2], *x.shape[2:]), x_hat if keep else x.new_empty(0)


@product_block.register_fake
def _(x, weight, bias, local, there, back, gelu, keep, precision):  # type: ignore[no-untyped-def]
    x_hat = (2, *weight.shape[:-3], *x.shape[:2])
    return x.new_empty((x.shape[0], weight.shape[-2], *x.shape[2:])), x.new_empty(x_hat if keep else 0)


@torch.library.custom_op("rollwave::product_block_backward", mutates_args=())
def product_block_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    local: Tensor,
    x_hat: Tensor,
    there: Sequence[Tensor],
    back: Sequence[Tensor],
    gelu: bool,
    wants_x: bool,
    precision: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients in `x` (empty where it is not wanted), the weight, the bias and the local map."""
    with torch.cuda.device_of(x):
        y_hat = spread(mix(x_hat, weight.contiguous(), precision=precision), back, precision)
        given = (y_hat, back[-1], _flat(x), local.contiguous(), _dense(bias), _flat(gradient))
        g_far, g_near = product_backward(*given, gelu=gelu, precision=precision)
        g_hat, _ = analyse(g_far.view(gradient.shape), back, precision=precision)
        g_weight = weight_gradient(x_hat, g_hat, precision=precision)
        g_x = x.new_empty(0)
        if wants_x:
            spread_hat = spread(mix_adjoint(g_hat, weight.contiguous(), precision=precision), there, precision)
            g_x = synthesise(spread_hat, there[-1], g_near, local.T, precision=precision)[0].view(x.shape)
        g_local = (g_near.flatten(2) @ x.flatten(2).mT).sum(0)
    return g_x, g_weight, g_hat[0].flatten(0, -3)[0].sum(0), g_local


@product_block_backward.register_fake
def _(gradient, x, weight, bias, local, x_hat, there, back, gelu, wants_x, precision):  # type: ignore[no-untyped-def]
    g_x, g_bias = x.new_empty(x.shape if wants_x else 0), weight.new_empty(weight.shape[-2])
    return g_x, weight.new_empty(weight.shape), g_bias, local.new_empty(local.shape)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, local, there, back, gelu, keep, precision = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, weight, bias, local, output[1], *there, *back)
    ctx.setting = (gelu, keep, precision)


def _backward(ctx: Any, gradient: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    x, weight, bias, local, x_hat, *both = ctx.saved_tensors
    gelu, keep, precision = ctx.setting
    there, back = both[: len(both) // 2], both[len(both) // 2 :]
    rest = ([None] * len(there), [None] * len(back), None, None, None)
    if gradient is None:
        return None, None, None, None, *rest
    if torch.is_grad_enabled():
        setting, wanted = (
            (tuple(len(matrix) // 2 - 1 for matrix in back), tuple(x.shape[2:]), gelu),
            ctx.needs_input_grad[:4],
        )
        return (*gradients_of(product_block_definition, (x, weight, bias, local), setting, wanted, gradient), *rest)
    if not keep:
        raise RuntimeError("product_block was called with keep=False, and so without what its backward pass needs")
    g_x, g_weight, g_bias, g_local = product_block_backward(
        gradient, x, weight, bias, local, x_hat, there, back, gelu, ctx.needs_input_grad[0], precision
    )
    return g_x if ctx.needs_input_grad[0] else None, g_weight, None if bias is None else g_bias, g_local, *rest


product_block.register_autograd(_backward, setup_context=_setup)


def _flat(x: Tensor) -> Tensor:
    """Leading axes as one, `[b, c, s, n]`."""
    return x.contiguous().view(*x.shape[:2], -1, x.shape[-1])


def _dense(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.contiguous()

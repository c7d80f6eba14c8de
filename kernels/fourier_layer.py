"""A whole layer of a Fourier neural operator on a CPU, with one gradient by hand.

    y = s(g v + M a),    a = s(K v + W v)

`K` is a spectral convolution, `W` a matrix of the channels, `M` two of them with a GELU between, `g` one number a
channel, `s` the GELU or nothing. Of a layer's fields only the input and the arguments of both `s` wait for the backward
pass, and the gradients of all that reads `v` accumulate in one field.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .choice import choose
from .dft_block import Setting, block_backward, block_definition, block_forward, block_of_pair
from .differentiation import (
    activated,
    differentiable,
    gelu_backward,
    gradients_of,
    transformed,
    wants_gelu,
    without_autocast,
)
from .dual import dual, finished, only_dual, paired
from .pointwise import mlp_backward, mlp_definition, mlp_forward, mlp_of_pair, pointwise_mlp
from .spectral_conv import spectral_conv


def fourier_layer(
    v: Float[Tensor, "b c *space"],
    modes: Sequence[int],
    *,
    spectral: tuple[Float[Tensor, "*k c c 2"], Float[Tensor, " c"]],
    skip: Float[Tensor, "c c"],
    network: tuple[Float[Tensor, "h c"], Float[Tensor, " h"], Float[Tensor, "c h"], Float[Tensor, " c"]],
    gate: Float[Tensor, " c"],
    act: str | None,
) -> Float[Tensor, "b c *space"]:
    """The formula above, of `spectral_conv` and `pointwise_mlp`, which compute it wherever one gradient will not do.

    Args:
        spectral: weight and bias of `K`, as `spectral_conv` has them.
        network: weights and biases of `M`, as `pointwise_mlp` has them.
        act: "gelu", or None for both `s`.
    """
    tensors = (v, *spectral, skip, *network, gate)
    setting = (tuple(modes), tuple(v.shape[2:]), wants_gelu(act))
    by_hand = _by_hand(*tensors, modes=modes)
    if by_hand and only_dual(v, tensors[1:]):
        pair = paired(v.transpose(0, 1))
        inner = finished(block_of_pair(pair, spectral[0], skip, modes, v.shape[2:]), spectral[1], setting[2])
        return dual(*mlp_of_pair(torch.cat(inner, dim=1), *network, gate, pair, setting[2])).transpose(0, 1)
    if not by_hand or transformed(*tensors):
        mixed = spectral_conv(v, spectral[0], modes, bias=spectral[1], skip=skip, act=act)
        return pointwise_mlp(mixed, *network, gate=gate, source=v, act=act)
    field = v.transpose(0, 1).contiguous()
    given = (field, *tensors[1:], setting)
    y: Tensor = _Layer.apply(*given) if differentiable(*tensors) else _forward(*given, keep=False)[0]
    return y.transpose(0, 1)


def _by_hand(*tensors: Tensor, modes: Sequence[int]) -> bool:
    """Whether it is one type on a CPU, with transforms by matrices."""
    device, dtype = tensors[0].device, tensors[0].dtype
    alike = dtype in (torch.float32, torch.float64) and all(tensor.dtype == dtype for tensor in tensors)
    if device.type != "cpu" or not alike or torch.is_autocast_enabled("cpu"):
        return False
    return choose(device, modes).backend == "dft"


def _definition(v: Tensor, weight: Tensor, bias: Tensor, skip: Tensor, *rest: Any) -> Tensor:
    """The layer by operations that are differentiable to every order, on fields as they lie here."""
    *network, gate, setting = rest
    a = block_definition(v, weight, bias, skip, setting).flatten(1)
    return mlp_definition(a, *network, gate, v.flatten(1), setting[2]).view(v.shape)


def _forward(v: Tensor, weight: Tensor, bias: Tensor, skip: Tensor, *rest: Any, keep: bool) -> tuple[Tensor, ...]:
    """The layer, the coefficients of its input, and the arguments of both `s`, overwritten unless they are kept."""
    *network, gate, setting = rest
    gelu = setting[2]
    inner, v_hat = block_forward(v, weight, bias, skip, setting)
    a = activated(inner, keep=keep) if gelu else inner
    y, outer = mlp_forward(a.flatten(1), *network, gate, v.flatten(1), gelu, keep)
    return y.view(v.shape), v_hat, inner, outer


class _Layer(torch.autograd.Function):
    """The layer on fields `[c, b, *space]`."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, weight: Tensor, bias: Tensor, skip: Tensor, *rest: Any) -> Tensor:
        y, v_hat, inner, outer = _forward(v, weight, bias, skip, *rest, keep=True)
        *weights, ctx.setting = rest
        ctx.save_for_backward(v, weight, bias, skip, *weights, v_hat, inner, outer if ctx.setting[2] else None)
        return y

    @staticmethod
    @without_autocast
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, v_hat, inner, outer = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (*gradients_of(_definition, tensors, ctx.setting, ctx.needs_input_grad, gradient), None)
        return (*_gradients(tensors, v_hat, inner, outer, gradient, ctx.setting), None)


def _gradients(
    tensors: Sequence[Tensor], v_hat: Tensor, inner: Tensor, outer: Tensor | None, gradient: Tensor, setting: Setting
) -> list[Tensor | None]:
    """Of everything that went in."""
    v, weight, bias, skip, first, first_bias, second, _, gate = tensors
    gelu = setting[2]
    g = gradient.contiguous() if outer is None else gelu_backward(gradient, outer.view(v.shape))
    a = F.gelu(inner) if gelu else inner
    g_a, *g_network = mlp_backward(g.flatten(1), a.flatten(1), first, first_bias, second, True)
    assert g_a is not None
    g_gate = torch.mul(g, v, out=a if gelu else None).flatten(1).sum(1)
    g_a = g_a.view(v.shape)
    if gelu:
        torch.ops.aten.gelu_backward.grad_input(g_a, inner, grad_input=g_a)
    g_v, *g_block = block_backward(g_a, v, weight, bias, skip, v_hat, setting, True)
    assert g_v is not None
    g_v.flatten(1).addcmul_(gate[:, None], g.flatten(1))
    return [g_v, *g_block, *g_network, g_gate]

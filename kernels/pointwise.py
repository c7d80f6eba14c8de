"""Maps of the channels at every point.

    y = act(W_2 gelu(W_1 x + b_1) + b_2 + g s)

On a CPU fields that lie in memory as `[c, b, *space]` are multiplied as one matrix, and stay that way; elsewhere the
batch comes first. A convolution of size one computes the same, several times slower on a CPU.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

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
from .product import product


def pointwise(
    x: Float[Tensor, "b i *space"], weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None = None
) -> Float[Tensor, "b o *space"]:
    """`y_o = b_o + sum_i W_oi x_i`."""
    if x.device.type == "cpu" and not x.is_contiguous():
        v = x.transpose(0, 1)
        rows = torch.mm(weight, v.flatten(1)) if bias is None else torch.addmm(bias[:, None], weight, v.flatten(1))
        return rows.view(-1, *v.shape[1:]).transpose(0, 1)
    columns, matrix = x.flatten(2), weight.expand(x.shape[0], -1, -1)
    y = torch.bmm(matrix, columns) if bias is None else torch.baddbmm(bias[:, None], matrix, columns)
    return y.reshape(*y.shape[:2], *x.shape[2:])


def pointwise_mlp(
    x: Float[Tensor, "b i *space"],
    first: Float[Tensor, "h i"],
    first_bias: Float[Tensor, " h"],
    second: Float[Tensor, "o h"],
    second_bias: Float[Tensor, " o"],
    *,
    gate: Float[Tensor, " o"] | None = None,
    source: Float[Tensor, "b o *space"] | None = None,
    act: str | None = None,
) -> Float[Tensor, "b o *space"]:
    """The formula above; `g s` is left out where there is no gate, `act` is the GELU or nothing."""
    gelu = wants_gelu(act)
    tensors = (x, first, first_bias, second, second_bias, gate, source)
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return _plain(*tensors, gelu)
    if only_dual(x, tensors[1:-1]):
        beside = None if source is None else paired(source.transpose(0, 1))
        return dual(*mlp_of_pair(paired(x.transpose(0, 1)), *tensors[1:-1], beside, gelu)).transpose(0, 1)
    if transformed(*tensors):
        return _plain(*tensors, gelu)
    # Rows are channels.
    v, s = (None if field is None else field.transpose(0, 1).contiguous() for field in (x, source))
    assert v is not None
    tensors = (v.flatten(1), *tensors[1:-1], None if s is None else s.flatten(1))
    y = _MLP.apply(*tensors, gelu) if differentiable(*tensors) else mlp_forward(*tensors, gelu, False)[0]
    return y.view(-1, *v.shape[1:]).transpose(0, 1)


def _plain(x: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor, *rest: Any) -> Tensor:
    """The formula on fields with the batch first, differentiable in every way and to every order."""
    gate, source, gelu = rest
    y = pointwise(F.gelu(pointwise(x, first, first_bias)), second, second_bias)
    y = y if gate is None else y + gate.reshape(-1, *[1] * (x.ndim - 2)) * source
    return F.gelu(y) if gelu else y


def mlp_of_pair(pair: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """Value and tangent of the formula, of pairs of `dual`."""
    first, first_bias, second, second_bias, gate, source, gelu = rest
    hidden = torch.cat(finished(_rows(first, pair), first_bias, gelu=True), dim=1)
    y = _rows(second, hidden)
    if gate is not None:
        y = torch.addcmul(y, gate.reshape(-1, *[1] * (y.ndim - 1)), source)
    return finished(y, second_bias, gelu)


def _rows(weight: Tensor, v: Tensor) -> Tensor:
    """A linear map of the channels of `[i, b, *space]`."""
    return torch.mm(weight, v.flatten(1)).view(-1, *v.shape[1:])


def mlp_definition(x: Tensor, *rest: Any) -> Tensor:
    """`_plain` on rows."""
    *weights, gate, source, gelu = rest
    return _plain(x[None], *weights, gate, None if source is None else source[None], gelu)[0]


def mlp_forward(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """The formula on rows, and what goes into its last GELU; the same memory unless that is to be kept."""
    first, first_bias, second, second_bias, gate, source, gelu, keep = rest
    hidden = activated(product(first, x.T).add_(first_bias[:, None]), keep=False)
    z = product(second, hidden.T).add_(second_bias[:, None])
    if gate is not None:
        z.addcmul_(gate[:, None], source)
    return activated(z, keep=keep) if gelu else z, z


class _MLP(torch.autograd.Function):
    """The formula on rows, its gradient by hand.

    The hidden rows are made again for the backward pass: memory that a step does not ask for costs nothing.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *rest: Any) -> Tensor:
        y, z = mlp_forward(x, *rest, True)
        *weights, gate, source, gelu = rest
        ctx.save_for_backward(x, *weights, gate, source, z if gelu else None)
        ctx.gelu = gelu
        return y

    @staticmethod
    @without_autocast
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, first, first_bias, second, second_bias, gate, source, z = ctx.saved_tensors
        if torch.is_grad_enabled():
            tensors = (x, first, first_bias, second, second_bias, gate, source)
            return (*gradients_of(mlp_definition, tensors, ctx.gelu, ctx.needs_input_grad, gradient), None)
        g = gradient.contiguous() if z is None else gelu_backward(gradient, z)
        g_x, *g_weights = mlp_backward(g, x, first, first_bias, second, ctx.needs_input_grad[0])
        if source is None:
            return g_x, *g_weights, None, None, None
        products = g * source
        return g_x, *g_weights, products.sum(1), torch.mul(g, gate[:, None], out=products), None


def mlp_backward(
    g: Tensor, x: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, wanted: bool
) -> tuple[Tensor | None, ...]:
    """Gradients of `x`, where that is wanted, and of weights and biases, of that of the last GELU's argument."""
    hidden = product(first, x.T).add_(first_bias[:, None])
    g_second = product(g, F.gelu(hidden))
    g_hidden = product(second.T, g.T)
    torch.ops.aten.gelu_backward.grad_input(g_hidden, hidden, grad_input=g_hidden)
    g_x = product(first.T, g_hidden.T) if wanted else None
    return g_x, product(g_hidden, x), g_hidden.sum(1), g_second, g.sum(1)

"""Maps of the channels at every point.

    y = act(W_2 gelu(W_1 x + b_1) + b_2 + g s)

On a CPU fields whose channels lie last in memory are multiplied as one matrix, and stay that way; elsewhere channels
come first. A convolution of size one computes the same, several times slower on a CPU.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .differentiation import differentiable, gradients_of, wants_gelu, without_autocast

# Numbers of a field that are worked on together; measured on cores with 1 MiB of second-level cache.
PIECE = 2**18


def pointwise(
    x: Float[Tensor, "b i *space"], weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None = None
) -> Float[Tensor, "b o *space"]:
    """`y_o = b_o + sum_i W_oi x_i`."""
    if x.device.type == "cpu" and not x.is_contiguous():
        return F.linear(x.movedim(1, -1), weight, bias).movedim(-1, 1)
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
    if x.device.type != "cpu":
        y = pointwise(F.gelu(pointwise(x, first, first_bias)), second, second_bias)
        y = y if gate is None or source is None else y + gate.reshape(-1, *[1] * (x.ndim - 2)) * source
        return F.gelu(y) if gelu else y
    rows = x.movedim(1, -1).contiguous()
    added = None if source is None else source.movedim(1, -1).contiguous()
    tensors = (rows, first, first_bias, second, second_bias, gate, added)
    by_hand = differentiable(*tensors) and not torch.is_autocast_enabled("cpu")
    y = _MLP.apply(*tensors, gelu) if by_hand else _plain(*tensors, gelu)
    return y.movedim(-1, 1)


def _plain(x: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor, *rest: Any) -> Tensor:
    """The formula on fields with channels last, differentiable in every way and to every order."""
    gate, source, gelu = rest
    y = F.linear(F.gelu(F.linear(x, first, first_bias)), second, second_bias)
    y = y if gate is None else y + gate * source
    return F.gelu(y) if gelu else y


class _MLP(torch.autograd.Function):
    """The formula on fields with channels last, its gradient by hand.

    Rows are taken in pieces that stay in the cache, and the hidden ones are made again for the backward pass: memory
    that a step does not ask for costs nothing.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *rest: Any) -> Tensor:
        first, first_bias, second, second_bias, gate, source, gelu = rest
        y = x.new_empty(*x.shape[:-1], len(second))
        z = torch.empty_like(y) if gelu else y
        for x_, y_, z_, source_ in pieces(x, y, z, source):
            active = F.gelu(torch.addmm(first_bias, x_, first.T))
            torch.addmm(second_bias, active, second.T, out=z_)
            if source_ is not None:
                z_.addcmul_(gate, source_)
            if gelu:
                torch.ops.aten.gelu.out(z_, out=y_)
        ctx.save_for_backward(x, first, first_bias, second, second_bias, gate, source, z if gelu else None)
        ctx.gelu = gelu
        return y

    @staticmethod
    @without_autocast
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, first, first_bias, second, second_bias, gate, source, z = ctx.saved_tensors
        if torch.is_grad_enabled():
            tensors = (x, first, first_bias, second, second_bias, gate, source)
            return (*gradients_of(_plain, tensors, ctx.gelu, ctx.needs_input_grad, gradient), None)
        g_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        g_source = None if source is None else torch.empty_like(source)
        g_first, g_first_bias = torch.zeros_like(first), torch.zeros_like(first_bias)
        g_second, g_second_bias = torch.zeros_like(second), torch.zeros_like(second_bias)
        g_gate = None if gate is None else torch.zeros_like(gate)
        for x_, g_, z_, source_, g_x_, g_source_ in pieces(x, gradient.contiguous(), z, source, g_x, g_source):
            hidden = torch.addmm(first_bias, x_, first.T)
            g_ = g_ if z_ is None else torch.ops.aten.gelu_backward(g_, z_)
            g_second.addmm_(g_.T, F.gelu(hidden))
            g_second_bias += g_.sum(0)
            g_hidden = torch.ops.aten.gelu_backward(g_ @ second, hidden)
            g_first.addmm_(g_hidden.T, x_)
            g_first_bias += g_hidden.sum(0)
            if g_x_ is not None:
                torch.mm(g_hidden, first, out=g_x_)
            if source_ is not None:
                g_gate += (g_ * source_).sum(0)
                torch.mul(g_, gate, out=g_source_)
        return g_x, g_first, g_first_bias, g_second, g_second_bias, g_gate, g_source, None


def pieces(*fields: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """Some rows of every field at a time; None stays None."""
    rows = [None if field is None else field.flatten(0, -2) for field in fields]
    given = [row for row in rows if row is not None]
    size = max(1, PIECE // max(row.shape[1] for row in given))
    for start in range(0, len(given[0]), size):
        yield tuple(None if row is None else row[start : start + size] for row in rows)

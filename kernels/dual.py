"""Dual numbers `u + epsilon t`, `epsilon^2 = 0`, through layers that are linear in the field but for a bias and a GELU.

A linear map does to the tangent what it does to the value, so both go through it as one batch, with the gradient that
the map has anyway. That is two passes' arithmetic in the calls of one. Fields lie as `[c, b, *space]`, and a pair has
the tangents of the batch after its values.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F


def only_dual(field: Tensor, others: Sequence[Tensor | None]) -> bool:
    """Whether forward mode is at work on the field and on nothing else, and no transform of `torch.func`."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    return _tangent(field) is not None and all(other is None or _tangent(other) is None for other in others)


def paired(field: Float[Tensor, "c b *space"]) -> Float[Tensor, "c 2b *space"]:
    """A dual field as a pair; one without a tangent has zeros for it."""
    value, tangent = forward_ad.unpack_dual(field)
    return torch.cat([value, torch.zeros_like(value) if tangent is None else tangent], dim=1)


def finished(
    pair: Float[Tensor, "c 2b *space"], bias: Float[Tensor, " c"] | None, gelu: bool
) -> tuple[Float[Tensor, "c b *space"], Float[Tensor, "c b *space"]]:
    """Value and tangent of `s(z + bias)`, with `s` the GELU or nothing."""
    z, tangent = pair.chunk(2, dim=1)
    z = z.contiguous() if bias is None else z + bias.reshape(-1, *[1] * (z.ndim - 1))
    if not gelu:
        return z, tangent.contiguous()
    # `s(z + epsilon t) = s(z) + epsilon s'(z) t`.
    return F.gelu(z), torch.ops.aten.gelu_backward(tangent.contiguous(), z)


def dual(value: Tensor, tangent: Tensor) -> Tensor:
    """The dual number, of two tensors that share no memory."""
    result: Tensor = forward_ad.make_dual(value, tangent)
    return result


def _tangent(tensor: Tensor) -> Tensor | None:
    found: Tensor | None = forward_ad.unpack_dual(tensor).tangent
    return found

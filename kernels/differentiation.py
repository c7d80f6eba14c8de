"""When a gradient by hand will do."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F


def differentiable(*tensors: Tensor | None) -> bool:
    """Whether plain backward derivatives are wanted, which a gradient by hand gives: no forward mode, no transform of
    `torch.func`.
    """
    wanted = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)
    return wanted and not transformed(*tensors)


def transformed(*tensors: Tensor | None) -> bool:
    """Whether `torch.func` or forward mode is at work, which see into an operation."""
    if torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return True
    return any(tensor is not None and forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors)


def without_autocast(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A gradient by hand in the types of its forward pass, wherever it is called."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, gradient: Tensor) -> Any:
        with torch.autocast(gradient.device.type, enabled=False):
            return backward(ctx, gradient)

    return wrapped


def activated(z: Tensor, *, keep: bool) -> Tensor:
    """The GELU, in the memory of `z` unless that is to be kept."""
    y: Tensor = F.gelu(z) if keep else torch.ops.aten.gelu_(z)
    return y


def gelu_backward(gradient: Tensor, z: Tensor) -> Tensor:
    """`gradient (Phi(z) + z phi(z))`."""
    result: Tensor = torch.ops.aten.gelu_backward(gradient.contiguous(), z)
    return result


def gradients_of(
    function: Callable[..., Tensor],
    tensors: Sequence[Tensor | None],
    setting: Any,
    wanted: Sequence[bool],
    gradient: Tensor,
) -> list[Tensor | None]:
    """Gradients of `function(*tensors, setting)` that can be differentiated again, None where they are not wanted."""
    # Views, so that the graph ends at them and not at what they were made from.
    given = [tensor if tensor is None else tensor.view_as(tensor) for tensor in tensors]
    among = [tensor for tensor, needed in zip(given, wanted, strict=False) if needed and tensor is not None]
    found = iter(torch.autograd.grad(function(*given, setting), among, gradient, create_graph=True))
    return [next(found) if needed and t is not None else None for t, needed in zip(given, wanted, strict=False)]


def wants_gelu(act: str | None) -> bool:
    """Whether an activation is named; the GELU is the only one."""
    if act not in (None, "gelu"):
        raise ValueError(f'act must be None or "gelu", got {act!r}')
    return act is not None

"""`spectral_conv` on Triton kernels, channels first: three launches in one space dimension, none of which copies a
field.

Forward: `analyse` reads `x`; `mix` reads the weights; `synthesise` reads `x` once more for the skip and writes the
result, and for the backward pass the argument of the GELU. Backward: `analyse` of the gradient, times the slope of the
GELU on the way in; `mix_adjoint` and `weight_gradient`; and `synthesise` for the gradient in `x`, with the matrices of
the analysis and the transposed skip. The bias' gradient is the coefficient `k = 0`. Nothing is added in an order that
could change.

Kernels only see whole operations of PyTorch with a shape rule, so `torch.compile` goes through them. Whatever asks for
more than one backward pass (second derivatives, forward mode, `torch.func`) gets the same block from plain operations.
"""

from collections.abc import Sequence
from operator import index
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from .dft_block import Setting, plain
from .differentiation import differentiable, gradients_of
from .triton_analysis import analyse, spread
from .triton_mix import mix
from .triton_mix_adjoint import mix_adjoint
from .triton_synthesis import synthesise
from .triton_weight_gradient import weight_gradient
from .truncated_dft import analysis, synthesis


def triton_block(
    x: Float[Tensor, "b i *space"],
    weight: Float[Tensor, "*k i o 2"],
    modes: Sequence[int],
    bias: Float[Tensor, " o"] | None,
    skip: Float[Tensor, "o i"] | None,
    gelu: bool,
    points: Sequence[int],
    precision: str = "tf32x3",
) -> Float[Tensor, "b o *out"]:
    """See `spectral_conv`; all of one type, float32, or float64 where the kernels are interpreted. `precision` is that
    of the products: "tf32x3" and "ieee" keep float32, "tf32" loses the weak high wavenumbers of a smooth field.

    Raises `ValueError` where a skip meets another grid, `TypeError` for float64 on a GPU.
    """
    tensors, setting = (x, weight, bias, skip), (tuple(modes), tuple(points), gelu)
    check(x, skip, points)
    if transformed(*tensors):
        return block_definition(*tensors, setting)
    keep = differentiable(*tensors)
    there, back = (matrices(x, grid, modes, back) for grid, back in ((x.shape[2:], False), (points, True)))
    y: Tensor = spectral_block(x, weight, bias, skip, there, back, gelu, keep, precision)[0]
    return y


def block_definition(x: Tensor, weight: Tensor, bias: Tensor | None, skip: Tensor | None, setting: Setting) -> Tensor:
    """The block by plain operations on fields with channels first."""
    return plain(x.movedim(1, -1), weight, bias, skip, setting).movedim(-1, 1)


def matrices(x: Tensor, points: Sequence[int], modes: Sequence[int], back: bool) -> list[Tensor]:
    """The matrices of `truncated_dft`, of the analysis or `back`, in the type and place of `x`."""
    # A compiled graph is for one grid: `index` makes a number of a symbol.
    return _constant(tuple(index(N) for N in points), tuple(modes), back, x.dtype, x.device)


# A compiled graph holds the matrices as constants, it does not make them anew at every call.
@torch.compiler.assume_constant_result
def _constant(
    points: tuple[int, ...], modes: tuple[int, ...], back: bool, dtype: torch.dtype, device: torch.device
) -> list[Tensor]:
    like = torch.empty(0, dtype=dtype, device=device)
    return list(synthesis(points, modes, like) if back else analysis(points, modes, like))


def transformed(*tensors: Tensor | None) -> bool:
    """Whether `torch.func` or forward mode is at work, which see into an operation."""
    if torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return True
    return any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors if tensor is not None)


@torch.library.custom_op("rollwave::spectral_block", mutates_args=())
def spectral_block(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    skip: Tensor | None,
    there: Sequence[Tensor],
    back: Sequence[Tensor],
    gelu: bool,
    keep: bool,
    precision: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The block, and where it is kept for a backward pass the argument of its GELU and the coefficients of `x`."""
    points = [matrix.shape[1] for matrix in back]
    with torch.cuda.device_of(x):
        x_hat, _ = analyse(x.contiguous(), there, precision=precision)
        y_hat = spread(mix(x_hat, weight.contiguous(), precision=precision), back, precision)
        field = None if skip is None else x.contiguous().view(*x.shape[:2], -1, x.shape[-1])
        offset = None if bias is None else bias.contiguous()
        y, pre = synthesise(y_hat, back[-1], field, skip, offset, gelu=gelu, keep=keep and gelu, precision=precision)
    shape = (*y.shape[:2], *points)
    nothing = x.new_empty(0)
    return y.view(shape), nothing if pre is None else pre.view(shape), x_hat if keep else x.new_empty(0)


@spectral_block.register_fake
def _(x, weight, bias, skip, there, back, gelu, keep, precision):  # type: ignore[no-untyped-def]
    shape = (x.shape[0], weight.shape[-2], *(matrix.shape[1] for matrix in back))
    x_hat = (2, *weight.shape[:-3], *x.shape[:2])
    return x.new_empty(shape), x.new_empty(shape if keep and gelu else 0), x.new_empty(x_hat if keep else 0)


@torch.library.custom_op("rollwave::spectral_block_backward", mutates_args=())
def spectral_block_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    skip: Tensor | None,
    pre: Tensor,
    x_hat: Tensor,
    there: Sequence[Tensor],
    back: Sequence[Tensor],
    gelu: bool,
    wants_x: bool,
    precision: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients in `x` (empty where not wanted), the weight, the bias and the skip (empty where there is none)."""
    g_x = g_skip = None
    with torch.cuda.device_of(x):
        y_hat, gradient = analyse(gradient.contiguous(), back, pre if gelu else None, precision)
        g_weight = weight_gradient(x_hat, y_hat, precision=precision)
        if wants_x:
            spread_hat = spread(mix_adjoint(y_hat, weight.contiguous(), precision=precision), there, precision)
            field = None if skip is None else gradient.view(*gradient.shape[:2], -1, gradient.shape[-1])
            across = None if skip is None else skip.T
            g_x, _ = synthesise(spread_hat, there[-1], field, across, precision=precision)
        if skip is not None:
            g_skip = (gradient.flatten(2) @ x.flatten(2).mT).sum(0)
    # The mean of the field: real part at `k = 0`.
    g_bias = y_hat[0].flatten(0, -3)[0].sum(0)
    return (
        x.new_empty(0) if g_x is None else g_x.view(x.shape),
        g_weight,
        g_bias,
        x.new_empty(0) if g_skip is None else g_skip,
    )


@spectral_block_backward.register_fake
def _(gradient, x, weight, skip, pre, x_hat, there, back, gelu, wants_x, precision):  # type: ignore[no-untyped-def]
    g_x, g_skip = x.new_empty(x.shape if wants_x else 0), x.new_empty(0 if skip is None else skip.shape)
    return g_x, weight.new_empty(weight.shape), weight.new_empty(weight.shape[-2]), g_skip


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight, bias, skip, there, back, gelu, keep, precision = inputs
    _, pre, x_hat = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(pre, x_hat)
    ctx.save_for_backward(x, weight, bias, skip, pre, x_hat, *there, *back)
    ctx.setting = (gelu, keep, precision)


def _backward(ctx: Any, gradient: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    x, weight, bias, skip, pre, x_hat, *both = ctx.saved_tensors
    gelu, keep, precision = ctx.setting
    there, back = both[: len(both) // 2], both[len(both) // 2 :]
    rest = ([None] * len(there), [None] * len(back), None, None, None)
    if gradient is None:
        return None, None, None, None, *rest
    if torch.is_grad_enabled():
        setting = (tuple(len(matrix) // 2 - 1 for matrix in back), tuple(matrix.shape[1] for matrix in back), gelu)
        wanted = ctx.needs_input_grad[:4]
        return (*gradients_of(block_definition, (x, weight, bias, skip), setting, wanted, gradient), *rest)
    if not keep:
        raise RuntimeError("spectral_block was called with keep=False, and so without what its backward pass needs")
    g_x, g_weight, g_bias, g_skip = spectral_block_backward(
        gradient, x, weight, skip, pre, x_hat, there, back, gelu, ctx.needs_input_grad[0], precision
    )
    g_x = g_x if ctx.needs_input_grad[0] else None
    return g_x, g_weight, None if bias is None else g_bias, None if skip is None else g_skip, *rest


spectral_block.register_autograd(_backward, setup_context=_setup)


def check(x: Tensor, skip: Tensor | None, points: Sequence[int]) -> None:
    if x.dtype == torch.float64 and x.device.type != "cpu":
        raise TypeError("the kernels compute in float32; float64 is for their interpreter")
    if skip is not None and tuple(points) != tuple(x.shape[2:]):
        raise ValueError(f"a local map keeps the grid {tuple(x.shape[2:])}, got out_shape {tuple(points)}")

"""Every Triton kernel in a block's size: first its error, then its time and the bytes a second that it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rollwave.kernels import triton_analysis, triton_mix, triton_mix_adjoint, triton_product, triton_synthesis
from rollwave.kernels import triton_stage as stages
from rollwave.kernels import triton_weight_gradient as gradients
from rollwave.kernels.truncated_dft import analysis, synthesis

from .gpu_cases import Layer
from .gpu_check import TOLERANCE, double, poisoned, tensors, worst
from .gpu_timing import replayed, sets_needed


@dataclass(frozen=True)
class Kernel:
    """A kernel, its entry in the table of tiles, what it computes, and how its operands are made."""

    name: str
    tiles: str
    call: Callable[..., Any]
    definition: Callable[..., Any]
    operands: Callable[[], tuple[Any, ...]]


def kernels(layer: Layer, device: torch.device) -> list[Kernel]:
    """All of them at the sizes that they have in a block."""
    B, C, N, K = layer.batch, layer.width, layer.points[-1], layer.modes
    S = layer.points[0] if len(layer.points) > 1 else 1
    kept = (*(2 * K + 1 for _ in layer.points[:-1]), K + 1)
    random = partial(torch.randn, device=device)
    like = random(0)
    there, back = (make((N,), (K,), like)[0] for make in (analysis, synthesis))
    J, columns = len(back), B * C * S

    def last_axis() -> Tensor:
        return random(columns, N).T[None]

    def field() -> Tensor:
        return random(B, C, S, N)

    def coefficients() -> Tensor:
        return random(2, *kept, B, C)

    def weight() -> Tensor:
        return random(*kept, C, C, 2)

    def rows() -> Tensor:
        return random(S, J, B, C)

    def factors() -> tuple[Any, ...]:
        # Of order one: of products of hundreds the slope of the GELU has few digits left, in float32 too.
        return rows() / J**0.5, back, field(), random(C, C) / C**0.5, random(C)

    def stage() -> tuple[Any, ...]:
        spectrum = partial(random, dtype=torch.complex64)
        shape = (*layer.points[:-1], N // 2 + 1)
        return spectrum(B, *shape), [spectrum(*shape) for _ in range(2)], [spectrum(B, *shape) for _ in range(2)]

    synthesise, synthesised = triton_synthesis.synthesise, triton_synthesis.synthesise_definition
    activated = {"gelu": True, "keep": True}
    product, product_back = triton_product.product, triton_product.product_backward
    found = [
        Kernel(
            "analysis",
            "analysis",
            triton_analysis.transform,
            triton_analysis.transform_definition,
            lambda: (last_axis(), there),
        ),
        Kernel(
            "analysis of g gelu'(z)",
            "analysis_gelu",
            triton_analysis.transform,
            triton_analysis.transform_definition,
            lambda: (last_axis(), back, last_axis()),
        ),
        Kernel("mix", "mix", triton_mix.mix, triton_mix.mix_definition, lambda: (coefficients(), weight())),
        Kernel(
            "mix, adjoint",
            "mix_adjoint",
            triton_mix_adjoint.mix_adjoint,
            triton_mix_adjoint.mix_adjoint_definition,
            lambda: (coefficients(), weight()),
        ),
        Kernel(
            "weight gradient",
            "weight_gradient",
            gradients.weight_gradient,
            gradients.weight_gradient_definition,
            lambda: (coefficients(), coefficients()),
        ),
        Kernel(
            "synthesis + skip + bias + GELU",
            "synthesis",
            partial(synthesise, **activated),
            partial(synthesised, **activated),
            lambda: (rows(), back, field(), random(C, C), random(C)),
        ),
        Kernel(
            "synthesis + skip", "synthesis", synthesise, synthesised, lambda: (rows(), there, field(), random(C, C).T)
        ),
        Kernel("synthesis", "synthesis", synthesise, synthesised, lambda: (rows(), back)),
        Kernel(
            "product",
            "product",
            partial(product, gelu=True),
            partial(triton_product.product_definition, gelu=True),
            factors,
        ),
        Kernel(
            "product, backward",
            "product",
            partial(product_back, gelu=True),
            partial(triton_product.product_backward_definition, gelu=True),
            lambda: (*factors(), field()),
        ),
        Kernel("solver stage", "stage", stages.stage, stages.stage_definition, stage),
    ]
    if len(layer.points) > 1:
        first = analysis(layer.points[:1], (K,), like)[0]
        rest = columns // S * 2 * (K + 1)
        operands = lambda: (random(rest, S).T[None], first)  # noqa: E731
        found.append(
            Kernel(
                "analysis, leading axis",
                "analysis",
                triton_analysis.transform,
                triton_analysis.transform_definition,
                operands,
            )
        )
    return found


def measure(kernel: Kernel, layer: Layer, device: torch.device, copied: float) -> dict[str, Any]:
    """A kernel's row; `copied` is the rate of a copy in the same run."""
    arguments = kernel.operands()
    with poisoned():
        ours = kernel.call(*arguments)
    error = worst(ours, kernel.definition(*double(arguments)))
    nbytes = touched((arguments, ours))
    count = min(sets_needed(nbytes, device), 8)
    seconds = replayed(kernel.call, [arguments, *(kernel.operands() for _ in range(count - 1))], device)
    rate = nbytes / seconds["median"]
    return layer.describe() | {
        "kernel": kernel.name,
        "error": error,
        "agrees": error < TOLERANCE,
        "seconds": seconds,
        "bytes": nbytes,
        "rate": rate,
        "share_of_copy": rate / copied,
    }


def touched(tree: Any) -> int:
    """Bytes of operands and results, each once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors(tree)}.values())

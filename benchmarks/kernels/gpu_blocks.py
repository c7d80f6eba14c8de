"""A spectral block in every formulation: error first, then forward pass alone and with its backward pass."""

import contextlib
import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rollwave.kernels import weight_shape
from rollwave.kernels.dft_block import dft_block
from rollwave.kernels.fft_block import fft_block
from rollwave.kernels.mode_mix import mode_mix
from rollwave.kernels.truncated_dft import analyse, analysis, synthesis, synthesise

from .cases import TheirBlocks
from .gpu_cases import Layer, compiles
from .gpu_check import TOLERANCE, poisoned, worst
from .gpu_timing import one_by_one, replayed, sets_needed

HAS_PEER = importlib.util.find_spec("neuralop") is not None


@dataclass(frozen=True)
class Block:
    """A formulation: a function of the input, and its parameters, weight, bias and skip if comparable."""

    forward: Callable[[Tensor], Tensor]
    parameters: tuple[Tensor, ...]
    comparable: bool = True


def peer(layer: Layer) -> nn.Module | None:
    """neuraloperator's FNO of one layer, where the package is."""
    if not HAS_PEER:
        return None
    from neuralop.models import FNO

    with contextlib.redirect_stdout(io.StringIO()):
        return FNO(
            n_modes=(2 * layer.modes,) * len(layer.points),
            in_channels=1,
            out_channels=1,
            hidden_channels=layer.width,
            n_layers=1,
            positional_embedding=None,
        )


def operands(layer: Layer, device: torch.device, theirs: nn.Module | None) -> tuple[Tensor, ...]:
    """Weight, bias and skip: the other package's where it is there, else noise."""
    if theirs is not None:
        from rollwave.operators.neuraloperator_weights import fno_from_neuraloperator

        block: Any = fno_from_neuraloperator(theirs).blocks[0]
        found = [block.spectral.weight, block.spectral.bias, block.local.weight]
    else:
        C = layer.width
        found = [torch.randn(weight_shape(C, C, layer.all_modes)) / C, torch.randn(C), torch.randn(C, C) / C**0.5]
    return tuple(t.detach().to(device).requires_grad_() for t in found)


def blocks(layer: Layer, device: torch.device, dry: bool) -> dict[str, Block]:
    """Every formulation that there is, of the same function."""
    from rollwave.kernels.triton_block import triton_block

    theirs = peer(layer)
    weight, bias, skip = given = operands(layer, device, theirs)
    modes, points = layer.all_modes, layer.points

    def block(function: Any) -> Block:
        return Block(lambda x: function(x, weight, modes, bias, skip, True, points), given)

    found = {"fft": block(fft_block), "dft": block(dft_block), "triton": block(triton_block)}
    if theirs is not None:
        module = TheirBlocks(theirs).to(device)
        found = {"neuraloperator": Block(module, tuple(module.parameters()), comparable=False), **found}
    if compiles(layer, dry):
        there, back = (make(points, modes, weight.detach()) for make in (analysis, synthesis))

        def matrices(x: Tensor, weight: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
            v = x.movedim(1, -1)
            y = synthesise(mode_mix(analyse(v, there), weight), back)
            return F.gelu(y + F.linear(v, skip, bias)).movedim(-1, 1)

        # Without a card only the tracing is exercised.
        compiled = torch.compile(matrices, fullgraph=True, dynamic=False, backend="aot_eager" if dry else "inductor")
        found["dft compiled"] = Block(lambda x: compiled(x, *given), given)
    return found


def train(block: Block, x: Tensor, direction: Tensor) -> tuple[Tensor, ...]:
    """Output and gradients."""
    y = block.forward(x)
    return y, *torch.autograd.grad(y, (x, *block.parameters), direction)


def measure(layer: Layer, device: torch.device, dry: bool) -> dict[str, Any]:
    """A block's row. What fails is told, and the others go on."""
    row: dict[str, Any] = layer.describe() | {"contenders": {}}
    found = blocks(layer, device, dry)
    shape = (layer.batch, layer.width, *layer.points)
    nbytes = 4 * torch.Size(shape).numel()
    sets = [
        (torch.randn(shape, device=device, requires_grad=True), torch.randn(shape, device=device))
        for _ in range(min(sets_needed(2 * nbytes, device), 8))
    ]
    exact = train(reference(found["fft"], layer), *(t.detach().double().requires_grad_() for t in sets[0]))
    for name, block in found.items():
        try:
            row["contenders"][name] = contend(block, exact, sets, device)
        except Exception as error:
            row["contenders"][name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
    return row


def reference(block: Block, layer: Layer) -> Block:
    """The block in float64."""
    weight, bias, skip = given = tuple(t.detach().double().requires_grad_() for t in block.parameters)
    return Block(lambda x: fft_block(x, weight, layer.all_modes, bias, skip, True, layer.points), given)


def contend(block: Block, exact: tuple[Tensor, ...], sets: list[Any], device: torch.device) -> dict[str, Any]:
    """Error, then times."""

    @torch.no_grad()
    def forward(x: Tensor, direction: Tensor) -> Tensor:
        return block.forward(x)

    # What is compiled is compiled on memory as it is.
    train(block, *sets[0])
    with poisoned():
        ours = train(block, *sets[0])
    # Parameters of the other package are laid out differently: of them the output and the gradient in x are compared.
    error = worst(ours, exact) if block.comparable else worst(ours[:2], exact[:2])
    del ours
    found: dict[str, Any] = {"error": error, "agrees": error < TOLERANCE}
    for name, call in (("forward", forward), ("both", lambda *given: train(block, *given))):
        found[name] = {"eager": one_by_one(call, sets, device)}
        try:
            found[name]["graph"] = replayed(call, sets, device)
        except Exception as failure:
            found[name]["graph_failed"] = f"{type(failure).__name__}: {failure}"[:300]
    return found

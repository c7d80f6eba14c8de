"""Whether both packages compute the same: outputs and the gradients of every parameter, before anything is timed."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from rollwave.operators.neuraloperator_weights import fno_from_neuraloperator

from .cases import Case
from .contenders import backward

# Differences relative to the largest value. Sums over up to 16 128^2 float32 numbers are rounded in another order.
TOLERANCE = 1e-4


def compare(case: Case) -> dict[str, Any]:
    """Largest relative differences, and whether they are rounding."""
    theirs, ours = case.build()
    x, y = case.data()
    out = [backward(case.part_of(m, m is ours), case.part, x, y, 1.0).detach() for m in (theirs, ours)]
    expected, known = converted(theirs, gradient), converted(theirs, one)
    gradients = {
        name: difference(parameter.grad * known[name], expected[name])
        for name, parameter in ours.named_parameters()
        if parameter.grad is not None
    }
    worst = max(gradients, key=lambda name: gradients[name])
    found = {"output": difference(out[1], out[0]), "gradient": gradients[worst], "worst": worst, "gradients": gradients}
    return found | {"agrees": max(found["output"], found["gradient"]) < TOLERANCE}


def converted(model: nn.Module, value: Any) -> dict[str, Tensor]:
    """What belongs to each of neuraloperator's parameters, where our conversion puts it; zero where it puts nothing."""
    other = copy.deepcopy(model)
    for to, parameter in zip(other.parameters(), model.parameters(), strict=True):
        to.data = value(parameter)
    return {name: parameter.detach() for name, parameter in fno_from_neuraloperator(other).named_parameters()}


def gradient(parameter: Tensor) -> Tensor:
    """Zero where none was asked for."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def one(parameter: Tensor) -> Tensor:
    """In both parts of a complex number."""
    return torch.full_like(parameter.detach(), 1 + 1j if parameter.is_complex() else 1)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """`max |a - b| / max |b|`."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()

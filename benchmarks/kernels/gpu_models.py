"""Whole training steps of an FNO on a card: forward, mean square, backward, Adam."""

import contextlib
import io
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rollwave.operators import FNO

from .cases import DEPTH
from .gpu_blocks import HAS_PEER
from .gpu_cases import Layer
from .gpu_timing import one_by_one, replayed

BACKENDS = ("fft", "dft", "triton")
# Outputs of four layers in float32.
TOLERANCE = 1e-4


def pair(layer: Layer) -> tuple[nn.Module | None, nn.Module]:
    """neuraloperator's model where the package is, and ours, with its parameters if so."""
    torch.manual_seed(0)
    if not HAS_PEER:
        return None, FNO(1, 1, width=layer.width, modes=layer.all_modes, depth=DEPTH)
    from neuralop import models

    from rollwave.operators.neuraloperator_weights import fno_from_neuraloperator

    with contextlib.redirect_stdout(io.StringIO()):
        theirs = models.FNO(
            n_modes=(2 * layer.modes,) * len(layer.points),
            in_channels=1,
            out_channels=1,
            hidden_channels=layer.width,
            n_layers=DEPTH,
            positional_embedding=None,
        )
    return theirs, fno_from_neuraloperator(theirs)


def measure(layer: Layer, device: torch.device) -> dict[str, Any]:
    """A model's row. What fails is told, and the others go on."""
    row: dict[str, Any] = layer.describe() | {"contenders": {}}
    theirs, ours = pair(layer)
    shape = (layer.batch, 1, *layer.points)
    x, y = torch.randn(2, *shape, device=device)
    state = {name: value.clone() for name, value in ours.state_dict().items()}
    before = os.environ.get("ROLLWAVE_BACKEND")
    contenders: list[tuple[str, nn.Module]] = [(name, ours) for name in BACKENDS]
    if theirs is not None:
        contenders.append(("neuraloperator", theirs))
    expected = None
    try:
        for name, model in contenders:
            os.environ["ROLLWAVE_BACKEND"] = name if name in BACKENDS else "auto"
            if model is ours:
                ours.load_state_dict(state)
            try:
                row["contenders"][name], out = contend(model.to(device), x, y, expected, fused=model is ours)
                expected = out if expected is None else expected
            except Exception as error:
                row["contenders"][name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
            model.to("cpu")
    finally:
        os.environ.pop("ROLLWAVE_BACKEND")
        if before is not None:
            os.environ["ROLLWAVE_BACKEND"] = before
    return row


def contend(
    model: nn.Module, x: Tensor, y: Tensor, expected: Tensor | None, *, fused: bool
) -> tuple[dict[str, Any], Tensor]:
    """Difference from the first contender, times, and memory of a step; and the output."""
    device = x.device
    with torch.no_grad():
        out = model(x)
    difference = 0.0 if expected is None else ((out - expected).abs().max() / expected.abs().max()).item()
    found: dict[str, Any] = {"difference": difference, "agrees": difference < TOLERANCE}
    step = stepping(model, x, y, fused)
    if device.type == "cuda":
        step()
        torch.cuda.synchronize()
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        found["peak_bytes"] = torch.cuda.max_memory_allocated() - held
    found["eager"] = one_by_one(step, [()], device)
    try:
        found["graph"] = replayed(step, [()], device, seconds=0.05)
    except Exception as failure:
        found["graph_failed"] = f"{type(failure).__name__}: {failure}"[:300]
    return found, out


def stepping(model: nn.Module, x: Tensor, y: Tensor, fused: bool) -> Callable[[], None]:
    """A training step as a function of nothing, such that a graph can hold it."""
    capturable = x.device.type == "cuda"
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused or None, capturable=capturable)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        F.mse_loss(model(x), y).backward()
        optimiser.step()

    return step

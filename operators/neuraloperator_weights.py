"""Weights of neuraloperator's FNO in ours, and back."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .fno import FNO
from .neuraloperator import find


def fno_from_neuraloperator(model: Any) -> FNO:
    """Our `FNO` with the weights of a `neuralop.models.FNO`: the same map on even grids of more than `n_modes` points.

    It must be of the default architecture without positional embedding. Its `n` modes on an axis are the wavenumbers
    `-n/2 .. n/2 - 1`, and `0 .. n/2` on the last; ours are symmetric, with zero weights at `n/2` on the leading axes.
    """
    state = model.state_dict()
    _check_architecture(model)
    weights = [conv.weight.to_tensor().detach() for conv in model.fno_blocks.convs]
    kept = weights[0].shape[2:]
    fno = FNO(
        model.in_channels,
        model.out_channels,
        width=model.hidden_channels,
        modes=(*(n // 2 for n in kept[:-1]), kept[-1] - 1),
        depth=model.n_layers,
        expansion=state["fno_blocks.channel_mlp.0.fcs.0.weight"].shape[0] / model.hidden_channels,
        ratio=state["lifting.fcs.0.weight"].shape[0] // model.hidden_channels,
    )
    copied = {**_mlp(state, "lifting", "lift"), **_mlp(state, "projection", "project")}
    for index, weight in enumerate(weights):
        block, theirs = f"blocks.{index}", "fno_blocks"
        copied |= _mlp(state, f"{theirs}.channel_mlp.{index}", f"{block}.mlp")
        copied[f"{block}.spectral.weight"] = _symmetric(weight)
        copied[f"{block}.spectral.bias"] = state[f"{theirs}.convs.{index}.bias"].flatten()
        copied[f"{block}.local.weight"] = state[f"{theirs}.fno_skips.{index}.conv.weight"].squeeze(-1)
        copied[f"{block}.gate"] = state[f"{theirs}.channel_mlp_skips.{index}.weight"].flatten()
    fno.load_state_dict(copied)
    return fno.to(copied["blocks.0.gate"])


def _mlp(state: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """A two-layer pointwise network under our names."""
    names = {f"{ours}.{2 * layer}": f"{theirs}.fcs.{layer}" for layer in (0, 1)}
    weights = {f"{to}.weight": state[f"{source}.weight"].squeeze(-1) for to, source in names.items()}
    return weights | {f"{to}.bias": state[f"{source}.bias"] for to, source in names.items()}


def _symmetric(weight: Tensor) -> Tensor:
    """Complex `[in, out, *k]`, leading wavenumbers `-n/2 .. n/2 - 1`, as real `[*k, in, out, 2]` in our order."""
    for axis in range(2, weight.ndim - 1):
        n = weight.shape[axis]
        if n % 2 == 0:
            weight = torch.cat([weight, torch.zeros_like(weight.narrow(axis, 0, 1))], dim=axis)
        weight = weight.roll(-(n // 2), dims=axis)
    return torch.view_as_real(weight.movedim((0, 1), (-2, -1)).contiguous())


def fno_to_neuraloperator(fno: FNO) -> Any:
    """A `neuralop.models.FNO` with the weights of ours, the same map on grids of more than `2 K + 1` points.

    Its leading axes get `2 K + 1` modes, which the package takes for the symmetric `-K .. K`.

    Raises:
        ImportError: neuraloperator is not installed.
    """
    model = find("FNO")(
        n_modes=(*(2 * K + 1 for K in fno.modes[:-1]), 2 * fno.modes[-1]),
        in_channels=fno.config["in_channels"],
        out_channels=fno.config["out_channels"],
        hidden_channels=fno.width,
        n_layers=len(fno.blocks),
        lifting_channel_ratio=fno.config["ratio"],
        projection_channel_ratio=fno.config["ratio"],
        channel_mlp_expansion=fno.config["expansion"],
        positional_embedding=None,
    )
    with torch.no_grad():
        for theirs, ours in _pairs(model, fno.state_dict()):
            theirs.copy_(ours.reshape(theirs.shape))
    return model


def _pairs(model: Any, ours: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Their parameters, each with what belongs into it."""
    parameters = dict(model.named_parameters())
    mlps = [("lifting", "lift"), ("projection", "project")]
    for index, convolution in enumerate(model.fno_blocks.convs):
        block = f"blocks.{index}"
        mlps.append((f"fno_blocks.channel_mlp.{index}", f"{block}.mlp"))
        yield convolution.weight.tensor, _ordered(ours[f"{block}.spectral.weight"])
        yield parameters[f"fno_blocks.convs.{index}.bias"], ours[f"{block}.spectral.bias"]
        yield parameters[f"fno_blocks.fno_skips.{index}.conv.weight"], ours[f"{block}.local.weight"]
        yield parameters[f"fno_blocks.channel_mlp_skips.{index}.weight"], ours[f"{block}.gate"]
    for theirs, name in mlps:
        for layer, kind in itertools.product((0, 1), ("weight", "bias")):
            yield parameters[f"{theirs}.fcs.{layer}.{kind}"], ours[f"{name}.{2 * layer}.{kind}"]


def _ordered(weight: Tensor) -> Tensor:
    """The inverse of `_symmetric` for odd numbers of leading wavenumbers: complex `[in, out, *k]`, `-K .. K`."""
    complex_weight = torch.view_as_complex(weight.contiguous())
    for axis in range(complex_weight.ndim - 3):
        complex_weight = complex_weight.roll(complex_weight.shape[axis] // 2, dims=axis)
    return complex_weight.movedim((-2, -1), (0, 1))


DEFAULTS = {
    "positional_embedding": None,
    "domain_padding": None,
    "complex_data": False,
    "separable": False,
    "preactivation": False,
    "resolution_scaling_factor": None,
    "fno_skip": ("linear",),
    "channel_mlp_skip": ("soft-gating",),
}
BLOCK_DEFAULTS = {"norm": None, "stabilizer": None, "use_channel_mlp": True}


def _check_architecture(model: Any) -> None:
    """Refuse what `FNO` has no formula for."""
    found = {name: getattr(model, name) for name in DEFAULTS} | {
        name: getattr(model.fno_blocks, name) for name in BLOCK_DEFAULTS
    }
    different = {name: value for name, value in found.items() if value != (DEFAULTS | BLOCK_DEFAULTS)[name]}
    if different:
        raise ValueError(
            f"only neuraloperator's default FNO without positional embedding converts, this has {different}"
        )

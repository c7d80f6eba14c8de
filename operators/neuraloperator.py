"""Models of the neuraloperator package as operators of ours, and its weights in our own FNO."""

import contextlib
import importlib
import inspect
import io
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .configurable import configurable, plain
from .fno import FNO

NAMES = ("FNO", "TFNO", "UNO", "LocalNO")


@configurable
class NeuralOperatorModel(nn.Module):
    """A model of the neuraloperator package: the same numbers, with its complex parameters held as real pairs,

        parameter = pair[..., 0] + i pair[..., 1],

    because fused optimisers, clipping by value and some communication libraries know real parameters only. Which grids
    the model takes, and in how many dimensions, is the package's business.

    Args:
        in_channels: channels of the input function.
        out_channels: channels of the output function.
        name: one of `FNO`, `TFNO`, `UNO`, `LocalNO`; the last needs torch-harmonics.
        arguments: the model's other constructor arguments, as the package names them.

    Reference:
        Kossaifi et al. (2024), arXiv:2412.10354.
    """

    config: dict[str, Any]

    def __init__(self, in_channels: int, out_channels: int, *, name: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        constructor = _find(name)
        given = plain(arguments)
        _check_arguments(name, constructor, given)
        # The package prints its arguments.
        with contextlib.redirect_stdout(io.StringIO()):
            self.model: nn.Module = constructor(in_channels=in_channels, out_channels=out_channels, **given)
        self.pairs = nn.ParameterDict()
        for path, parameter in list(self.model.named_parameters()):
            if parameter.is_complex():
                module, _, attribute = path.rpartition(".")
                delattr(self.model.get_submodule(module), attribute)
                self.pairs[path.replace(".", "/")] = nn.Parameter(torch.view_as_real(parameter.detach()).clone())
        # It also writes its own class into every state dict, which no safe loader reads.
        self.register_state_dict_post_hook(_drop_metadata)

    def forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        complex_parameters = {path.replace("/", "."): torch.view_as_complex(pair) for path, pair in self.pairs.items()}
        out: Tensor = torch.func.functional_call(self.model, complex_parameters, (u,))
        return out


def _find(name: str) -> Any:
    """The class of that name, with the package imported here, where it is first needed."""
    if name not in NAMES:
        raise ValueError(f"name must be one of {NAMES}, got {name!r}")
    # The import changes the process's warning filters; leaving this block restores them.
    with warnings.catch_warnings():
        try:
            models = importlib.import_module("neuralop.models")
        except ImportError as error:
            raise ImportError(
                f"{name} comes from neuraloperator: pip install 'rollwave[baselines]' ({error})"
            ) from error
    if not hasattr(models, name):
        raise ImportError(
            f"neuraloperator has no {name} without torch-harmonics: pip install 'torch-harmonics>=0.7.4,<0.9'"
        )
    return getattr(models, name)


def _check_arguments(name: str, constructor: type, arguments: Mapping[str, Any]) -> None:
    """Refuse unknown and missing arguments, which the package would swallow or find out about late."""
    for base in constructor.__mro__:
        parameters = dict(list(inspect.signature(base.__init__).parameters.items())[1:])  # type: ignore[misc]
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    legal = {key: value for key, value in parameters.items() if key not in ("in_channels", "out_channels")}
    if unknown := sorted(set(arguments) - set(legal)):
        raise ValueError(f"{name} takes no {unknown}; legal arguments are {sorted(legal)}")
    required = {key for key, parameter in legal.items() if parameter.default is parameter.empty}
    if missing := sorted(required - set(arguments)):
        raise ValueError(f"{name} also needs {missing}; legal arguments are {sorted(legal)}")


def _drop_metadata(module: nn.Module, state: dict[str, Any], prefix: str, local_metadata: Any) -> None:
    state.pop("_metadata", None)


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

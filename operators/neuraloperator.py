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
        constructor = find(name)
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


def find(name: str) -> Any:
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

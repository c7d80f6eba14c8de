import functools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .configurable import configurable


@configurable
class Conditioned(nn.Module):
    """A network whose hidden functions are scaled and shifted by what it is told,

        v_l -> (1 + g_l(q)) v_l + s_l(q)      after every layer l,

    with `q` the last `conditions` channels of its input, constant in space, which the network itself does not see, and
    `(g, s)` a network of two layers whose last one starts at zero: at first the conditions change nothing, and `q` acts
    as it is learned to. Nothing depends on the position, so translations commute with the map as before.

    The network must keep its layers in `blocks`, each giving `[b, width, *space]`, as `FNO` and `DyMixOp` do. It may
    cut a batch into consecutive parts.

    Args:
        network: the network, `[b, i, *space] -> [b, o, *space]`.
        conditions: how many channels hold conditions.
        hidden: width of the network that makes `g` and `s`.

    Reference:
        Perez et al. (2018), arXiv:1709.07871; with lead times, Herde et al. (2024), arXiv:2405.19101.
    """

    config: dict[str, Any]

    def __init__(self, network: nn.Module, *, conditions: int, hidden: int = 64) -> None:
        super().__init__()
        blocks, width = getattr(network, "blocks", None), getattr(network, "width", None)
        if not isinstance(blocks, nn.ModuleList) or not isinstance(width, int):
            raise ValueError(f"conditions need a network with .blocks and .width, got {type(network).__name__}")
        if conditions < 1:
            raise ValueError(f"conditions must be at least 1, got {conditions}")
        self.network, self.conditions = network, conditions
        last = nn.Linear(hidden, len(blocks) * 2 * width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.film = nn.Sequential(nn.Linear(conditions, hidden), nn.GELU(), last)
        self._rows: Tensor | None = None
        self._seen = [0] * len(blocks)
        for index, block in enumerate(blocks):
            block.register_forward_hook(functools.partial(self._modulate, index))

    @property
    def in_channels(self) -> int:
        return int(self.network.config["in_channels"]) + self.conditions  # type: ignore[index]

    @property
    def out_channels(self) -> int:
        return int(self.network.config["out_channels"])  # type: ignore[index]

    def forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        fields, told = u.split((u.shape[1] - self.conditions, self.conditions), dim=1)
        self._rows = self.film(told[(..., *[0] * (u.ndim - 2))]).unflatten(1, (len(self._seen), 2, -1))
        self._seen = [0] * len(self._seen)
        y: Tensor = self.network(fields.contiguous())
        # A network that computes its layers without calling them would pass its conditions over in silence.
        if any(seen != len(u) for seen in self._seen):
            raise RuntimeError(f"layers of {type(self.network).__name__} saw {self._seen} of {len(u)} samples")
        self._rows = None
        return y

    def _modulate(self, index: int, block: nn.Module, inputs: Any, v: Float[Tensor, "b c *space"]) -> Tensor:
        """What follows layer `index`, for the samples that come next."""
        if self._rows is None:
            return v
        first = self._seen[index]
        self._seen[index] = first + len(v)
        rows = self._rows[first : first + len(v), index]
        scale, offset = rows.reshape(*rows.shape, *[1] * (v.ndim - 2)).unbind(1)
        return torch.addcmul(v + offset, scale, v)

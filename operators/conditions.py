import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .configurable import configurable
from .constants import constant


@configurable
class Conditions(nn.Module):
    """What a step depends on besides the fields, as constant channels of the network's input: the coefficients `p` of
    the equation and the number `n` of intervals that the step bridges,

        2 log(p / low) / log(high / low) - 1,      log(n) / log(lead).

    Logarithms, because a viscosity acts by its order of magnitude; inside the trained range the first lies in
    `[-1, 1]`, the second in `[0, 1]`.

    Args:
        parameters: for each coefficient, by name, the range `(low, high)` that the network is trained on.
        lead: the longest lead time, in intervals; 1 for a network that takes single steps and sees no lead time.
    """

    config: dict[str, Any]

    def __init__(self, *, parameters: Mapping[str, Sequence[float]] | None = None, lead: int = 1) -> None:
        super().__init__()
        self.ranges = {str(name): (float(low), float(high)) for name, (low, high) in (parameters or {}).items()}
        self.lead = lead
        for name, (low, high) in self.ranges.items():
            if not 0 < low < high:
                raise ValueError(f"the range of {name} must be 0 < low < high, got ({low}, {high})")
        if lead < 1 or not self.count:
            raise ValueError(f"conditions need parameters or a lead of more than 1, got {self.ranges} and lead={lead}")

    @property
    def count(self) -> int:
        """How many channels there are."""
        return len(self.ranges) + (self.lead > 1)

    def table(
        self, parameters: Mapping[str, float | Tensor], device: torch.device | None = None
    ) -> Float[Tensor, "b p"]:
        """Coefficients, one number for all samples or one for each, as rows on `device` in the order of the ranges.

        Raises:
            ValueError: a name is missing or unknown, or a value is not positive.
        """
        if set(parameters) != set(self.ranges):
            raise ValueError(f"the emulator needs the parameters {sorted(self.ranges)}, got {sorted(parameters)}")
        columns = [
            torch.as_tensor(parameters[name], dtype=torch.float32, device=device).reshape(-1) for name in self.ranges
        ]
        rows = torch.stack(torch.broadcast_tensors(*columns), dim=-1) if columns else torch.ones(1, 0, device=device)
        if not (rows > 0).all():
            raise ValueError(f"parameters must be positive, got {parameters}")
        return rows

    def forward(
        self,
        x: Float[Tensor, "b i *space"],
        given: Float[Tensor, "r p"] | None,
        lead: int | Int[Tensor, " b"],
    ) -> Float[Tensor, "b k *space"]:
        """The channels for the samples of `x`, of which every `b / r` consecutive ones share a row of `given`."""
        values = []
        if self.ranges:
            values.append(self._scaled(given, x))
        if self.lead > 1:
            if isinstance(lead, int) and not 1 <= lead <= self.lead:
                raise ValueError(f"lead must be in 1 .. {self.lead}, got {lead}")
            leads = x.new_full((len(x),), lead) if isinstance(lead, int) else lead.to(x)
            values.append(leads.log()[:, None] / math.log(self.lead))
        row = torch.cat(values, dim=1)
        return row.reshape(*row.shape, *[1] * (x.ndim - 2)).expand(*row.shape, *x.shape[2:])

    def _scaled(self, given: Tensor | None, x: Tensor) -> Float[Tensor, "b p"]:
        if given is None or len(x) % len(given):
            got = "none" if given is None else f"{len(given)} values each"
            raise ValueError(
                f"{len(x)} samples need the parameters {list(self.ranges)}, one for all or one for each, got {got}; "
                "give them as rollout(..., parameters={...})"
            )
        low, high = constant(tuple(self.ranges.values()), torch.float64, x.device).unbind(1)
        scaled = 2 * (given.to(low) / low).log() / (high / low).log() - 1
        return scaled.to(x.dtype).repeat_interleave(len(x) // len(given), dim=0)

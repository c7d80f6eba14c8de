"""Medians and quartiles over rollouts, and numbers that any JSON reader takes."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Quartiles(NamedTuple):
    """25, 50 and 75 % of a sample, column by column."""

    q25: Tensor
    median: Tensor
    q75: Tensor


def quartiles(values: Float[Tensor, "n *columns"]) -> Quartiles:
    """Quartiles over the first axis, linear between neighbouring values.

    Infinities are values like any other, so a median is finite as long as half of the sample is. NaN stands for "does
    not exist" and is left out; a column of nothing else is NaN.
    """
    values = values.to(torch.float64).cpu()
    ordered = torch.where(values.isnan(), torch.inf, values).sort(0).values
    count = (~values.isnan()).sum(0)
    return Quartiles(*(_quantile(ordered, count, q) for q in (0.25, 0.5, 0.75)))


def _quantile(ordered: Tensor, count: Tensor, q: float) -> Tensor:
    place = q * (count - 1).clamp(min=0).double()
    low, weight = place.floor().long(), place - place.floor()
    below = ordered.gather(0, low[None])[0]
    above = ordered.gather(0, (low + (weight > 0))[None])[0]
    # Equal infinities have no difference to take a part of.
    between = torch.where((weight == 0) | (above == below), below, below + weight * (above - below))
    return torch.where(count == 0, torch.nan, between)


def summarise(values: Float[Tensor, "n *columns"]) -> dict[str, Any]:
    """`quartiles` as plain numbers under their names."""
    return {name: value.tolist() for name, value in quartiles(values)._asdict().items()}


def json_safe(value: Any) -> Any:
    """`value` with NaN as None and infinities as the strings "inf" and "-inf", which JSON has no numbers for.

    Numbers keep eight digits: more than float32 fields determine, and half the bytes.
    """
    if isinstance(value, Mapping):
        return {str(key): json_safe(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(entry) for entry in value]
    if isinstance(value, Tensor):
        return json_safe(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, float):
        return float(f"{value:.8g}")
    return value

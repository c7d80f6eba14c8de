"""Spread over seeds, paired differences, and when one of them counts."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rollwave.evaluation.effect_size import cliffs_delta

# What a run that diverged counts where a geometric mean of capped errors is compared.
WORST = 100.0


@dataclass(frozen=True)
class Paired:
    """Two rows, seed by seed.

    Attributes:
        ratio: `exp(median_s d_s)` with `d_s = log(x_s / y_s)`.
        spread: `max_s d_s - min_s d_s`.
        p: share of the assignments of signs to the `d_s` whose mean is at least as far from zero.
        delta: Cliff's.
        seeds: how many pairs.
        beneath: whether both are below what two samples of the truth say of each other.
    """

    ratio: float
    spread: float
    p: float
    delta: float
    seeds: int
    beneath: bool = False

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the median difference is larger than the spread over three seeds or more."""
        if self.seeds < 3:
            return "too few seeds"
        if self.beneath:
            return "below the floor"
        if abs(math.log(self.ratio)) <= self.spread:
            return "no difference beyond the spread"
        return "better" if self.ratio < 1 else "worse"


def paired(x: Sequence[float], y: Sequence[float]) -> Paired:
    """The comparison of errors `x` with errors `y` of the same seeds, both positive; capped at `WORST`."""
    if not x or len(x) != len(y):
        raise ValueError(f"expected as many values of one as of the other and at least one, got {len(x)} and {len(y)}")
    ours, theirs = ([min(value, WORST) for value in values] for values in (x, y))
    d = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    signs = list(itertools.product((1, -1), repeat=len(d)))
    seen = abs(sum(d)) * (1 - 1e-12)
    p = sum(abs(sum(s * v for s, v in zip(sign, d, strict=True))) >= seen for sign in signs) / len(signs)
    delta = cliffs_delta(torch.tensor(ours, dtype=torch.float64), torch.tensor(theirs, dtype=torch.float64))
    return Paired(math.exp(statistics.median(d)), max(d) - min(d), p, float(delta), len(d))


def over_seeds(values: Sequence[float | None]) -> str:
    """`median [least, largest]` of what exists; a dash where nothing does."""
    found = sorted(value for value in values if value is not None)
    if not found:
        return "-"
    middle = statistics.median_low(found) if math.inf in found else statistics.median(found)
    if len(found) == 1:
        return number(middle)
    return f"{number(middle)} [{number(found[0])}, {number(found[-1])}]"


def number(value: float) -> str:
    """Three digits, all of them where it is a whole number."""
    if math.isinf(value):
        return "inf"
    if value == round(value) and abs(value) >= 100:
        return f"{value:,.0f}"
    if value and not 1e-3 <= abs(value) < 1e4:
        return f"{value:.2e}"
    return f"{value:.3g}"

"""Learning rates over a run, as factors of the optimiser's own rate."""

import math
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """The factor of step `s = 0, .., T - 1`."""

    def factor(self, step: int, total: int) -> float: ...


@dataclass(frozen=True)
class Constant:
    """`1` at every step."""

    def factor(self, step: int, total: int) -> float:
        return 1.0


@dataclass(frozen=True)
class WarmupCosine:
    """`(s + 1) / W` for the first `W = round(warmup T)` steps, then `m + (1 - m) (1 + cos(pi (s - W) / (T - W))) / 2`.

    Attributes:
        warmup: share of the run in which the rate rises.
        minimum: `m`, the factor that the cosine falls to.

    Reference:
        Loshchilov & Hutter (2017), arXiv:1608.03983, eq. (5), one cycle.
    """

    warmup: float = 0.05
    minimum: float = 0.01

    def __post_init__(self) -> None:
        if not (0 <= self.warmup < 1 and 0 <= self.minimum <= 1):
            raise ValueError(
                f"warmup must lie in [0, 1) and minimum in [0, 1], got warmup={self.warmup}, minimum={self.minimum}"
            )

    def factor(self, step: int, total: int) -> float:
        rising = round(self.warmup * total)
        if step < rising:
            return (step + 1) / rising
        passed = min((step - rising) / max(total - rising, 1), 1.0)
        return self.minimum + (1 - self.minimum) * (1 + math.cos(math.pi * passed)) / 2

"""What a run may spend on training."""

from dataclasses import dataclass

# A run is validated this many times, at equal distances.
VALIDATIONS = 5


@dataclass(frozen=True)
class Steps:
    """A number of optimiser steps, whatever they cost."""

    count: int

    def steps(self, seconds_per_step: float) -> int:
        """Optimiser steps, a multiple of `VALIDATIONS`."""
        return max(1, round(self.count / VALIDATIONS)) * VALIDATIONS

    def __str__(self) -> str:
        return f"{self.count} steps"


@dataclass(frozen=True)
class Seconds:
    """Processor seconds of one thread, spent on losses and their gradients; the optimiser and the loop come on top."""

    amount: float

    def steps(self, seconds_per_step: float) -> int:
        """Optimiser steps that fit, a multiple of `VALIDATIONS`."""
        return max(1, int(self.amount / seconds_per_step / VALIDATIONS)) * VALIDATIONS

    def __str__(self) -> str:
        return f"{self.amount:g} processor seconds"


Budget = Steps | Seconds

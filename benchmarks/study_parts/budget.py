"""What a run may spend on training."""

from dataclasses import dataclass

# A run is validated this many times, at equal distances.
VALIDATIONS = 5


@dataclass(frozen=True)
class Steps:
    """A number of optimiser steps, whatever they cost."""

    count: int

    def steps(self, relative: float) -> int:
        """Optimiser steps, a multiple of `VALIDATIONS`."""
        return max(1, round(self.count / VALIDATIONS)) * VALIDATIONS

    def __str__(self) -> str:
        return f"{self.count} steps"


@dataclass(frozen=True)
class TimeOf:
    """The processor time that so many steps of the Fourier operator, on one step, spend on losses and their gradients;
    the optimiser and the loop come on top.
    """

    count: int

    def steps(self, relative: float) -> int:
        """Steps that fit best, a multiple of `VALIDATIONS`, where one takes `relative` times the operator's."""
        return max(1, round(self.count / relative / VALIDATIONS)) * VALIDATIONS

    def __str__(self) -> str:
        return f"the time of {self.count} steps of the Fourier operator"


Budget = Steps | TimeOf

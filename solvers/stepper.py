"""What every time-stepping scheme offers."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from torch import Tensor

from .equation import Equation
from .grid import Grid
from .shapes import Float


class Stepper(ABC):
    """One scheme, bound to an equation, a grid and a step `dt`: `u(t) -> encode -> step -> ... -> step -> decode -> u(t
    + n dt)`.

    The state between `encode` and `decode` belongs to the scheme (Fourier coefficients, momenta at half steps); it is a
    tensor or a tuple of tensors with the batch axis first. Constants are computed in float64 and then cast to the
    grid's type.

    Attributes:
        order: observed order of convergence in `dt`, on damped and on dispersive equations.
        requires: the capability (a Protocol of `equation.py`) an equation must have.
    """

    order: ClassVar[int]
    requires: ClassVar[type]

    def __init__(self, equation: Equation, grid: Grid, dt: float) -> None:
        if not isinstance(equation, self.requires):
            suited = sorted(scheme.__name__ for scheme in schemes() if isinstance(equation, scheme.requires))
            raise TypeError(
                f"{type(self).__name__} needs a {self.requires.__name__} equation, got {type(equation).__name__}; "
                f"steppers that suit it: {', '.join(suited) or 'none'}"
            )
        if not dt > 0:
            raise ValueError(f"dt must be positive, got {dt}")
        equation.check(grid)
        self.equation, self.grid, self.dt = equation, grid, float(dt)

    @abstractmethod
    def encode(self, u: Float[Tensor, "b c *space"]) -> Any:
        """The scheme's state for a field in physical space."""

    @abstractmethod
    def step(self, state: Any) -> Any:
        """The state one `dt` later."""

    @abstractmethod
    def decode(self, state: Any) -> Float[Tensor, "b c *space"]:
        """The field of a state."""


def schemes(kind: type[Stepper] = Stepper) -> Iterator[type[Stepper]]:
    """Every scheme of a kind that can be run."""
    if not inspect.isabstract(kind):
        yield kind
    for narrower in kind.__subclasses__():
        yield from schemes(narrower)

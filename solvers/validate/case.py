"""What a case of the validation is, and the few measures that cases share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from rollwave.solvers.equation import Equation, Semilinear
from rollwave.solvers.grid import Grid, Number
from rollwave.solvers.run import advance
from rollwave.solvers.shapes import Float
from rollwave.solvers.simulate import steps_in
from rollwave.solvers.stepper import Stepper

Bounds: TypeAlias = tuple[Number, Number]


@dataclass(frozen=True)
class Result:
    """What one case found.

    Attributes:
        check: the solution or property, with its parameters.
        grid: points and box.
        scheme: scheme and step.
        figure: what was reached, such as the largest error; `measures` says what it is.
        measures: the meaning of the figure.
        bounds: the figure must lie between these.
        source: where the bounds come from.
        order: observed order of convergence, where it was measured.
        orders: the observed order must lie between these.
    """

    check: str
    grid: str
    scheme: str
    figure: Number
    measures: str
    bounds: Bounds
    source: str
    order: Number | None = None
    orders: Bounds | None = None

    @property
    def passed(self) -> bool:
        """Figure and order lie within their bounds; what is not a number does not."""
        within = self.bounds[0] <= self.figure <= self.bounds[1]
        if self.orders is None:
            return within
        return within and self.order is not None and self.orders[0] <= self.order <= self.orders[1]


Case: TypeAlias = Callable[[], Result]


def name_of(case: Case) -> str:
    """The function's name, with the positional arguments that were given beforehand."""
    if isinstance(case, partial):
        values = [getattr(value, "__name__", value) for value in case.args]
        return "-".join([case.func.__name__, *(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)])
    return str(getattr(case, "__name__", case))


def described(grid: Grid) -> str:
    """Points and lengths of a grid."""
    return f"{' x '.join(str(n) for n in grid.points)} on {' x '.join(f'{length:.4g}' for length in grid.lengths)}"


def stepped(scheme: type[Stepper], dt: float, times: str = "") -> str:
    """Scheme and step, in words."""
    return f"{scheme.__name__}, dt = {dt:.4g}{times}"


@torch.no_grad()
def solve(
    equation: Equation, grid: Grid, u: Float[Tensor, "..."], scheme: type[Stepper], *, time: Number, dt: Number
) -> Float[Tensor, "..."]:
    """One field, `time` later: the steps of a scheme and nothing else."""
    steps = steps_in(time, dt, "time")
    return advance(scheme(equation, grid, time / steps), u[None], steps)[0]


def projected(equation: Semilinear, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
    """The field on the modes that the equation keeps, whichever it does."""
    return equation.inverse(equation.transform(u, grid), grid)


def largest(error: Tensor) -> float:
    """The largest absolute value; infinite where one is not a number."""
    return torch.nan_to_num(error.abs(), nan=math.inf).max().item()


def about(scheme: type[Stepper]) -> Bounds:
    """Bounds of an observed order: the declared one, and any higher where its error constant is small."""
    return scheme.order - 0.2, 9.0 if scheme.__name__.startswith("BlanesMoan") else scheme.order + 0.3


def rate(errors: Sequence[float]) -> float:
    """Observed order from the last two of the errors at steps halved each time."""
    return math.log2(errors[-2] / errors[-1])


def budget_gap(equation: Equation, name: str, terms: dict[str, Tensor], u: Tensor, grid: Grid) -> float:
    """`d I / dt` along the equation's own tendency, less the terms of its budget, relative to the largest of them."""

    def integral(field: Tensor) -> Tensor:
        return equation.invariants(field, grid)[name]

    change = torch.func.jvp(integral, (u,), (equation.tendency(u, grid),))[1]
    scale = max(term.abs().max().item() for term in terms.values())
    return largest(change - sum(terms.values())) / scale

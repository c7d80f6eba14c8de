"""What a trajectory gains and loses: the terms of its energy and enstrophy budgets, and whether they close."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Equation, Grid

Terms: TypeAlias = Callable[[Tensor, Grid], dict[str, Tensor]]
Rates: TypeAlias = dict[str, Float[Tensor, "b t"]]


@runtime_checkable
class EnergyBudget(Protocol):
    """An equation that says what its energy gains and loses."""

    def budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d energy / dt`, by name."""
        ...


@runtime_checkable
class EnstrophyBudget(Protocol):
    """An equation that says what its enstrophy gains and loses."""

    def enstrophy_budget(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Terms of `d enstrophy / dt`, by name."""
        ...


def budgets(equation: Equation) -> dict[str, Terms]:
    """The budgets that an equation offers, by the integral whose rate they are."""
    found: dict[str, Terms] = {}
    if isinstance(equation, EnergyBudget):
        found["energy"] = equation.budget
    if isinstance(equation, EnstrophyBudget):
        found["enstrophy"] = equation.enstrophy_budget
    return found


def rates(equation: Equation, u: Float[Tensor, "b t c *space"], grid: Grid) -> dict[str, Rates]:
    """For each budget its terms, integrals over the box at each frame."""
    return {name: terms(u, grid) for name, terms in budgets(equation).items()}


def mean_error(rate: Float[Tensor, "b t"], truth: Float[Tensor, "b t"]) -> Float[Tensor, " b"]:
    """`|<r> - <r_u>| / <|r_u|>`, means over the rollout; infinite where a rate is not finite, with `0 / 0 = 0`."""
    error = (rate.mean(1) - truth.mean(1)).abs()
    ratio = torch.where(error == 0, 0.0, error / truth.abs().mean(1))
    return torch.where(ratio.isnan(), torch.inf, ratio)


def residual(integral: Float[Tensor, "b t"], terms: Rates, truth: Rates, interval: float | int) -> Float[Tensor, " b"]:
    """`|I(t_n) - I(t_1) - int sum_i r_i dt| / int sum_i |r_i,u| dt`: how far a trajectory is from closing its budget.

    In units of what the truth gains and loses. 0 for a solution, up to the quadrature in time (see `integrate`) and to
    the rounding of stored frames, which the truth's own residual shows, and for a field at rest; infinite for one that
    does not stay finite.
    """
    rate, size = torch.stack([*terms.values()]).sum(0), torch.stack([*truth.values()]).abs().sum(0)
    gap = (integral[:, -1] - integral[:, 0] - integrate(rate, interval)).abs()
    ratio = torch.where(gap == 0, 0.0, gap / (size.mean(1) * interval * max(size.shape[1] - 1, 1)))
    return torch.where(ratio.isnan(), torch.inf, ratio)


def integrate(values: Float[Tensor, "b t"], interval: float | int) -> Float[Tensor, " b"]:
    """`int f dt` from the first to the last frame by Gregory's rule: trapezoids, corrected at both ends by differences.

    Exact for cubics from four frames on; with fewer, as far as there are differences.
    """
    total = values.sum(1) - (values[:, 0] + values[:, -1]) / 2
    for order, weight in ((1, 1 / 12), (2, 1 / 24)):
        if values.shape[1] > order:
            difference = values.diff(order, dim=1)
            total = total - weight * (difference[:, -1] + (-1) ** order * difference[:, 0])
    return total * interval

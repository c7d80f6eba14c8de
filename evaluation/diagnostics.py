"""What an equation lets one say about a trajectory beyond its error: the series of `waves` and of `budgets`."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Equation, Grid

from . import budgets, waves

Series = dict[str, Float[Tensor, "b t"]]


def describe(u: Float[Tensor, "b t c *space"], equation: Equation, grid: Grid, wave: waves.Waves | None) -> Series:
    """The series of every rollout: `wave_<name>`, `budget_<integral>` and `budget_<integral>_<term>`."""
    u, grid = u.to(torch.float64), grid.to(u.device)
    series = {f"wave_{name}": value for name, value in wave.series(u).items()} if wave else {}
    rates = budgets.rates(equation, u, grid)
    integrals = equation.invariants(u, grid) if rates else {}
    for integral, terms in rates.items():
        series[f"budget_{integral}"] = integrals[integral]
        series |= {f"budget_{integral}_{term}": value for term, value in terms.items()}
    return series


def compare(prediction: Series, truth: Series, equation: Equation, interval: float) -> dict[str, Float[Tensor, " b"]]:
    """One number a rollout: those of `waves.compare` as `wave_*`, and of each budget's terms the mean and its error, of
    the whole the residual, as `budget_<integral>_<term>_mean`, `..._error` and `budget_<integral>_residual`.
    """
    own, true = _named(prediction, "wave_"), _named(truth, "wave_")
    scalars = {f"wave_{name}": value for name, value in waves.compare(own, true).items()} if own else {}
    for integral in budgets.budgets(equation):
        terms, reference = (_named(series, f"budget_{integral}_") for series in (prediction, truth))
        for term, rate in terms.items():
            scalars[f"budget_{integral}_{term}_mean"] = torch.where(rate.isfinite().all(1), rate.mean(1), torch.nan)
            scalars[f"budget_{integral}_{term}_error"] = budgets.mean_error(rate, reference[term])
        closed = budgets.residual(prediction[f"budget_{integral}"], terms, reference, interval)
        scalars[f"budget_{integral}_residual"] = closed
    return scalars


def _named(series: Mapping[str, Tensor], prefix: str) -> Series:
    return {name.removeprefix(prefix): value for name, value in series.items() if name.startswith(prefix)}

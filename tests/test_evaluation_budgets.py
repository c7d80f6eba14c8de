"""A solution closes its budget; what is no solution does not."""

import math

import pytest
import torch

from rollwave.evaluation.budgets import budgets, integrate, mean_error, rates, residual
from rollwave.evaluation.diagnostics import compare
from rollwave.solvers import (
    Burgers,
    Equation,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    NavierStokes,
    VectorBurgers,
    simulate,
)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("frames", [4, 5, 12])
def test_cubics_are_integrated_exactly(degree: int, frames: int) -> None:
    time = 0.25 * torch.arange(frames, dtype=torch.float64)
    expected = time[-1].item() ** (degree + 1) / (degree + 1)
    assert integrate(time[None] ** degree, 0.25).item() == pytest.approx(expected, rel=1e-13)


def test_the_quadrature_is_of_fourth_order() -> None:
    errors = []
    for frames in (20, 40):
        time = torch.linspace(0, 2, frames + 1, dtype=torch.float64)
        errors.append(abs(integrate(time.exp()[None], 2 / frames).item() - (math.exp(2) - 1)))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize(("frames", "expected"), [(1, 0.0), (2, 0.5), (3, 2.0)])
def test_short_series_are_integrated_as_far_as_there_are_differences(frames: int, expected: float) -> None:
    assert integrate(torch.arange(float(frames))[None], 1).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("equation", "points", "integrals"),
    [
        (Burgers(), (64,), ["energy"]),
        (VectorBurgers(), (32, 32), ["energy"]),
        (
            NavierStokes(viscosity=0.05, drag=0.1, forcing=KolmogorovForcing(wavenumber=2)),
            (32, 32),
            ["energy", "enstrophy"],
        ),
    ],
)
def test_solutions_close_their_budgets_and_others_do_not(
    equation: Equation, points: tuple[int, ...], integrals: list[str]
) -> None:
    grid = Grid(points, (2 * math.pi,) * len(points))
    u0 = equation.initial_condition(grid, batch=2)
    u = simulate(equation, grid, u0, interval=0.05, frames=20, dt=0.005)
    found = rates(equation, u, grid)
    assert list(found) == list(budgets(equation)) == integrals
    for integral, terms in found.items():
        value = equation.invariants(u, grid)[integral]
        # Quadrature of fourth order over 20 intervals; the dissipation changes over times of order one.
        assert residual(value, terms, terms, 0.05).max() < 1e-4
        assert residual(1.1 * value, terms, terms, 0.05).min() > 1e-3
        shifted = {name: 1.2 * rate for name, rate in terms.items()}
        assert residual(value, shifted, terms, 0.05).min() > 1e-3


def test_a_rollout_is_told_by_the_means_of_its_terms() -> None:
    truth = {"budget_energy": torch.tensor([[3.0, 2.0, 1.0]]), "budget_energy_dissipation": torch.tensor([[-1.0] * 3])}
    own = truth | {"budget_energy_dissipation": torch.tensor([[-1.0, -2.0, -3.0]])}
    scalars = {name: value.item() for name, value in compare(own, truth, Burgers(), 1.0).items()}
    # It loses 2 where its terms say 4; the truth loses 1 per frame.
    assert scalars == {
        "budget_energy_dissipation_mean": -2.0,
        "budget_energy_dissipation_error": 1.0,
        "budget_energy_residual": 1.0,
    }


def test_an_equation_without_losses_has_no_budget() -> None:
    assert budgets(KleinGordon()) == {}


def test_the_error_of_a_mean_by_hand() -> None:
    truth = torch.tensor([[1.0, -3.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    rate = torch.tensor([[2.0, -3.0], [0.0, 0.0], [math.nan, 1.0], [0.0, 1.0]])
    # Means -1 and -0.5 on the scale of 2; nothing against nothing; not finite; something against nothing.
    assert mean_error(rate, truth).tolist() == [0.25, 0.0, math.inf, math.inf]


def test_a_rollout_that_ends_badly_closes_nothing_and_one_at_rest_everything() -> None:
    integral = torch.tensor([[1.0, 1.0, math.nan], [2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    terms = {"gain": torch.tensor([[1.0, 1.0, math.inf], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])}
    truth = {"gain": torch.tensor([[2.0, 2.0, 2.0]] * 3), "loss": torch.tensor([[-2.0, -2.0, -2.0]] * 3)}
    # The last gains 2 over an integral of 1: half of it is not its own. The truth turns over 4 per frame of 0.5.
    assert residual(integral, terms, truth, 0.5).tolist() == [math.inf, 0.0, 0.25]

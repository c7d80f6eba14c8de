"""Budgets of a run: they close to the order of its scheme, and not where a term is wrong."""

import math
from dataclasses import dataclass

import pytest
import torch

from rollwave.solvers import (
    ETDRK2,
    ETDRK4,
    Burgers,
    Grid,
    KolmogorovForcing,
    KortewegDeVries,
    KuramotoSivashinsky,
    NavierStokes,
    certify,
    simulate,
)
from rollwave.solvers.budget import DEGREE, _residual, budget_errors, cumulative_integral
from rollwave.solvers.exact import cole_hopf_wave

BOX = Grid((128,), (2 * math.pi,))
FLAME = Grid((64,), (22.0,))
SQUARE = Grid((32, 32), (2 * math.pi,) * 2)


@pytest.mark.parametrize(
    ("equation", "grid", "dt", "steps"),
    [
        (KuramotoSivashinsky(), FLAME, 0.2, 24),
        (Burgers(0.1), BOX, 0.04, 24),
        (NavierStokes(0.05, drag=0.1, forcing=KolmogorovForcing(wavenumber=2)), SQUARE, 0.025, 96),
    ],
)
@pytest.mark.parametrize("scheme", [ETDRK2, ETDRK4])
def test_budgets_close_to_the_order_of_the_scheme(equation, grid, dt, steps, scheme):
    u0 = equation.initial_condition(grid, batch=1)
    u0 = simulate(equation, grid, u0, interval=1.0, frames=1, dt=0.02)[:, -1]
    coarse, fine = (budget_errors(scheme(equation, grid, dt / n), u0, steps * n) for n in (1, 2))
    assert set(fine) == ({"energy", "enstrophy"} if grid.ndim == 2 else {"energy"})
    for name in fine:
        assert 0 < fine[name] < 1e-3
        assert abs(math.log2(coarse[name] / fine[name]) - scheme.order) < 0.6


def test_the_quadrature_of_a_budget_errs_far_less_than_the_scheme(monkeypatch):
    """Its error falls like `dt^8`: two degrees less must hardly move the gap that a fourth-order scheme leaves."""
    equation = KuramotoSivashinsky()
    u0 = simulate(equation, FLAME, equation.initial_condition(FLAME, batch=1), interval=50.0, frames=1, dt=0.05)[:, -1]
    scheme = ETDRK4(equation, FLAME, 0.1)
    gap = budget_errors(scheme, u0, 200)["energy"]
    monkeypatch.setattr("rollwave.solvers.budget.DEGREE", 5)
    assert abs(budget_errors(scheme, u0, 200)["energy"] - gap) < 0.02 * gap


@pytest.mark.parametrize("steps", [1, 2, 5, 7, 8, 30])
def test_the_quadrature_is_exact_for_polynomials_through_its_nodes(steps):
    degree = min(DEGREE, steps)
    time = torch.linspace(0.0, 1.5, steps + 1, dtype=torch.float64)
    integral = cumulative_integral((time**degree + time)[None], 1.5 / steps)[0]
    assert (integral - (time ** (degree + 1) / (degree + 1) + time**2 / 2)).abs().max() < 1e-11
    assert (
        cumulative_integral((time ** (degree + 1))[None], 1.5 / steps)[0, -1] - 1.5 ** (degree + 2) / (degree + 2)
    ).abs() > 0


def test_a_damped_wave_has_a_budget_of_momentum_and_an_energy_that_cancels_is_no_scale():
    equation, u0 = KortewegDeVries(viscosity=0.1), 1e-3 * torch.cos(BOX.coordinates()[0])[None, None]
    assert set(budget_errors(ETDRK4(equation, BOX, 0.01), u0, 10)) == {"energy", "momentum"}
    row = torch.tensor([[[1e-9, -1e-9]], [[0.0, 0.0]]], dtype=torch.float64)
    assert _residual(row, torch.ones(1, 2, dtype=torch.float64), 0.1) == pytest.approx(2e-9)


@dataclass(frozen=True)
class Leaking(Burgers):
    """Burgers whose books are one per cent off."""

    def budget(self, u, grid):
        return {name: 1.01 * term for name, term in super().budget(u, grid).items()}


def test_a_budget_with_a_wrong_term_does_not_close():
    u0 = cole_hopf_wave(BOX, 0.0, viscosity=0.1)[None]
    run = {"interval": 0.5, "frames": 4, "dt": 0.025}
    sound, broken = (certify(equation, BOX, u0, **run) for equation in (Burgers(0.1), Leaking(0.1)))
    assert sound.complaints() == []
    lost = 1 - simulate(Burgers(0.1), BOX, u0, **run)[0, -1].square().sum() / u0.square().sum()
    # One per cent of what was dissipated, relative to the energy there was.
    assert broken.budget_error["energy"] == pytest.approx(0.01 * float(lost), rel=1e-3)
    assert ["budget of energy is off by" in line for line in broken.complaints()] == [True]
    assert broken.complaints(budget=None) == []

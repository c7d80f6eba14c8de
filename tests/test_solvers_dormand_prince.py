"""The adaptive scheme: its coefficients, its error control, and the other schemes against it."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from rollwave.solvers import (
    ETDRK4,
    BlanesMoan6,
    Burgers,
    DormandPrince853,
    Equation,
    Grid,
    KleinGordon,
    KortewegDeVries,
    KuramotoSivashinsky,
    NavierStokes,
    NonlinearSchrodinger,
    RandomFourierSeries,
    SimulationError,
    SymplecticRKN6,
    simulate,
)
from rollwave.solvers.dormand_prince_coefficients import DIFFERENCE_3, DIFFERENCE_5, NODES, ROWS, WEIGHTS


def test_the_rows_sum_to_the_nodes_and_only_earlier_stages_are_used():
    for stage, (node, row) in enumerate(zip(NODES, ROWS, strict=True)):
        assert sum(row.values()) == pytest.approx(node, abs=2e-14)
        assert all(j < stage for j in row)


@pytest.mark.parametrize(("less", "order"), [({}, 8), (DIFFERENCE_5, 5), (DIFFERENCE_3, 3)])
def test_the_weights_integrate_polynomials_and_their_iterated_integrals(less, order):
    """`sum b_j c_j^p = 1 / (p + 1)` and `sum b_i c_i^q a_ij c_j^p = 1 / ((p + 1) (p + q + 2))`, up to the order."""
    weights = {j: WEIGHTS.get(j, 0.0) - less.get(j, 0.0) for j in WEIGHTS | less}

    def quadrature(p):
        return sum(b * NODES[j] ** p for j, b in weights.items()) - 1 / (p + 1)

    def iterated(q, p):
        inner = {i: sum(a * NODES[j] ** p for j, a in ROWS[i].items()) for i in weights}
        return sum(b * NODES[i] ** q * inner[i] for i, b in weights.items()) - 1 / ((p + 1) * (p + q + 2))

    for p in range(order):
        assert abs(quadrature(p)) < 2e-14, p
        for q in range(order - 1 - p):
            assert abs(iterated(q, p)) < 2e-14, (q, p)
    assert abs(quadrature(order)) > 1e-6


CASES = {
    "burgers": (Burgers(0.1), Grid((64,), (2 * math.pi,)), 0.5, ETDRK4, 1 / 2000),
    "kuramoto_sivashinsky": (KuramotoSivashinsky(), Grid((32,), (22.0,)), 1.0, ETDRK4, 1 / 800),
    "korteweg_de_vries": (KortewegDeVries(), Grid((64,), (20.0,)), 0.5, ETDRK4, 1 / 4000),
    "navier_stokes": (NavierStokes(0.05), Grid((32, 32), (2 * math.pi,) * 2), 0.25, ETDRK4, 1 / 1600),
    "schrodinger": (NonlinearSchrodinger(), Grid((64,), (20.0,)), 0.5, ETDRK4, 1 / 4000),
    "sine_gordon": (KleinGordon(), Grid((64,), (20.0,)), 1.0, BlanesMoan6, 1 / 20),
    "sine_gordon_symplectic": (KleinGordon(), Grid((64,), (20.0,)), 1.0, SymplecticRKN6, 1 / 20),
}


@pytest.mark.parametrize("name", CASES)
def test_schemes_of_other_kinds_give_the_same_solution(name):
    equation, grid, time, stepper, dt = CASES[name]
    u0 = equation.initial_condition(grid, batch=2, seed=3)
    other = simulate(equation, grid, u0, interval=time, frames=1, dt=dt, stepper=stepper)[:, -1]
    adaptive = simulate(equation, grid, u0, interval=time, frames=1, dt=time, stepper=DormandPrince853)[:, -1]
    assert (adaptive - other).norm() < 1e-10 * other.norm()
    assert (adaptive - u0).norm() > 1e-3 * u0.norm()


def test_a_splitting_that_keeps_all_modes_agrees_on_a_resolved_wave():
    grid, equation = Grid((256,), (20.0,)), NonlinearSchrodinger()
    u0 = 0.5 * equation.initial_condition(grid, batch=1, seed=1)
    splitting = simulate(equation, grid, u0, interval=0.5, frames=1, dt=1 / 100, stepper=BlanesMoan6)
    adaptive = simulate(equation, grid, u0, interval=0.5, frames=1, dt=0.5, stepper=DormandPrince853)
    assert (splitting - adaptive).norm() < 1e-10 * adaptive.norm()


def test_the_error_follows_the_tolerance(monkeypatch):
    equation, grid, time = NonlinearSchrodinger(), Grid((64,), (20.0,)), 1.0
    u0 = equation.initial_condition(grid, batch=2, seed=3)
    truth, errors = simulate(equation, grid, u0, interval=time, frames=1, dt=time, stepper=DormandPrince853), []
    for tolerance in (1e-4, 1e-6, 1e-8):
        monkeypatch.setattr(DormandPrince853, "tolerance", tolerance)
        u = simulate(equation, grid, u0, interval=time, frames=1, dt=time, stepper=DormandPrince853)
        errors.append(((u - truth).norm() / truth.norm()).item())
        assert errors[-1] < 20 * tolerance
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_a_step_may_cover_any_time():
    equation, grid = Burgers(0.05), Grid((64,), (2 * math.pi,))
    u0 = equation.initial_condition(grid, batch=2, seed=3)
    ends = [
        simulate(equation, grid, u0, interval=1.0, frames=1, dt=dt, stepper=DormandPrince853)[:, -1]
        for dt in (1.0, 0.25, 0.01)
    ]
    for end in ends[1:]:
        assert (end - ends[0]).norm() < 1e-11 * ends[0].norm()


def test_stiff_damping_does_not_overflow():
    """`|L| dt = 3500`: from a later stage to an earlier one rates would be carried to infinity."""
    equation, grid = Burgers(20.0), Grid((64,), (1.0,))
    u0 = equation.initial_condition(grid, batch=1, seed=3)
    u = simulate(equation, grid, u0, interval=0.01, frames=1, dt=0.01, stepper=DormandPrince853)
    assert torch.isfinite(u).all()
    assert (u[:, -1].mean() - u0.mean()).abs() < 1e-12
    exact = grid.irfft(torch.exp(0.01 * equation.linear(grid)) * grid.rfft(u0))
    assert (u[:, -1] - exact).abs().max() < 2e-3 * u0.abs().max()


@dataclass(frozen=True)
class Explosion(Equation):
    """`u_t = u^2`: infinite at `t = 1 / max u`."""

    name: ClassVar[str] = "explosion"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    units: ClassVar[tuple[str, ...]] = ("1 / time",)
    conserved: ClassVar[tuple[str, ...]] = ()
    default_stepper: ClassVar[type] = DormandPrince853
    default_initial_condition: ClassVar = RandomFourierSeries()

    def tendency(self, u, grid):
        return u.square()

    def densities(self, u, grid):
        return {}

    def suggested_step(self, grid):
        return 0.1


def test_a_solution_is_exact_up_to_its_explosion_which_is_refused():
    grid = Grid((8,), (1.0,))
    u0 = torch.linspace(0.1, 1.0, 8, dtype=torch.float64)[None, None]
    u = simulate(Explosion(), grid, u0, interval=0.9, frames=1, dt=0.9)[:, -1]
    assert (u - u0 / (1 - 0.9 * u0)).abs().max() < 1e-10 * u.max()
    with pytest.raises(SimulationError, match=r"DormandPrince853 needs steps below .* for Explosion"):
        simulate(Explosion(), grid, u0, interval=1.1, frames=1, dt=1.1)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_an_explosion_is_named_with_its_time_and_its_sample(checkpoint):
    """In steps of 0.02, from a warm-up of 0.1 on: the middle one of three samples is infinite at `t = 1`."""
    grid = Grid((8,), (1.0,))
    u0 = torch.linspace(0.1, 1.0, 8, dtype=torch.float64) * torch.tensor([0.5, 1.0, 0.2])[:, None, None]
    with pytest.raises(SimulationError, match=r"sample 1 at t = 1: DormandPrince853 needs") as caught:
        simulate(Explosion(), grid, u0, interval=0.2, frames=8, dt=0.02, warmup=0.1, checkpoint=checkpoint)
    assert caught.value.sample == 1
    assert caught.value.time == pytest.approx(1.0, abs=1e-6)


def test_an_infinite_tolerance_still_cuts_steps_that_damping_would_spoil(monkeypatch):
    monkeypatch.setattr(DormandPrince853, "tolerance", math.inf)
    undamped, damped = (DormandPrince853(Burgers(nu), Grid((64,), (1.0,)), 0.01) for nu in (0.0, 20.0))
    assert undamped.largest == 0.01
    # Rounding grows by e^4 at most on the way back over half a step or more.
    fastest = 20.0 * (2 * math.pi * 32) ** 2
    assert 4 / fastest < damped.largest < 0.01
    taken, attempt = [], DormandPrince853.attempt
    monkeypatch.setattr(DormandPrince853, "attempt", lambda self, v, h: taken.append(h) or attempt(self, v, h))
    damped.step(damped.encode(Burgers().initial_condition(damped.grid, batch=1)))
    assert len(taken) > 1
    assert sum(taken) == pytest.approx(0.01)


def test_gradients_are_those_of_the_steps_taken():
    grid = Grid((8,), (1.0,))
    u0 = torch.linspace(0.1, 1.0, 8, dtype=torch.float64)[None, None].requires_grad_()
    u = simulate(Explosion(), grid, u0, interval=0.5, frames=1, dt=0.5)[:, -1]
    (gradient,) = torch.autograd.grad(u.sum(), u0)
    assert (gradient - (1 - 0.5 * u0) ** -2).abs().max() < 1e-9

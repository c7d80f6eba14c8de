"""The vector Burgers equation: term by term, Cole-Hopf flows, lines in the plane, circulation and energy."""

import math
from itertools import pairwise

import pytest
import torch

from rollwave.solvers import Burgers, Grid, TruncatedFourierSeries, VectorBurgers, sample, simulate
from rollwave.solvers.exact import cole_hopf_plane, cole_hopf_sine

TAU = 2 * math.pi


def end(equation, grid, u0, time, dt, stepper=None):
    return simulate(equation, grid, u0[None], interval=time, frames=1, dt=dt, stepper=stepper)[0, -1]


def largest(difference):
    return difference.abs().max().item()


@pytest.mark.parametrize(("points", "lengths"), [((48, 64), (1.0, 3.0)), ((45, 33), (TAU, TAU))])
def test_the_tendency_is_the_equation_term_by_term(points, lengths):
    """Fields of low modes, whose products no grid folds, with derivatives written by hand."""
    grid, nu = Grid(points, lengths), 0.07
    (x, y), (k, m) = grid.coordinates(), (TAU / length for length in lengths)
    p, q = 2 * k * x - m * y + 0.3, k * x + 3 * m * y - 1.1
    u, v = 0.4 + torch.sin(p) + 0.5 * torch.cos(q), torch.cos(p) - 0.7 * torch.sin(q) - 0.2
    u_x, u_y = 2 * k * torch.cos(p) - 0.5 * k * torch.sin(q), -m * torch.cos(p) - 1.5 * m * torch.sin(q)
    v_x, v_y = -2 * k * torch.sin(p) - 0.7 * k * torch.cos(q), m * torch.sin(p) - 2.1 * m * torch.cos(q)
    square_p, square_q = 4 * k**2 + m**2, k**2 + 9 * m**2
    bend_u = -square_p * torch.sin(p) - 0.5 * square_q * torch.cos(q)
    bend_v = -square_p * torch.cos(p) + 0.7 * square_q * torch.sin(q)
    expected = torch.stack((-u * u_x - v * u_y + nu * bend_u, -u * v_x - v * v_y + nu * bend_v))
    assert largest(VectorBurgers(nu).tendency(torch.stack((u, v)), grid) - expected) < 1e-12 * largest(expected)


def test_gradient_flows_follow_cole_hopf_at_fourth_order():
    grid, nu, time = Grid((96, 96), (3.0, 2.0)), 0.1, 0.5
    u0, exact = (cole_hopf_plane(grid, t, viscosity=nu) for t in (0.1, 0.1 + time))
    errors = [largest(end(VectorBurgers(nu), grid, u0, time, time / n) - exact) for n in (5, 10, 20, 40)]
    assert all(math.log2(coarse / fine) > 3.7 for coarse, fine in pairwise(errors))
    assert errors[-1] < 1e-9
    assert largest(exact - u0) > 0.1


def test_gradients_stay_gradients_and_keep_their_mean():
    grid, nu = Grid((96, 96), (3.0, 2.0)), 0.1
    boost = torch.tensor([0.3, -0.2], dtype=torch.float64)[:, None, None]
    u0 = cole_hopf_plane(grid, 0.1, viscosity=nu) + boost
    u = end(VectorBurgers(nu), grid, u0, 0.5, 0.01)
    curl = VectorBurgers(nu).densities(u, grid)["circulation"]
    assert largest(curl) < 1e-8
    assert largest(u.mean((-2, -1)) - u0.mean((-2, -1))) < 1e-13
    rolling = VectorBurgers(nu).initial_condition(grid, batch=1, seed=0)[0]
    assert largest(end(VectorBurgers(nu), grid, rolling, 0.2, 0.01).mean((-2, -1)) - rolling.mean((-2, -1))) > 1e-3


@pytest.mark.parametrize("axis", [0, 1])
def test_flow_along_one_axis_is_burgers_on_a_line(axis):
    line, nu = Grid((192,), (5.0,)), 0.1
    start, exact = (cole_hopf_sine(line, t, viscosity=nu)[0] for t in (0.0, 1.0))
    assert largest(end(Burgers(nu), line, start[None], 1.0, 0.01)[0] - exact) < 1e-6
    points, lengths = ((192, 8), (5.0, 3.0)) if axis == 0 else ((8, 192), (3.0, 5.0))
    grid = Grid(points, lengths)

    def spread(profile):
        along = profile[:, None] if axis == 0 else profile
        u = torch.zeros(2, *points, dtype=torch.float64)
        u[axis] = along
        return u

    u = end(VectorBurgers(nu), grid, spread(start), 1.0, 0.01)
    assert largest(u - spread(exact)) < 1e-6
    # What the flow carries across itself moves with it and spreads: here a constant stays.
    u0 = spread(start)
    u0[1 - axis] = 0.3
    assert largest(end(VectorBurgers(nu), grid, u0, 1.0, 0.01)[1 - axis] - 0.3) < 1e-12


def test_energy_follows_its_budget_and_no_component_exceeds_its_extremes():
    grid, equation, dt = Grid((96, 96), (2.0, 3.0)), VectorBurgers(0.05), 0.0025
    u0 = sample(TruncatedFourierSeries(modes=2, maximum=1.0, offset=0.5, components=2), grid, batch=2, seed=0)
    u = simulate(equation, grid, u0, interval=dt, frames=100, dt=dt)
    values, terms = equation.invariants(u, grid), equation.budget(u, grid)
    simpson = torch.tensor([1.0] + [4.0, 2.0] * 49 + [4.0, 1.0], dtype=torch.float64) * dt / 3
    change = values["energy"][:, -1] - values["energy"][:, 0]
    shares = {name: (rate * simpson).sum(-1) for name, rate in terms.items()}
    assert (change - sum(shares.values())).abs().max() < 1e-6 * change.abs().max()
    assert all((share.abs() > 0.02 * change.abs()).all() for share in shares.values())
    assert largest(values["circulation"]) < 1e-13
    high, low = u.amax((-2, -1)), u.amin((-2, -1))
    assert (high <= high[:, :1] + 1e-3).all()
    assert (low >= low[:, :1] - 1e-3).all()


def test_turning_the_box_turns_the_flow():
    """Exchange of the axes exchanges the components."""
    grid, turned, equation = Grid((48, 64), (2.0, 3.0)), Grid((64, 48), (3.0, 2.0)), VectorBurgers(0.1)
    u0 = equation.initial_condition(grid, batch=1, seed=2)[0]
    u = end(equation, grid, u0, 0.2, 0.01)
    other = end(equation, turned, u0.flip(0).mT.contiguous(), 0.2, 0.01)
    assert largest(other - u.flip(0).mT) < 1e-12


def test_gradients_reach_the_viscosity():
    grid = Grid((24, 24), (2.0, 2.0))
    u0 = VectorBurgers().initial_condition(grid, batch=1, seed=0)

    def loss(viscosity):
        return simulate(VectorBurgers(viscosity), grid, u0, interval=0.1, frames=1, dt=0.01)[:, -1].square().sum()

    slope = torch.func.grad(loss)(torch.tensor(0.1)).item()
    assert slope == pytest.approx(((loss(0.1001) - loss(0.0999)) / 0.0002).item(), rel=1e-4)


def test_negative_viscosity_is_refused():
    with pytest.raises(ValueError, match=r"viscosity must not be negative nor infinite, got -0\.1"):
        VectorBurgers(-0.1)

"""The Korteweg-de Vries equation: solitons, invariants, damping, and its forms."""

import math
from itertools import pairwise

import pytest
import torch

from rollwave.solvers import ETDRK2, ETDRK4, Grid, KortewegDeVries, RandomFourierSeries, sample, simulate
from rollwave.solvers.exact import korteweg_de_vries_soliton, korteweg_de_vries_two_solitons

BOX = Grid((256,), (20.0,))


def end(equation, grid, u0, time, dt, stepper=None):
    return simulate(equation, grid, u0[None], interval=time, frames=1, dt=dt, stepper=stepper)[0, -1]


def largest(difference):
    return difference.abs().max().item()


def rates(errors):
    return [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]


@pytest.mark.parametrize(
    ("stepper", "steps", "order", "accuracy"),
    [(ETDRK4, (500, 1000, 2000, 4000), 4, 5e-11), (ETDRK2, (500, 1000, 2000), 2, 7e-5)],
)
def test_the_soliton_travels_undistorted_at_the_order_of_the_scheme(stepper, steps, order, accuracy):
    """Schemes that keep only real parts of their weights are of order one here: 1e-2 after 4000 steps."""
    u0, exact = (korteweg_de_vries_soliton(BOX, t) for t in (0.0, 1.0))
    errors = [largest(end(KortewegDeVries(), BOX, u0, 1.0, 1 / n, stepper) - exact) for n in steps]
    assert all(rate == pytest.approx(order, abs=0.15) for rate in rates(errors))
    assert errors[-1] < accuracy


@pytest.mark.parametrize(("points", "accuracy"), [(160, 3e-10), (240, 1e-12)])
def test_six_points_per_width_reach_rounding(points, accuracy):
    """`N = 4 L sqrt(c / b)` and `6 L sqrt(c / b)`: what the kept modes miss of a soliton of height 2."""
    grid, equation = Grid((points,), (20.0,)), KortewegDeVries()
    u = korteweg_de_vries_soliton(grid, 0.0)
    missed = largest(equation.inverse(equation.transform(u, grid), grid) - u)
    assert missed < accuracy
    assert missed > 3e-11 or points == 240


@pytest.mark.parametrize(("advection", "dispersion"), [(6.0, 1.0), (-3.0, 1.0), (1.0, 0.5)])
def test_solitons_pass_through_each_other(advection, dispersion):
    grid, equation = Grid((512,), (40.0,)), KortewegDeVries(advection, dispersion)
    u0, exact = (
        korteweg_de_vries_two_solitons(grid, t, speeds=(4.0, 1.5), advection=advection, dispersion=dispersion)
        for t in (-1.5, 1.5)
    )
    u = end(equation, grid, u0, 3.0, 0.00075)
    assert largest(u - exact) < 3e-8 * largest(exact)
    before, after = equation.invariants(u0, grid), equation.invariants(u, grid)
    # Sums over the two solitons alone: 12 b k / a, and the momentum 24 b^2 k^3 / a^2.
    k = [math.sqrt(speed / dispersion) for speed in (4.0, 1.5)]
    assert before["mass"].item() == pytest.approx(12 * dispersion / advection * sum(k), rel=1e-10)
    momentum = 24 * dispersion**2 / advection**2 * sum(n**3 for n in k) / 2
    assert before["momentum"].item() == pytest.approx(momentum, rel=1e-10)
    for name, value in before.items():
        assert after[name].item() == pytest.approx(value.item(), rel=1e-8), name


def test_every_form_is_the_usual_one_in_other_units():
    """`v = alpha u(beta x, gamma t)` with `gamma = b beta^3`, `alpha = 6 b beta^2 / a`: Zabusky and Kruskal's form."""
    a, b = 1.0, 0.022**2
    beta = 22.0
    gamma, alpha = b * beta**3, 6 * b * beta**2 / a
    small, usual = Grid((128,), (2.0,)), Grid((128,), (2.0 * beta,))
    v0 = torch.cos(math.pi * small.coordinates()[0])[None]
    v = end(KortewegDeVries(a, b), small, v0, 0.5, 0.5 / 2000)
    u = end(KortewegDeVries(), usual, v0 / alpha, 0.5 * gamma, 0.5 * gamma / 2000)
    assert largest(v - alpha * u) < 1e-10
    # The wave has broken into a train that is higher than what it started from.
    assert largest(v) > 1.5


def test_zabusky_and_kruskal_see_eight_solitons_with_peaks_on_a_line():
    """At `t = 3.6 / pi` the cosine has become a train of eight, of heights that rise nearly linearly with place."""
    grid, fine, equation = Grid((256,), (2.0,)), 4096, KortewegDeVries(1.0, 0.022**2)
    u = end(equation, grid, torch.cos(math.pi * grid.coordinates()[0])[None], 3.6 / math.pi, 3.6 / math.pi / 1000)[0]
    u = grid.interpolate(u, (fine,))
    (place,) = ((u > u.roll(1)) & (u > u.roll(-1))).nonzero(as_tuple=True)
    assert len(place) == 8
    # Counted from the lowest, around the box.
    height, order = u[place].sort()
    distance = ((place[order] - place[order][0]) % fine) * 2.0 / fine
    assert (distance.diff() > 0.2).all()
    fit = torch.stack((torch.ones(8, dtype=torch.float64), distance), dim=1)
    misfit = height - fit @ torch.linalg.lstsq(fit, height[:, None]).solution[:, 0]
    assert largest(misfit) < 0.05 * (height[-1] - height[0])
    assert height[-1] > 2.2


def test_a_moving_observer_sees_the_same_flow():
    """`u(x - a c t, t) + c` solves what `u` solves."""
    grid, equation, c = Grid((128,), (11.0,)), KortewegDeVries(2.0, 0.5), 0.8
    u0 = equation.initial_condition(grid, batch=1, seed=6)[0]
    rest, moving = end(equation, grid, u0, 1.0, 0.001), end(equation, grid, u0 + c, 1.0, 0.001)
    carried = grid.irfft(torch.exp(-1j * grid.wavenumbers() * 2.0 * c) * grid.rfft(rest)) + c
    assert largest(moving - carried) < 1e-8


def test_waves_of_small_height_turn_and_decay_as_their_symbol_says():
    grid, equation = Grid((64,), (7.0,)), KortewegDeVries(3.0, 0.4, viscosity=0.1, hyperviscosity=0.02)
    u0 = 1e-30 * sample(RandomFourierSeries(modes=6, decay=0.0), grid, batch=1)[0]
    k = grid.wavenumbers()
    exact = grid.irfft(torch.exp(2.0 * (0.4j * k**3 - 0.1 * k**2 - 0.02 * k**4)) * grid.rfft(u0))
    assert largest(end(equation, grid, u0, 2.0, 0.1) - exact) < 1e-12 * largest(exact)


def test_damped_waves_follow_their_budgets():
    grid, equation, dt = Grid((96,), (9.0,)), KortewegDeVries(viscosity=0.02, hyperviscosity=0.003), 0.0025
    u0 = equation.initial_condition(grid, batch=2, seed=1)
    u = simulate(equation, grid, u0, interval=dt, frames=200, dt=dt / 2)
    values = equation.invariants(u, grid)
    simpson = torch.tensor([1.0] + [4.0, 2.0] * 99 + [4.0, 1.0], dtype=torch.float64) * dt / 3
    for name, terms in (("energy", equation.budget(u, grid)), ("momentum", equation.momentum_budget(u, grid))):
        change = values[name][:, -1] - values[name][:, 0]
        shares = {term: (rate * simpson).sum(-1) for term, rate in terms.items()}
        assert (change - sum(shares.values())).abs().max() < 1e-6 * change.abs().min(), name
        assert all((share.abs() > 0.03 * change.abs()).all() for share in shares.values())
    assert (values["momentum"].diff() < 0).all()


def test_what_is_conserved_depends_on_the_damping():
    assert KortewegDeVries().conserved == ("mass", "momentum", "energy")
    for damped in ({"viscosity": 0.1}, {"hyperviscosity": 0.1}, {"viscosity": torch.tensor(0.0)}):
        assert KortewegDeVries(**damped).conserved == ("mass",)


def test_gradients_reach_every_coefficient():
    grid = Grid((48,), (9.0,))
    numbers = {"advection": 2.0, "dispersion": 0.5, "viscosity": 0.1, "hyperviscosity": 0.02}
    u0 = KortewegDeVries().initial_condition(grid, batch=1, seed=3)

    def loss(**values):
        return simulate(KortewegDeVries(**values), grid, u0, interval=0.2, frames=1, dt=0.01)[:, -1].square().sum()

    for name, value in numbers.items():
        slope = torch.func.grad(lambda x, name=name: loss(**numbers | {name: x}))(torch.tensor(value))
        step = 1e-4 * value
        up, down = loss(**numbers | {name: value + step}), loss(**numbers | {name: value - step})
        assert slope.item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-4), name


def test_negative_damping_is_refused():
    for name in ("viscosity", "hyperviscosity"):
        with pytest.raises(ValueError, match=f"{name} must not be negative"):
            KortewegDeVries(**{name: -1.0})


@pytest.mark.parametrize("name", ["advection", "dispersion"])
def test_coefficients_that_are_no_numbers_are_refused(name):
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"{name} must be finite"):
            KortewegDeVries(**{name: value})

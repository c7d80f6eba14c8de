"""Two-dimensional Navier-Stokes: signs and scales against exact flows, budgets, inviscid invariants."""

import math
from itertools import pairwise

import pytest
import torch

from rollwave.solvers import BandLimitedField, Grid, KolmogorovForcing, NavierStokes, sample, simulate
from rollwave.solvers.exact import taylor_green

TAU = 2 * math.pi
SQUARE = Grid((64, 64), (TAU, TAU))


def waves(grid, count=6, highest=5):
    """Stream function, vorticity and their first derivatives for a sum of plane waves, by hand."""
    generator = torch.Generator().manual_seed(2)
    x, y = grid.coordinates()
    fields = {name: torch.zeros(grid.points, dtype=torch.float64) for name in ("u", "v", "w", "w_x", "w_y", "lap")}
    for _ in range(count):
        a, b = torch.randint(-highest, highest + 1, (2,), generator=generator).tolist()
        k, m = TAU * a / grid.lengths[0], TAU * b / grid.lengths[1]
        amplitude, shift = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        phase, square = k * x + m * y + 6 * shift, k * k + m * m
        c, s = amplitude * torch.cos(phase), amplitude * torch.sin(phase)
        fields["u"] += -m * s
        fields["v"] += k * s
        fields["w"] += square * c
        fields["w_x"] += -k * square * s
        fields["w_y"] += -m * square * s
        fields["lap"] += -(square**2) * c
    return fields


@pytest.mark.parametrize("lengths", [(TAU, TAU), (1.0, 3.0)])
@pytest.mark.parametrize("points", [(48, 64), (45, 33)])
def test_the_tendency_is_the_equation_term_by_term(points, lengths):
    """A generic field with hand-made derivatives sees every sign: advection, curl, force, viscosity, drag."""
    grid, nu, mu, force, n = Grid(points, lengths), 0.03, 0.2, 0.7, 3
    f = waves(grid)
    k = TAU * n / lengths[1]
    y = grid.coordinates()[1]
    exact = -f["u"] * f["w_x"] - f["v"] * f["w_y"] + nu * f["lap"] - mu * f["w"] - force * k * torch.cos(k * y)
    equation = NavierStokes(nu, mu, KolmogorovForcing(force, n))
    w = f["w"][None]
    assert (equation.tendency(w, grid)[0] - exact).abs().max() < 1e-12 * exact.abs().max()
    velocity = torch.stack((f["u"], f["v"]))
    assert (equation.velocity(w, grid) - velocity).abs().max() < 1e-13 * velocity.abs().max()
    assert equation.invariants(w, grid)["energy"].item() == pytest.approx(
        grid.integrate(velocity.square().sum(0) / 2).item(), rel=1e-13
    )


def test_four_transforms_give_what_five_give():
    """The conservative form agrees with `-u w_x - v w_y`, masked alike, on a field that fills every kept mode."""
    equation = NavierStokes(0.0)
    w_hat = equation.transform(torch.randn(1, 1, 64, 64, dtype=torch.float64), SQUARE)
    w = equation.inverse(w_hat, SQUARE)
    u, v = equation.velocity(w, SQUARE).unbind(-3)
    slopes = [SQUARE.differentiate(w[:, 0], 1, axis) for axis in (0, 1)]
    direct = equation.transform(-u * slopes[0] - v * slopes[1], SQUARE)
    assert (equation.nonlinear(SQUARE)(w_hat)[:, 0] - direct).abs().max() < 1e-13 * direct.abs().max()


@pytest.mark.parametrize(("length", "wavenumber", "drag"), [(TAU, 1, 0.0), (TAU, 2, 0.3), (3.0, 1, 0.0)])
def test_taylor_green_vortices_decay_exactly(length, wavenumber, drag):
    grid = Grid((32, 32), (length, length))
    flow = {"viscosity": 0.02, "drag": drag, "wavenumber": wavenumber}
    u0, exact = taylor_green(grid, 0.0, **flow)[None], taylor_green(grid, 2.0, **flow)
    u = simulate(NavierStokes(0.02, drag), grid, u0, interval=2.0, frames=1, dt=0.05)[0, -1]
    assert (u - exact).abs().max() < 5e-14 * u0.abs().max()


def test_modes_of_one_shell_decay_together():
    """On `|m|^2 = 25` the vorticity is a multiple of the stream function, so all products cancel."""
    x, y = SQUARE.coordinates()
    w = torch.cos(5 * x) + 0.7 * torch.sin(4 * x + 3 * y) - 0.4 * torch.cos(3 * x - 4 * y) + 0.2 * torch.sin(5 * y)
    u = simulate(NavierStokes(0.01), SQUARE, w[None, None], interval=2.0, frames=1, dt=0.05)[0, -1, 0]
    assert (u - math.exp(-0.5) * w).abs().max() < 1e-13


@pytest.mark.parametrize("lengths", [(TAU, TAU), (2.0, 3.0), (1.0, 1.0)])
@pytest.mark.parametrize("drag", [0.0, 0.1])
def test_the_laminar_kolmogorov_flow_is_a_fixed_point_on_any_box(lengths, drag):
    grid, nu, force, n = Grid((24, 36), lengths), 0.05, 0.7, 2
    k = TAU * n / lengths[1]
    laminar = -force * k * torch.cos(k * grid.coordinates()[1]) / (nu * k**2 + drag)
    u0 = laminar.expand(1, 1, 24, 36).contiguous()
    equation = NavierStokes(nu, drag, KolmogorovForcing(force, n))
    u = simulate(equation, grid, u0, interval=1.0, frames=1, dt=0.05)[:, -1]
    assert (u - u0).abs().max() < 2e-14 * u0.abs().max()
    # From rest the flow reaches it, at the rate of its own mode.
    rest = simulate(equation, grid, 0 * u0, interval=1.0, frames=1, dt=0.05)[:, -1]
    assert (rest - u0 * -math.expm1(-(nu * k**2 + drag))).abs().max() < 1e-13 * u0.abs().max()


def test_a_dipole_moves_the_way_its_jet_blows():
    """Counter-clockwise below, clockwise above: the jet between, and so the pair, goes towards negative `x`."""
    x, y = SQUARE.coordinates()

    def vortex(height):
        return torch.exp(-((x - math.pi) ** 2 + (y - height) ** 2) / 0.1)

    w = 10 * (vortex(math.pi - 0.5) - vortex(math.pi + 0.5))
    u = simulate(NavierStokes(1e-3), SQUARE, w[None, None], interval=1.0, frames=1, dt=0.02)[0, -1, 0]
    place = torch.atan2((u.square() * torch.sin(x)).sum(), (u.square() * torch.cos(x)).sum()) % TAU
    # Point vortices of circulation pi at distance 1 drift by 1/2 in unit time.
    assert place.item() - math.pi == pytest.approx(-0.5, abs=0.08)


def unit_flow(grid=SQUARE, high=5, seed=0):
    """A random flow of unit root mean square velocity."""
    w = sample(BandLimitedField(low=2, high=high), grid, batch=1, seed=seed)
    energy = NavierStokes().invariants(w, grid)["energy"]
    return w * torch.sqrt(0.5 * math.prod(grid.lengths) / energy)[:, None, None, None]


def test_without_viscosity_energy_and_enstrophy_drift_only_by_the_scheme():
    """Exact invariants of the truncated equations; a fourth-order scheme drifts at fifth order on this time scale."""
    u0, equation = unit_flow(), NavierStokes(0.0)
    start, drifts = equation.invariants(u0, SQUARE), []
    for dt in (0.02, 0.01, 0.005):
        end = equation.invariants(simulate(equation, SQUARE, u0, interval=2.0, frames=1, dt=dt)[:, -1], SQUARE)
        drifts.append([abs(end[name] / start[name] - 1).item() for name in ("energy", "enstrophy")])
    for coarse, fine in pairwise(drifts):
        assert all(math.log2(a / b) > 4.5 for a, b in zip(coarse, fine, strict=True))
    assert drifts[-1][0] < 5e-9
    assert drifts[-1][1] < 2e-7


def test_energy_and_enstrophy_follow_their_budgets():
    u0, equation = unit_flow(), NavierStokes(0.01, 0.1, KolmogorovForcing(1.0, 3))
    u = simulate(equation, SQUARE, u0, interval=0.01, frames=100, dt=0.01)
    values = equation.invariants(u, SQUARE)
    simpson = torch.tensor([1.0] + [4.0, 2.0] * 49 + [4.0, 1.0], dtype=torch.float64) * 0.01 / 3
    for name, budget in (("energy", equation.budget), ("enstrophy", equation.enstrophy_budget)):
        terms = {term: (rate * simpson).sum().item() for term, rate in budget(u, SQUARE).items()}
        assert min(abs(term) for term in terms.values()) > 1e-3
        change = (values[name][:, -1] - values[name][:, 0]).item()
        assert change == pytest.approx(sum(terms.values()), abs=1e-7 * values[name][0, 0].item())
    assert values["circulation"].abs().max() < 1e-12


def test_a_resolved_turbulent_decay_converges_at_fourth_order():
    grid = Grid((128, 128), (TAU, TAU))
    u0 = unit_flow(grid, high=6, seed=3)
    ends = [simulate(NavierStokes(1e-3), grid, u0, interval=1.0, frames=1, dt=1 / n)[:, -1] for n in (50, 100, 200)]
    errors = [((a - b).norm() / b.norm()).item() for a, b in pairwise(ends)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.25)
    assert errors[1] < 1e-5


def test_the_flow_commutes_with_the_symmetries_of_the_square():
    """Rotation by 90 degrees, and reflection with a change of sign."""
    equation, u0 = NavierStokes(0.01), unit_flow(Grid((32, 32), (TAU, TAU)))
    grid = Grid((32, 32), (TAU, TAU))

    def flow(w):
        return simulate(equation, grid, w, interval=0.5, frames=1, dt=0.02)[:, -1]

    def reflect(w):
        return -torch.roll(torch.flip(w, (-2,)), 1, -2)

    def rotate(w):
        return torch.roll(torch.flip(w.transpose(-1, -2), (-2,)), 1, -2)

    end = flow(u0)
    for symmetry in (reflect, rotate):
        assert (flow(symmetry(u0)) - symmetry(end)).abs().max() < 1e-12 * end.abs().max()
    assert (flow(-reflect(u0)) + reflect(end)).abs().max() > 0.1


def test_forcing_beyond_the_kept_modes_is_refused():
    with pytest.raises(ValueError, match="wavenumber must be in"):
        NavierStokes(forcing=KolmogorovForcing(1.0, 11)).nonlinear(Grid((32, 32), (1.0, 1.0)))

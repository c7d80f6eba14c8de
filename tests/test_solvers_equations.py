"""One-dimensional equations against exact solutions, invariants and budgets, in float64."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

from rollwave.solvers import (
    ETDRK4,
    Burgers,
    Equation,
    Grid,
    KleinGordon,
    KuramotoSivashinsky,
    Linear,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    StoermerVerlet,
    Strang,
    simulate,
)
from rollwave.solvers.exact import breather, bright_soliton, cole_hopf_wave, kink_antikink, sine_gordon_kink_antikink

TAU = 2 * math.pi


def end(equation, grid, u0, time, dt, stepper=None):
    return simulate(equation, grid, u0[None], interval=time, frames=1, dt=dt, stepper=stepper)[0, -1]


def largest(difference):
    return difference.abs().max().item()


def rates(errors):
    return [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]


@pytest.mark.parametrize("length", [TAU, 3.0])
def test_burgers_follows_the_cole_hopf_wave(length):
    grid, nu, time = Grid((128,), (length,)), 0.05 * (length / TAU) ** 2, 2.0
    u0, exact = (cole_hopf_wave(grid, t, viscosity=nu) for t in (0.0, time))
    errors = [largest(end(Burgers(nu), grid, u0, time, time / n) - exact) / (length / TAU) for n in (10, 20, 40, 80)]
    assert all(rate > 3.8 for rate in rates(errors))
    assert errors[-1] < 1e-10
    assert largest(end(Burgers(nu), grid, u0, time, time / 640) - exact) < 2e-12


def cole_hopf_integral(x, time, nu):
    """`u` for `u_0 = sin x`: a ratio of integrals with positive weights, largest exponent taken out."""
    y = np.linspace(-3 * math.pi, 3 * math.pi, 6001)[None] + x[:, None]
    exponent = -((x[:, None] - y) ** 2) / (4 * nu * time) + (np.cos(y) - 1) / (2 * nu)
    weight = np.exp(exponent - exponent.max(1, keepdims=True))
    return ((x[:, None] - y) / time * weight).sum(1) / weight.sum(1)


def test_burgers_steepens_a_sine_as_the_cole_hopf_integral_says():
    grid, nu = Grid((256,), (TAU,)), 0.1
    (x,) = grid.coordinates()
    exact = torch.from_numpy(cole_hopf_integral(x.numpy(), 1.0, nu))
    errors = [largest(end(Burgers(nu), grid, torch.sin(x)[None], 1.0, 1 / n)[0] - exact) for n in (50, 100, 200, 400)]
    assert all(rate > 3.8 for rate in rates(errors[:3]))
    assert errors[0] < 3e-7
    assert errors[-1] < 5e-11


@pytest.mark.parametrize(("equation", "length", "time"), [(Burgers(0.1), TAU, 1.0), (KuramotoSivashinsky(), 22.0, 5.0)])
def test_a_moving_observer_sees_the_same_flow(equation, length, time):
    """`u(x - c t, t) + c` solves what `u` solves; the mean stays."""
    grid, c = Grid((64,), (length,)), 0.8
    u0 = equation.initial_condition(grid, batch=1, seed=6)[0]
    rest, moving = end(equation, grid, u0, time, time / 500), end(equation, grid, u0 + c, time, time / 500)
    carried = grid.irfft(torch.exp(-1j * grid.wavenumbers() * c * time) * grid.rfft(rest)) + c
    assert largest(moving - carried) < 1e-7
    assert abs(moving.mean().item() - (u0.mean().item() + c)) < 1e-14


@pytest.mark.parametrize(
    ("equation", "length", "dt", "share"),
    [(Burgers(0.1), TAU, 0.005, -0.3), (KuramotoSivashinsky(), 22.0, 0.01, None)],
)
def test_energy_follows_its_budget(equation, length, dt, share):
    grid = Grid((64,), (length,))
    u0 = equation.initial_condition(grid, batch=2, seed=1)
    u = simulate(equation, grid, u0, interval=dt, frames=200, dt=dt / 2)
    values, terms = equation.invariants(u, grid), equation.budget(u, grid)
    simpson = torch.tensor([1.0] + [4.0, 2.0] * 99 + [4.0, 1.0], dtype=torch.float64) * dt / 3
    change = values["energy"][:, -1] - values["energy"][:, 0]
    predicted = sum((rate * simpson).sum(-1) for rate in terms.values())
    assert (change - predicted).abs().max() < 2e-7 * values["energy"].max()
    assert change.abs().min() > 0.05 * values["energy"][:, 0].min()
    assert largest(values["mass"] - values["mass"][:, :1]) < 1e-12
    if share is not None:
        assert (change < share * values["energy"][:, 0]).all()


@pytest.fixture(scope="module")
def chaos():
    """A state on the Kuramoto-Sivashinsky attractor of the box of length 22."""
    grid, equation = Grid((64,), (22.0,)), KuramotoSivashinsky()
    u0 = equation.initial_condition(grid, batch=1, seed=0)
    return equation, grid, simulate(equation, grid, u0, interval=1.0, frames=0, dt=0.1, warmup=150.0)[0, 0]


def test_kuramoto_sivashinsky_converges_from_a_chaotic_state(chaos):
    """Order three while `dt k_max^4 >> 1` (stiff order reduction), four below."""
    equation, grid, u0 = chaos
    ends = [end(equation, grid, u0, 10.0, 1 / n) for n in (16, 32, 64, 128, 256)]
    errors = [largest(a - b) for a, b in pairwise(ends)]
    assert all(rate > 2.8 for rate in rates(errors))
    assert rates(errors)[-1] > 3.5
    assert errors[-1] < 3e-7


def test_kuramoto_sivashinsky_balances_production_and_dissipation_on_average(chaos):
    """`<u_x^2> = <u_xx^2>` up to the change of energy over the time of averaging; long runs give 0.912 for both."""
    equation, grid, u0 = chaos
    u0 = u0[None] * torch.linspace(0.9, 1.1, 16, dtype=torch.float64)[:, None, None]
    u = simulate(equation, grid, u0, interval=1.0, frames=500, dt=0.1)
    terms = {name: (rate[:, 50:].mean() / 22.0).item() for name, rate in equation.budget(u, grid).items()}
    assert terms["production"] == pytest.approx(0.912, rel=0.05)
    assert terms["production"] == pytest.approx(-terms["dissipation"], rel=5e-3)


def test_kuramoto_sivashinsky_keeps_odd_fields_odd():
    grid, equation = Grid((64,), (22.0,)), KuramotoSivashinsky()
    k = TAU / 22.0 * grid.coordinates()[0]
    u = end(equation, grid, (torch.sin(k) + 0.5 * torch.sin(2 * k))[None], 20.0, 0.05)
    assert largest(u + torch.roll(torch.flip(u, (-1,)), 1, -1)) < 1e-10
    assert largest(u) > 1


@pytest.mark.parametrize(
    ("stepper", "steps", "order", "accuracy"),
    [(Strang, (500, 1000, 2000), 2, 2.5e-5), (ETDRK4, (500, 1000, 2000), 4, 5e-10)],
)
def test_the_bright_soliton_travels_undistorted(stepper, steps, order, accuracy):
    grid, equation, time = Grid((512,), (40.0,)), NonlinearSchrodinger(), 10.0
    u0, exact = (bright_soliton(grid, t, turns=6, position=10.0) for t in (0.0, time))
    ends = [end(equation, grid, u0, time, time / n, stepper) for n in steps]
    errors = [largest(u - exact) for u in ends]
    assert all(rate == pytest.approx(order, abs=0.15) for rate in rates(errors))
    assert errors[-1] < accuracy
    start, after = equation.invariants(u0, grid), equation.invariants(ends[-1], grid)
    speed = TAU * 6 / 40.0
    for name, value in {"mass": 2.0, "momentum": 2 * speed, "energy": speed**2 - 1 / 3}.items():
        assert start[name].item() == pytest.approx(value, abs=1e-12)
    tight = 1e-11 if stepper is Strang else 5e-10
    assert all(abs((after[name] - start[name]).item()) < tight for name in ("mass", "momentum"))
    assert abs((after["energy"] - start["energy"]).item()) < 5e-10


def centre(u, grid, near, reach=14.0):
    """Centroid of `|psi|^2` within `reach` of a point."""
    (x,), weight = grid.coordinates(), u.square().sum(0)
    weight = weight * ((x - near).abs() < reach)
    return ((x * weight).sum() / weight.sum()).item()


@pytest.mark.slow
def test_solitons_pass_through_each_other_with_the_exact_shift():
    grid, equation, time = Grid((1024,), (120.0,)), NonlinearSchrodinger(), 25.0
    (a, b), (m, n), (p, q) = (1.0, 1.2), (19, -19), (30.0, 90.0)
    v = TAU * 19 / 120.0
    u0 = bright_soliton(grid, 0.0, amplitude=a, turns=m, position=p) + bright_soliton(
        grid, 0.0, amplitude=b, turns=n, position=q
    )
    u = end(equation, grid, u0, time * 2, time / 3000)
    kick = math.log(((a + b) ** 2 + 4 * v**2) / ((a - b) ** 2 + 4 * v**2))
    right, left = p + v * 2 * time + kick / a, q - v * 2 * time - kick / b
    assert centre(u, grid, right) == pytest.approx(right, abs=1e-5)
    assert centre(u, grid, left) == pytest.approx(left, abs=1e-5)
    assert kick > 0.1


@pytest.mark.parametrize(("focusing", "growth"), [(True, 1.0), (False, -1.0)])
def test_plane_waves_are_unstable_only_when_focusing(focusing, growth):
    """A side band at `K` obeys `a_tt = K^2 (g - K^2 / 4) a`: grows at `K sqrt(1 - K^2/4)`, or oscillates."""
    k, seed, time = 1.0, 1e-8, 3.0
    grid, equation = Grid((32,), (TAU / k,)), NonlinearSchrodinger(focusing)
    (x,) = grid.coordinates()
    u0 = torch.stack((1 + seed * torch.cos(k * x), torch.zeros_like(x)))
    for stepper in (ETDRK4, Strang):
        u = end(equation, grid, u0, time, 0.003, stepper)
        squared = u.square().sum(0) - 1
        band = 2 * grid.rfft(squared).real[1].item() / 32
        rate = math.sqrt(abs(k**2 * (growth - k**2 / 4)))
        exact = 2 * seed * (math.cosh(rate * time) if focusing else math.cos(rate * time))
        assert band == pytest.approx(exact, abs=1e-5 * 2 * seed * math.cosh(rate * time))


@pytest.mark.parametrize("focusing", [True, False])
def test_a_random_field_keeps_mass_momentum_and_energy(focusing):
    grid, equation = Grid((256,), (20.0,)), NonlinearSchrodinger(focusing)
    u0 = 0.7 * equation.initial_condition(grid, batch=2, seed=0)
    u = simulate(equation, grid, u0, interval=0.5, frames=4, dt=0.0025, stepper=Strang)
    values = equation.invariants(u, grid)
    assert largest(values["mass"] / values["mass"][:, :1] - 1) < 1e-12
    assert largest(values["momentum"] - values["momentum"][:, :1]) < 1e-10
    assert largest(values["energy"] - values["energy"][:, :1]) < 1e-4 * values["energy"].abs().max()


@pytest.mark.parametrize("mode", [1, 15])
def test_verlet_turns_linear_waves_at_its_own_known_frequency(mode):
    grid, dt, steps = Grid((64,), (TAU,)), 0.02, 500
    waves, frequency = KleinGordon(Linear(1.0)), math.sqrt(1 + mode**2)
    phi = torch.cos(mode * grid.coordinates()[0])
    u = end(waves, grid, torch.stack((phi, 0 * phi)), steps * dt, dt, StoermerVerlet)
    numerical = 2 / dt * math.asin(frequency * dt / 2)
    assert largest(u[0] - math.cos(numerical * steps * dt) * phi) < 1e-11
    slip = (numerical - frequency) * steps * dt
    assert slip == pytest.approx({1: 4.7e-4, 15: 0.565}[mode], rel=0.03)


def test_the_sine_gordon_breather_breathes():
    grid, equation, periods = Grid((512,), (80.0,)), KleinGordon(), 5
    time = periods * TAU / 0.5
    u0 = breather(grid, 0.0, frequency=0.5)
    assert u0[0].max().item() == pytest.approx(4 * math.atan(math.sqrt(3.0)), abs=1e-12)
    assert equation.invariants(u0, grid)["energy"].item() == pytest.approx(16 * math.sqrt(0.75), abs=1e-12)
    ends = [end(equation, grid, u0, time, time / n, StoermerVerlet) for n in (750, 1500, 3000)]
    errors = [largest(u - breather(grid, time, frequency=0.5)) for u in ends]
    assert all(rate == pytest.approx(2, abs=0.1) for rate in rates(errors))
    assert errors[-1] < 2e-4
    assert abs(equation.invariants(ends[-1], grid)["energy"].item() - 16 * math.sqrt(0.75)) < 1e-7
    # A quarter of a period apart from the turning point, velocities matter.
    assert largest(end(equation, grid, u0, 3.3, 0.1) - breather(grid, 3.3, frequency=0.5)) < 1e-7


@pytest.mark.parametrize(("coupling", "vacuum"), [(1.0, 1.0), (0.5, 1.4)])
def test_a_boosted_kink_and_antikink_keep_their_shape_and_energy(coupling, vacuum):
    grid, speed, time = Grid((1024,), (160.0,)), 0.4, 40.0
    equation, pair = KleinGordon(Phi4(coupling, vacuum)), {"coupling": coupling, "vacuum": vacuum, "separation": 70.0}
    u0, exact = (kink_antikink(grid, t, speed=speed, **pair) for t in (0.0, time))
    energy = 2 / math.sqrt(1 - speed**2) * (2 * math.sqrt(2) / 3) * math.sqrt(coupling) * vacuum**3
    assert equation.invariants(u0, grid)["energy"].item() == pytest.approx(energy, abs=1e-12 * energy)
    ends = [end(equation, grid, u0, time, dt, StoermerVerlet) for dt in (0.08, 0.04, 0.02)]
    errors = [largest(u - exact) for u in ends]
    assert all(rate == pytest.approx(2, abs=0.1) for rate in rates(errors))
    assert errors[-1] < 1.2e-4
    assert equation.invariants(ends[-1], grid)["energy"].item() == pytest.approx(energy, rel=1e-8)


def test_slow_kinks_bounce_as_published_energies_say():
    """Phi^4 pairs carry `2 g (2 sqrt(2) / 3)`; at speed 0.3 they bounce once and part, at 0.25 they are captured."""
    grid, equation = Grid((512,), (100.0,)), KleinGordon(Phi4())
    speeds, energies = (0.2, 0.25, 0.3), (1.92450, 1.94746, 1.97666)
    u0 = torch.stack([kink_antikink(grid, 0.0, speed=speed) for speed in speeds])
    assert equation.invariants(u0, grid)["energy"].tolist() == pytest.approx(energies, abs=6e-6)
    u = simulate(equation, grid, u0, interval=1.0, frames=80, dt=0.02)
    middle = u[:, :, 0, 256]
    # Between the walls the field is at +1, inside a collision below it; walls that part leave +1 behind.
    assert middle[2, -20:].min() > 0.5
    assert middle[1, 40:].min() < -0.5
    assert (middle[:, :10] > 0.9).all()


def test_sine_gordon_kinks_pass_through_each_other():
    grid, equation = Grid((1024,), (80.0,)), KleinGordon()
    u0, exact = (sine_gordon_kink_antikink(grid, t) for t in (-12.0, 12.0))
    errors = [largest(end(equation, grid, u0, 24.0, dt, StoermerVerlet) - exact) for dt in (0.04, 0.02, 0.01)]
    assert all(rate == pytest.approx(2, abs=0.1) for rate in rates(errors))
    assert errors[-1] < 1e-4
    assert equation.invariants(u0, grid)["energy"].item() == pytest.approx(16 / math.sqrt(0.75), abs=1e-8)


def test_verlet_energy_stays_bounded_over_many_steps_and_momentum_stays():
    grid, equation = Grid((64,), (20.0,)), KleinGordon()
    u0 = equation.initial_condition(grid, batch=1, seed=1)
    u0[:, 1] = 0.3 * torch.roll(u0[:, 0], 7, -1)
    u = simulate(equation, grid, u0, interval=1.0, frames=1000, dt=0.05, stepper=StoermerVerlet)
    values = equation.invariants(u, grid)
    drift = (values["energy"] / values["energy"][:, :1] - 1).flatten()
    # 20000 steps: the error of the first tenth is the error of the last.
    assert drift.abs().max() < 2e-3
    assert drift[900:].abs().max() < 1.3 * drift[:100].abs().max()
    assert abs(drift[900:].mean() - drift[:100].mean()) < 0.5 * drift[:100].abs().max()
    assert largest(values["momentum"] - values["momentum"][:, :1]) < 1e-5


@pytest.mark.parametrize("stepper", [StoermerVerlet, Strang])
def test_waves_in_the_plane_reduce_to_waves_on_a_line(stepper):
    line, plane, equation = Grid((32,), (9.0,)), Grid((32, 12), (9.0, 4.0)), KleinGordon(Phi4())
    u0 = equation.initial_condition(line, batch=1, seed=3)
    flat = simulate(equation, line, u0, interval=1.0, frames=2, dt=0.02, stepper=stepper)
    wide = u0[..., None].expand(1, 2, 32, 12).contiguous()
    high = simulate(equation, plane, wide, interval=1.0, frames=2, dt=0.02, stepper=stepper)
    assert largest(high - flat[..., None]) < 1e-11
    turned = simulate(
        equation, Grid((12, 32), (4.0, 9.0)), wide.mT.contiguous(), interval=1.0, frames=2, dt=0.02, stepper=stepper
    )
    assert largest(turned.mT - high) < 1e-11


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Burgers(viscosity=-0.1), "viscosity must not be negative nor infinite, got -0.1"),
        (lambda: NavierStokes(viscosity=float("nan")), "viscosity must not be negative nor infinite, got nan"),
        (lambda: Burgers(viscosity=float("inf")), "viscosity must not be negative nor infinite, got inf"),
        (lambda: NavierStokes(drag=-1.0), "drag must not be negative nor infinite, got -1.0"),
    ],
)
def test_growth_where_there_should_be_friction_is_refused(build: Callable[[], Equation], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()

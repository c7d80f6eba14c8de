"""Certificates: measured errors are the true ones where those are known, and what misses a tolerance is named."""

import json
import math
from dataclasses import replace

import pytest
import torch

from rollwave.solvers import (
    ETDRK2,
    ETDRK4,
    Burgers,
    Certificate,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    KuramotoSivashinsky,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    SimulationError,
    Strang,
    VectorBurgers,
    certify,
    simulate,
)
from rollwave.solvers.certificate import frames_below
from rollwave.solvers.checks import check_samples
from rollwave.solvers.exact import bright_soliton, cole_hopf_plane, cole_hopf_wave
from rollwave.solvers.simulate import CERTIFIED

BOX = Grid((128,), (2 * math.pi,))
FLAME = Grid((64,), (22.0,))
SQUARE = Grid((32, 32), (2 * math.pi,) * 2)


def relative(u, exact):
    """The error of a trajectory `[t, c, n]`, as certificates define it."""
    return float(((u - exact).norm(dim=2) / u.norm(dim=2).amax(dim=0)).max())


@pytest.mark.parametrize(
    ("scheme", "dt", "share"), [(Strang, 0.02, 3 / 4), (ETDRK2, 0.01, 3 / 4), (ETDRK4, 0.1, 15 / 16)]
)
def test_half_the_step_shows_three_quarters_of_a_second_order_error_and_15_16_of_a_fourth(scheme, dt, share):
    grid, equation = Grid((512,), (40.0,)), NonlinearSchrodinger()
    exact = torch.stack([bright_soliton(grid, t, turns=2) for t in range(3)])
    u, found = simulate(equation, grid, exact[:1], interval=1.0, frames=2, dt=dt, stepper=scheme, certify=True)
    true = relative(u[0], exact)
    assert 1e-6 < true < 1e-1
    assert found.step_error == pytest.approx(share * true, rel=0.1)
    assert found.grid_error < 1e-3 * found.step_error


def test_twice_the_grid_shows_the_true_error_of_a_coarse_one():
    grid, sharp = Grid((48,), (2 * math.pi,)), {"viscosity": 0.05, "amplitude": 0.95}
    exact = torch.stack([cole_hopf_wave(grid, 0.5 * t, **sharp) for t in range(3)])
    fine = cole_hopf_wave(Grid((96,), grid.lengths), 0.0, **sharp)
    run = {"interval": 0.5, "frames": 2, "dt": 0.01}
    u = simulate(Burgers(0.05), grid, exact[:1], **run)
    found = certify(Burgers(0.05), grid, exact[:1], fine_u0=fine[None], **run)
    assert found.grid_error == pytest.approx(relative(u[0], exact), rel=0.1)
    assert found.grid_error > 1e3 * found.step_error


def test_a_front_is_certified_on_the_grid_that_resolves_it_alone():
    grid = Grid((1024,), BOX.lengths)
    for equation, there, sound in ((Burgers(0.005), BOX, False), (Burgers(0.02), grid, True)):
        u0 = equation.initial_condition(there, batch=2)
        found = simulate(equation, there, u0, interval=0.1, frames=20, dt=0.01, certify=True)[1]
        complaints = found.complaints(1e-3)
        assert found.samples == 2
        assert (found.grid_error < 1e-3) is sound
        assert (found.predictable == found.horizon) is sound
        assert any("twice the grid" in line and "points=" in line for line in complaints) is not sound
        assert any("highest quarter of the modes" in line for line in complaints) is not sound
        assert not any("dt=" in line for line in complaints)


def test_an_initial_function_that_the_grid_aliases_is_seen_where_it_is_given():
    """`cos 61 x` on 64 points is `cos 3 x`."""
    coarse, fine = Grid((64,), BOX.lengths), BOX
    start, fine_start = (torch.cos(61 * grid.coordinates()[0])[None, None] for grid in (coarse, fine))
    run = {"interval": 0.1, "frames": 2, "dt": 0.01}
    assert certify(Burgers(0.1), coarse, start, **run).grid_error < 1e-3
    assert certify(Burgers(0.1), coarse, start, fine_u0=fine_start, **run).grid_error > 0.5


def test_a_finer_solution_that_is_lost_is_an_infinite_error_from_the_first_frame_on():
    u0 = cole_hopf_wave(BOX, 0.0, viscosity=0.05)[None]
    fine = torch.full((1, 1, 256), 1e200, dtype=torch.float64) * torch.randn(256)
    found = certify(Burgers(0.05), BOX, u0, fine_u0=fine, interval=0.1, frames=2, dt=0.05)
    assert (found.grid_error, found.predictable) == (math.inf, 0.0)
    assert found.step_error < 1e-6
    assert ["points=" in line for line in found.complaints()] == [True]


def test_what_is_conserved_has_the_budget_zero():
    grid, equation = Grid((256,), (40.0,)), NonlinearSchrodinger()
    u0 = bright_soliton(grid, 0.0)[None]
    found = certify(equation, grid, u0, interval=1.0, frames=2, dt=0.05, stepper=Strang)
    assert set(found.budget_error) == {"mass", "momentum", "energy"}
    assert found.budget_error == found.invariant_drift
    assert found.budget_error["mass"] < 1e-12 < 1e-7 < found.budget_error["energy"]


@pytest.mark.slow
def test_chaos_is_certified_for_longer_with_smaller_steps():
    equation = KuramotoSivashinsky()
    u0 = simulate(equation, FLAME, equation.initial_condition(FLAME, batch=2), interval=100.0, frames=1, dt=0.1)[:, -1]
    found = [certify(equation, FLAME, u0, interval=4.0, frames=22, dt=dt) for dt in (0.4, 0.2, 0.1)]
    times = [certificate.predictable for certificate in found]
    assert 0 < times[0] < times[1] < times[2] < 88
    assert all(certificate.step_error > 1e-3 > certificate.grid_error for certificate in found)
    assert f"in 88 time units, by 1e-03 after {times[2]:g} of them: give a smaller dt=" in found[2].complaints()[0]
    short = certify(equation, FLAME, u0, interval=4.0, frames=round(times[1] / 4), dt=0.2)
    assert short.complaints() == []
    assert short.predictable == short.horizon == times[1]


@pytest.mark.parametrize(
    ("curves", "frames"),
    [([[0, 1, 1]], 2), ([[0, 1, 3]], 1), ([[0, 3, 1]], 0), ([[3, 0, 0]], 0), ([[0, 1, 1], [0, 1, 9]], 1)],
)
def test_a_run_is_right_until_the_first_error_too_many(curves, frames):
    assert frames_below(2.0, *torch.tensor(curves, dtype=torch.float64)) == frames


def test_a_certificate_says_what_the_run_was_and_changes_nothing_of_it():
    equation = KuramotoSivashinsky()
    u0 = equation.initial_condition(FLAME, batch=CERTIFIED + 1).requires_grad_()
    run = {"interval": 0.5, "frames": 3, "warmup": 2.0}
    plain = simulate(equation, FLAME, u0, **run)
    u, found = simulate(equation, FLAME, u0, certify=True, **run)
    assert torch.equal(u, plain)
    assert (found.samples, found.horizon) == (CERTIFIED, 1.5)
    assert found.complaints(1e-5) == []
    alone = certify(equation, FLAME, plain[:CERTIFIED, 0].detach(), interval=0.5, frames=3, dt=found.dt)
    assert replace(alone, dt=found.dt) == found
    u.sum().backward()
    assert u0.grad is not None


def test_rounding_of_single_precision_counts_as_an_error():
    equation, run = KuramotoSivashinsky(), {"interval": 0.5, "frames": 2, "dt": 0.01}
    u0 = equation.initial_condition(FLAME, batch=1).to(torch.float32)
    u, found = simulate(equation, FLAME, u0, certify=True, **run)
    truth = simulate(equation, FLAME, u0.double(), **run)
    assert 1e-8 < found.step_error < 1e-5
    assert found.step_error == pytest.approx(relative(u[0].double(), truth[0]), rel=1e-3)


def test_a_velocity_that_is_rounding_alone_is_no_error_in_single_precision():
    """Kinks far apart rest: all that is seen of `phi_t` is the rounding of `phi`."""
    grid, equation = Grid((256,), (60.0,)), KleinGordon(Phi4())
    (x,) = grid.coordinates()
    phi = torch.tanh((x - 15) / math.sqrt(2)) - torch.tanh((x - 45) / math.sqrt(2)) - 1
    u0 = torch.stack((phi, 0 * phi))[None].to(torch.float32)
    found = certify(equation, grid, u0, interval=1.0, frames=5, dt=0.05)
    assert found.complaints() == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_vanishes_does_not_drift_by_its_rounding(dtype):
    line, plane = Grid((256,), (40.0,)), Grid((96, 96), (2 * math.pi,) * 2)
    gradient = cole_hopf_plane(plane, 0.0, viscosity=0.1)[None]
    at_rest = bright_soliton(line, 0.0)[None]
    for name, equation, grid, u0, run in (
        ("momentum", NonlinearSchrodinger(), line, at_rest, {"interval": 1.0, "frames": 4, "dt": 0.02}),
        ("circulation", VectorBurgers(0.1), plane, gradient, {"interval": 0.05, "frames": 2, "dt": 0.01}),
    ):
        found = certify(equation, grid, u0.to(dtype), **run)
        assert found.invariant_drift[name] < math.sqrt(torch.finfo(dtype).eps)


def test_a_mean_that_the_scheme_drops_is_no_drift():
    equation = NavierStokes(0.1)
    u0 = equation.initial_condition(SQUARE, batch=1)
    found = [certify(equation, SQUARE, u0 + mean, interval=0.1, frames=2, dt=0.01) for mean in (0.0, 0.5)]
    assert not any("circulation" in line for line in found[1].complaints())
    assert found[1].invariant_drift["circulation"] < 1e-12
    assert found[1].invariant_drift["enstrophy"] == pytest.approx(found[0].invariant_drift["enstrophy"], rel=1e-9)


def test_a_certificate_costs_what_the_docstring_says(monkeypatch):
    work, step = [], ETDRK4.step

    def counted(self, state):
        work.append(math.prod(self.grid.points) * len(state))
        return step(self, state)

    monkeypatch.setattr(ETDRK4, "step", counted)
    for equation, grid, factor in (
        (NonlinearSchrodinger(), BOX, 2 + 4),
        (KuramotoSivashinsky(), FLAME, 2 + 4 + 1),
        (NavierStokes(0.1), SQUARE, 2 + 8 + 1),
    ):
        u0 = equation.initial_condition(grid, batch=1)
        totals = []
        for certified in (False, True):
            work.clear()
            simulate(equation, grid, u0, interval=0.1, frames=2, dt=0.01, certify=certified)
            totals.append(sum(work))
        assert totals[1] == (1 + factor) * totals[0]


def test_no_frames_have_no_certificate():
    u0 = cole_hopf_wave(BOX, 0.0, viscosity=0.05)[None]
    with pytest.raises(ValueError, match="needs frames of at least 1, got 0"):
        simulate(Burgers(), BOX, u0, interval=0.1, frames=0, certify=True)
    with pytest.raises(ValueError, match="needs frames of at least 1, got 0"):
        certify(Burgers(), BOX, u0, interval=0.1, frames=0, dt=0.1)


def test_what_does_not_fit_is_refused_before_anything_runs(monkeypatch):
    def never(*_):
        raise AssertionError("a step was made")

    monkeypatch.setattr(ETDRK4, "step", never)
    run = {"interval": 0.1, "frames": 2, "dt": 0.05}
    u0 = cole_hopf_wave(BOX, 0.0, viscosity=0.05)[None]
    for change, message in (
        ({"u0": u0[..., ::2]}, r"u0 must end in \(channels, \*points\) = \(1, 128\), got \(1, 64\)"),
        ({"u0": u0[:0]}, r"u0 must hold at least one sample, got the shape \(0, 1, 128\)"),
        ({"u0": u0.half()}, "u0 must be float32 or float64"),
        ({"u0": u0 * math.nan}, "u0 is not finite"),
        ({"interval": math.inf}, "interval must be positive"),
        ({"fine_u0": u0}, r"fine_u0 must end in \(channels, \*fine points\) = \(1, 256\), got \(1, 128\)"),
        ({"trajectory": u0[:, None]}, r"trajectory must end in .* = \(3, 1, 128\), got \(1, 1, 128\)"),
    ):
        with pytest.raises((ValueError, TypeError, SimulationError), match=message):
            certify(Burgers(), BOX, **({"u0": u0} | run | change))
    with pytest.raises(ValueError, match="fine_u0 must hold the samples of u0, 1, got 2"):
        check_samples("fine_u0", torch.zeros(2, 1, 256), u0)
    with pytest.raises(ValueError, match="needs frames of at least 1, got 0"):
        simulate(Burgers(), BOX, u0, interval=0.1, frames=0, warmup=1.0, certify=True)


def test_certificates_survive_json_and_those_of_older_versions_load():
    u0 = cole_hopf_wave(BOX, 0.0, viscosity=0.05)[None]
    found = certify(Burgers(0.05), BOX, u0, interval=0.1, frames=2, dt=0.05)
    assert Certificate.from_dict(json.loads(json.dumps(found.to_dict())) | {"of_a_later_version": 1}) == found
    older = {key: found.to_dict()[key] for key in ("samples", "horizon", "step_error", "grid_error")}
    loaded = Certificate.from_dict(older | {"invariant_drift": {}, "spectral_tail": 0.5})
    assert (loaded.predictable, loaded.budget_error) == (None, {})
    assert len(loaded.complaints(0.0)) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_certificate_on_a_cuda_device_finds_the_same_errors():
    equation = NavierStokes(0.02, forcing=KolmogorovForcing(wavenumber=2))
    u0 = equation.initial_condition(SQUARE, batch=2)
    run = {"interval": 0.2, "frames": 3, "dt": 0.05, "certify": True}
    host, device = (simulate(equation, SQUARE, u0.to(place), **run)[1] for place in ("cpu", "cuda"))
    assert device.step_error == pytest.approx(host.step_error, rel=1e-6)
    assert device.grid_error == pytest.approx(host.grid_error, rel=1e-6)
    assert device.budget_error["enstrophy"] == pytest.approx(host.budget_error["enstrophy"], rel=1e-5)

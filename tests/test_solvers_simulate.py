"""`simulate`: steps, errors, warm-up, automatic accuracy, gradients."""

import math
import pickle
import sys

import pytest
import torch

from rollwave.solvers import (
    ETDRK2,
    ETDRK4,
    Burgers,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    KuramotoSivashinsky,
    Linear,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    SimulationError,
    StoermerVerlet,
    Strang,
    simulate,
)
from rollwave.solvers.checks import check_times
from rollwave.solvers.exact import cole_hopf_wave
from rollwave.solvers.steps import TOLERANCE

GRID = Grid((64,), (22.0,))
BOX = Grid((128,), (2 * math.pi,))


def test_frame_zero_is_the_initial_field_and_frames_follow_the_semigroup():
    equation = KuramotoSivashinsky()
    u0 = equation.initial_condition(GRID, batch=2)
    u = simulate(equation, GRID, u0, interval=0.5, frames=4, dt=0.05)
    assert u.shape == (2, 5, 1, 64)
    assert torch.equal(u[:, 0], u0)
    rest = simulate(equation, GRID, u[:, 2], interval=0.5, frames=2, dt=0.05)
    assert (rest[:, 1:] - u[:, 3:]).abs().max() < 1e-12


def test_warm_up_moves_the_first_frame():
    equation = KuramotoSivashinsky()
    u0 = equation.initial_condition(GRID, batch=2)
    whole = simulate(equation, GRID, u0, interval=1.0, frames=5, dt=0.1)
    warm = simulate(equation, GRID, u0, interval=1.0, frames=2, dt=0.1, warmup=3.0)
    assert (warm - whole[:, 3:]).abs().max() < 1e-11


@pytest.mark.parametrize("shape", [(2, 1, 32), (2, 2, 64), (2, 64)])
def test_a_field_of_the_wrong_shape_is_refused_with_both_shapes(shape):
    message = rf"u0 must end in \(channels, \*points\) = \(1, 64\), got \({', '.join(map(str, shape[1:]))},?\)"
    with pytest.raises(ValueError, match=message):
        simulate(Burgers(), GRID, torch.zeros(shape, dtype=torch.float64), interval=0.1, frames=1)


def test_a_step_that_does_not_divide_the_interval_is_refused_with_the_nearest_that_does():
    u0 = torch.zeros(1, 1, 64, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"dt must divide interval = 0.5, got dt = 0.12; the nearest that does is 0.125"
    ):
        simulate(Burgers(), GRID, u0, interval=0.5, frames=1, dt=0.12)
    with pytest.raises(ValueError, match="dt must divide warmup"):
        simulate(Burgers(), GRID, u0, interval=0.5, frames=1, dt=0.1, warmup=0.25)
    with pytest.raises(ValueError, match="dt must divide interval"):
        simulate(Burgers(), GRID, u0, interval=0.5, frames=1, dt=0.7)
    # 0.3 is not three times 0.1 in binary, but it is to rounding.
    simulate(Burgers(), GRID, u0, interval=0.3, frames=1, dt=0.1)


def test_wrong_dimension_times_and_values_are_refused():
    flat = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"Burgers lives on \(1,\) space axes, got 2"):
        simulate(Burgers(), Grid((8, 8), (1.0, 1.0)), flat, interval=0.1, frames=1)
    u0 = torch.zeros(1, 1, 64, dtype=torch.float64)
    with pytest.raises(ValueError, match="interval must be positive"):
        simulate(Burgers(), GRID, u0, interval=0.0, frames=1)
    with pytest.raises(ValueError, match="dt must be positive"):
        simulate(Burgers(), GRID, u0, interval=0.1, frames=1, dt=-0.1)
    u0 = torch.zeros(3, 1, 64, dtype=torch.float64)
    u0[1, 0, 5] = math.nan
    with pytest.raises(SimulationError, match="not finite") as caught:
        simulate(Burgers(), GRID, u0, interval=0.1, frames=1)
    assert (caught.value.time, caught.value.sample) == (0.0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"warmup": math.inf}, "interval must be positive, frames and warmup not negative, all finite"),
        ({"warmup": math.nan}, "interval must be positive, frames and warmup not negative, all finite"),
        ({"u0": torch.zeros(0, 1, 64)}, r"u0 must hold at least one sample, got the shape \(0, 1, 64\)"),
    ],
)
def test_endless_warm_ups_and_empty_batches_are_refused(change, message):
    run = {"u0": torch.zeros(1, 1, 64), "interval": 0.5, "frames": 2} | change
    with pytest.raises((ValueError, TypeError), match=message):
        simulate(KuramotoSivashinsky(), GRID, **run)


def test_parts_of_frames_are_refused():
    with pytest.raises(TypeError, match=r"frames must be an integer, got 2\.5"):
        check_times(0.5, 2.5)


@pytest.mark.parametrize(("stepper", "dt"), [(ETDRK2, 0.1), (ETDRK4, 0.1)])
def test_a_blow_up_raises_and_names_time_sample_and_remedy(stepper, dt):
    u0 = torch.cat([scale * cole_hopf_wave(BOX, 0.0, viscosity=0.05) for scale in (0.1, 1.0, 1e4)])[:, None]
    with pytest.raises(SimulationError) as caught:
        simulate(Burgers(1e-3), BOX, u0, interval=2.0, frames=5, dt=dt, stepper=stepper)
    error, number = caught.value, round(caught.value.time / dt)
    assert error.sample == 2
    message = str(error)
    for word in (
        "sample 2 of Burgers",
        "between frames 0 and 1",
        f"t = {error.time:.6g}",
        stepper.__name__,
        "halve dt",
    ):
        assert word in message
    # The named time is the first one at which the state is not finite.
    assert 1 <= number <= 20
    if number > 1:
        before = dt * (number - 1)
        u = simulate(Burgers(1e-3), BOX, u0, interval=before, frames=1, dt=dt, stepper=stepper)
        assert torch.isfinite(u).all()


def test_a_late_blow_up_is_named_in_its_own_interval():
    """Verlet with a strong cubic force is unstable at large amplitude, beyond what its linear limit can know."""
    grid, equation = Grid((32,), (10.0,)), KleinGordon(Phi4())
    u0 = torch.zeros(2, 2, 32, dtype=torch.float64)
    u0[1, 0] = 40.0
    with pytest.raises(SimulationError) as caught:
        simulate(equation, grid, u0, interval=0.1, frames=50, dt=0.1, stepper=StoermerVerlet)
    frame = math.floor(caught.value.time / 0.1 - 1e-9)
    assert f"between frames {frame} and {frame + 1}" in str(caught.value)
    assert caught.value.sample == 1
    with pytest.raises(SimulationError, match="in the warm-up"):
        simulate(equation, grid, u0, interval=0.1, frames=1, dt=0.1, warmup=5.0, stepper=StoermerVerlet)


@pytest.mark.filterwarnings("ignore:.*errors may exceed a thousandth")
@pytest.mark.parametrize(
    ("equation", "grid", "interval"),
    [
        (Burgers(0.05), BOX, 0.5),
        (KuramotoSivashinsky(), GRID, 1.0),
        (NavierStokes(0.02, forcing=KolmogorovForcing()), Grid((64, 64), (2 * math.pi,) * 2), 0.5),
        (NonlinearSchrodinger(), Grid((128,), (20.0,)), 0.25),
        (KleinGordon(), Grid((64,), (10.0,)), 0.5),
    ],
)
def test_without_dt_the_first_interval_is_accurate(equation, grid, interval):
    u0 = 2 * equation.initial_condition(grid, batch=2, seed=8)
    u = simulate(equation, grid, u0, interval=interval, frames=1)[:, -1]
    truth = simulate(equation, grid, u0, interval=interval, frames=1, dt=interval / 1000)[:, -1]
    assert (u - truth).norm() < 2 * TOLERANCE * truth.norm()


def test_a_blow_up_that_does_not_happen_again_names_the_sample_seen_first(monkeypatch):
    """As on a GPU whose sums have no fixed order."""
    calls, grid = [], Grid((32,), (10.0,))

    def step(self, state):
        calls.append(None)
        broken = state.clone()
        broken[1] = math.nan
        return broken if len(calls) == 3 else state

    monkeypatch.setattr(ETDRK4, "step", step)
    u0 = torch.zeros(3, 1, 32, dtype=torch.float64)
    with pytest.raises(SimulationError, match=r"sample 1 of Burgers stopped being finite at t = 0\.3") as caught:
        simulate(Burgers(), grid, u0, interval=0.3, frames=1, dt=0.1)
    assert caught.value.sample == 1


def test_an_error_crosses_processes_with_its_time_and_sample():
    error = pickle.loads(pickle.dumps(SimulationError("sample 3 is lost", time=0.5, sample=3)))
    assert isinstance(error, SimulationError)
    assert (str(error), error.time, error.sample) == ("sample 3 is lost", 0.5, 3)


def test_large_planes_give_each_sample_the_same_bits_in_every_batch():
    grid, equation = Grid((64, 64), (2 * math.pi, 2 * math.pi)), NavierStokes(1e-3)
    u0 = equation.initial_condition(grid, batch=3)
    together = simulate(equation, grid, u0, interval=0.1, frames=2, dt=0.02)
    assert torch.equal(together[2:], simulate(equation, grid, u0[2:], interval=0.1, frames=2, dt=0.02))
    u0[1] *= 1e5
    with pytest.raises(SimulationError, match="sample 1 of NavierStokes") as caught:
        simulate(equation, grid, u0, interval=1.0, frames=1, dt=0.02)
    assert caught.value.sample == 1


def test_without_dt_later_intervals_are_accurate_too():
    """A plane wave that starts to modulate needs eight times the steps when its crests focus, after four intervals."""
    grid, equation = Grid((64,), (2 * math.pi,)), NonlinearSchrodinger()
    (x,) = grid.coordinates()
    u0 = torch.stack((1 + 0.02 * torch.cos(x), 0 * x))[None]
    u = simulate(equation, grid, u0, interval=1.0, frames=6)
    assert u.square().sum(2).max() > 6
    for frame in (0, 4, 5):
        truth = simulate(equation, grid, u[:, frame], interval=1.0, frames=1, dt=1 / 640)[:, -1]
        assert (u[:, frame + 1] - truth).norm() < 2 * TOLERANCE * truth.norm()


@pytest.mark.filterwarnings("ignore:.*errors may exceed a thousandth")
def test_without_dt_a_blow_up_is_answered_with_a_finer_step(monkeypatch):
    module = sys.modules["rollwave.solvers.simulate"]
    monkeypatch.setattr(module, "accurate_steps", lambda equation, grid, u, scheme, interval, start=1, time=0.0: start)
    u0 = 100 * cole_hopf_wave(BOX, 0.0, viscosity=0.05)[None]
    with pytest.raises(SimulationError):
        simulate(Burgers(0.05), BOX, u0, interval=1.0, frames=10, dt=1.0)
    u = simulate(Burgers(0.05), BOX, u0, interval=1.0, frames=10)
    assert torch.isfinite(u).all()


def test_without_dt_an_impossible_accuracy_raises(monkeypatch):
    monkeypatch.setattr("rollwave.solvers.steps.HALVINGS", 2)
    u0 = torch.cat([scale * cole_hopf_wave(BOX, 0.0, viscosity=0.05) for scale in (0.1, 1e4)])[:, None]
    with pytest.raises(SimulationError, match="sample 1 of Burgers: no dt down to") as caught:
        simulate(Burgers(1e-3), BOX, u0, interval=1.0, frames=2)
    assert caught.value.sample == 1


def scalar(value):
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize(
    ("build", "coefficients", "grid", "stepper"),
    [
        (Burgers, [0.1], Grid((16,), (6.0,)), ETDRK4),
        (Burgers, [0.1], Grid((16,), (6.0,)), ETDRK2),
        (lambda: KuramotoSivashinsky(), [], Grid((16,), (12.0,)), ETDRK4),
        (
            lambda nu, mu, f: NavierStokes(nu, mu, KolmogorovForcing(f, 2)),
            [0.05, 0.1, 0.7],
            Grid((16, 16), (6.0, 6.0)),
            ETDRK4,
        ),
        (lambda: NonlinearSchrodinger(), [], Grid((16,), (6.0,)), Strang),
        (lambda: NonlinearSchrodinger(False), [], Grid((32,), (6.0,)), ETDRK4),
        (lambda m: KleinGordon(Linear(m)), [1.3], Grid((16,), (6.0,)), Strang),
        (lambda a, v: KleinGordon(Phi4(a, v)), [0.8, 1.1], Grid((16,), (6.0,)), StoermerVerlet),
    ],
)
def test_gradients_through_a_simulation_match_finite_differences(build, coefficients, grid, stepper):
    equation = build(*coefficients)
    u0 = 0.5 * torch.randn(1, len(equation.channels), *grid.points, dtype=torch.float64)
    weight = torch.randn(1, 3, *u0.shape[1:], dtype=torch.float64)

    def loss(u0, *coefficients):
        u = simulate(build(*coefficients), grid, u0, interval=0.1, frames=2, dt=0.05, stepper=stepper)
        return (weight * u).sum()

    arguments = [u0.clone().requires_grad_(), *(scalar(c).requires_grad_() for c in coefficients)]
    gradients = torch.autograd.grad(loss(*arguments), arguments)
    direction = torch.randn_like(u0)
    for index, gradient in enumerate(gradients):
        step = 1e-5
        move = direction if index == 0 else scalar(1.0)
        shifted = [
            [a.detach() + sign * step * move if i == index else a.detach() for i, a in enumerate(arguments)]
            for sign in (1, -1)
        ]
        numeric = (loss(*shifted[0]) - loss(*shifted[1])) / (2 * step)
        exact = (gradient * move).sum()
        assert exact.abs() > 1e-6
        assert (numeric - exact).abs() < 1e-6 * exact.abs() + 1e-8


def test_a_gradient_reaches_the_coefficients_when_dt_is_chosen():
    viscosity = scalar(0.1).requires_grad_()
    u0 = cole_hopf_wave(BOX, 0.0, viscosity=0.1)[None]
    u = simulate(Burgers(viscosity), BOX, u0, interval=0.1, frames=1)
    u.square().sum().backward()
    assert viscosity.grad is not None
    assert viscosity.grad < 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_field_stays_on_the_device_and_follows_the_same_flow():
    for equation, grid in ((KuramotoSivashinsky(), GRID), (NonlinearSchrodinger(), GRID), (KleinGordon(), GRID)):
        u0 = equation.initial_condition(grid, batch=2)
        host = simulate(equation, grid, u0, interval=0.1, frames=2, dt=0.01)
        device = simulate(equation, grid, u0.cuda(), interval=0.1, frames=2, dt=0.01)
        assert device.is_cuda
        assert (device.cpu() - host).abs().max() < 1e-11

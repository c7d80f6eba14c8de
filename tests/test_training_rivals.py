"""The other ways to a stable rollout, each against its definition on maps whose Jacobians are known."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rollwave.operators import FNO, Conserve, Emulator, EmulatorMetadata, Normalizer
from rollwave.solvers import Burgers, Grid, simulate
from rollwave.training import (
    Commutativity,
    Dissipativity,
    Draws,
    JacobianMatching,
    OneStep,
    Regularizer,
    SpectralNorm,
    TeacherForcing,
    UniformWeight,
    Unrolled,
    compile_network,
)
from rollwave.training.compatibility import recipe_of
from rollwave.training.jacobian import DoubleBackward, FiniteDifference

DRAWS = Draws(seed=1, step=2)
POINTS = 8


class Linear(nn.Module):
    """`A` times the mean of the frames of the history, all points of all channels together."""

    def __init__(self, matrix: Tensor, channels: int = 1) -> None:
        super().__init__()
        self.matrix, self.channels = nn.Parameter(matrix), channels

    def forward(self, z: Tensor) -> Tensor:
        frame = z.unflatten(1, (-1, self.channels)).mean(1)
        return (frame.flatten(1) @ self.matrix.T).reshape(frame.shape)


def emulator(
    network: nn.Module,
    *,
    history: int = 1,
    std: tuple[float, ...] = (1.0,),
    points: int = POINTS,
    residual: bool = False,
) -> Emulator:
    channels = tuple("abc"[: len(std)])
    metadata = EmulatorMetadata("some", channels, (points,), (1.0,), 1.0)
    ones = [1.0] * len(std)
    normalizer = Normalizer([0.5] * len(std), std, ones, [-1.0] * len(std), ones)
    return Emulator(network, normalizer=normalizer, metadata=metadata, history=history, residual=residual).double()


def linear(matrix: Tensor, **changes: Any) -> Emulator:
    return emulator(Linear(matrix, len(changes.get("std", (1.0,)))), **changes)


def random_matrix(points: int = POINTS) -> Tensor:
    return torch.randn(points, points, dtype=torch.float64) / points**0.5


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).square().flatten(1).mean(1)


def window(frames: int = 2, batch: int = 3, channels: int = 1, points: int = POINTS) -> Tensor:
    return torch.randn(batch, frames, channels, points, dtype=torch.float64)


def penalty(regularizer: Regularizer, model: Emulator, z: Tensor | None = None, **changes: Any) -> Tensor:
    return regularizer(model, window() if z is None else z, **({"draws": DRAWS, "progress": 1.0} | changes))


@pytest.mark.parametrize("history", [1, 2])
def test_teacher_forcing_runs_from_one_step_training_to_unrolling(history: int) -> None:
    K, z, model = 3, window(history + 3), linear(random_matrix(), history=history)
    arguments = {"loss": squared, "draws": DRAWS}
    one_steps = [OneStep()(model, z[:, k:], **arguments) for k in range(K)]
    torch.testing.assert_close(TeacherForcing(K, 1.0)(model, z, **arguments), torch.stack(one_steps).mean(0))
    torch.testing.assert_close(TeacherForcing(K, 0.0)(model, z, **arguments), Unrolled(K)(model, z, **arguments))


def test_teacher_forcing_mixes_the_truth_into_the_state_and_scales_the_gradient_by_the_rest() -> None:
    """With `f(u) = a u`, `u_0 = 1` and truth 0 afterwards: `v_k = a ((1 - alpha) a)^(k-1)`."""
    a, alpha, K = 0.9, 0.25, 4
    model = linear(a * torch.eye(POINTS, dtype=torch.float64))
    z = torch.zeros(1, K + 1, 1, POINTS, dtype=torch.float64)
    z[:, 0] = 1.0
    value = TeacherForcing(K, alpha)(model, z, loss=squared, draws=DRAWS)
    powers = range(1, K + 1)
    expected = sum(a ** (2 * k) * (1 - alpha) ** (2 * k - 2) for k in powers) / K
    slope = sum(2 * k * a ** (2 * k - 1) * (1 - alpha) ** (2 * k - 2) for k in powers) / K
    assert value.item() == pytest.approx(expected)
    value.sum().backward()
    assert float(model.network.matrix.grad.trace()) == pytest.approx(slope)  # type: ignore[union-attr]


def test_dissipativity_is_zero_for_the_map_that_it_asks_for() -> None:
    model = linear(0.5 * torch.eye(POINTS, dtype=torch.float64), history=2)
    assert penalty(Dissipativity(), model).max() < 1e-30
    still = linear(torch.eye(POINTS, dtype=torch.float64))
    torch.testing.assert_close(penalty(Dissipativity(weight=3.0), still), torch.full((3,), 3 * 0.25).double())


def test_dissipativity_is_refused_where_squares_are_kept() -> None:
    model = linear(torch.eye(POINTS, dtype=torch.float64))
    model.conserve = Conserve(means=("a",))
    assert penalty(Dissipativity(), model).isfinite().all()
    model.conserve = Conserve(squares=("a",))
    with pytest.raises(ValueError, match=r"keeps the square of \['a'\]; set conserve=null, or keep means alone"):
        penalty(Dissipativity(), model)


def test_states_lie_in_the_shell_and_fill_it_in_every_direction() -> None:
    x = Dissipativity(inner=5.0, outer=20.0).states(torch.zeros(4000, 2, POINTS), DRAWS)
    rms = x.flatten(1).square().mean(1).sqrt()
    assert rms.min() >= 5 * (1 - 1e-6)
    assert rms.max() <= 20 * (1 + 1e-6)
    counts = torch.histc(rms, bins=3, min=5, max=20)
    # Binomial: 1333 +- 30.
    assert counts.min() > 1180
    assert (x / rms[:, None, None]).mean(0).abs().max() < 5 / 4000**0.5


def test_dissipativity_pulls_a_map_to_its_share() -> None:
    model = linear(random_matrix())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(400):
        optimizer.zero_grad()
        penalty(Dissipativity(weight=1.0), model, window(batch=16), draws=Draws(0, step)).mean().backward()
        optimizer.step()
    off = model.network.matrix.detach() - 0.5 * torch.eye(POINTS)  # type: ignore[operator]
    assert off.abs().max() < 0.02


class Solver(nn.Module):
    """Burgers' equation for a time of 0.1, of normalised states."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = Grid((32,), (2 * math.pi,))
        self.encode: Callable[[Tensor], Tensor] = lambda u: u
        self.decode: Callable[[Tensor], Tensor] = lambda z: z

    def flow(self, u: Tensor) -> Tensor:
        return simulate(Burgers(viscosity=0.05), self.grid, u, interval=0.1, frames=1, dt=0.02)[:, 1]

    def forward(self, z: Tensor) -> Tensor:
        return self.encode(self.flow(self.decode(z)))


def smooth_window(batch: int = 3) -> Tensor:
    x = 2 * math.pi * torch.arange(32, dtype=torch.float64) / 32
    return torch.sin(x + torch.arange(batch)[:, None, None, None]).expand(-1, 2, 1, -1) + 0.3 * torch.cos(2 * x)


def test_the_flow_itself_has_no_mismatch_of_jacobians() -> None:
    solver = Solver()
    model = emulator(solver, std=(2.0,), points=32)
    solver.encode, solver.decode = model.encode, model.decode
    matching = JacobianMatching(solver.flow, weight=1.0, product=DoubleBackward())
    assert penalty(matching, model, smooth_window()).max() < 1e-12
    identity = emulator(nn.Identity(), std=(2.0,), points=32)
    assert penalty(matching, identity, smooth_window()).min() > 1e-2


def test_the_mismatch_is_relative_to_the_true_stretching_in_normalised_units() -> None:
    """Two channels of unlike scale: physical `A`, normalised `S^-1 A S`. Half of the true map misses by a quarter."""
    matrix = random_matrix(2 * POINTS)
    flow = Linear(matrix, 2).requires_grad_(False)
    scale = torch.tensor([0.1, 10.0], dtype=torch.float64).repeat_interleave(POINTS)
    normalised = matrix * scale / scale[:, None]
    matching, z = JacobianMatching(flow, weight=2.0), window(channels=2)
    assert penalty(matching, linear(normalised, std=(0.1, 10.0)), z).max() < 1e-12
    half = penalty(matching, linear(0.5 * normalised, std=(0.1, 10.0)), z)
    torch.testing.assert_close(half, torch.full((3,), 2 * 0.25).double(), rtol=1e-7, atol=0)


def test_matching_pulls_a_linear_map_to_the_true_one() -> None:
    """Values are never compared: the slopes alone make the map."""
    true = random_matrix()
    matching, model = JacobianMatching(Linear(true), weight=1.0), linear(random_matrix())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(300):
        optimizer.zero_grad()
        penalty(matching, model, window(batch=16), draws=Draws(0, step)).mean().backward()
        optimizer.step()
    assert (model.network.matrix - true).abs().max() < 0.02  # type: ignore[operator]


def test_the_flow_is_no_part_of_what_a_checkpoint_says() -> None:
    plain = recipe_of(JacobianMatching(Linear(random_matrix()), weight=0.3))
    assert plain == {"name": "JacobianMatching", "weight": 0.3, "product": {"name": "ForwardMode"}}


def test_the_spectral_penalty_is_that_of_the_largest_stretching() -> None:
    model = linear(torch.diag(torch.tensor([0.2, -3.0, 0.5, 0.1, 0.4, 0.3, 0.2, 1.0], dtype=torch.float64)))
    value = penalty(SpectralNorm(weight=2.0, bound=1.5, iterations=8), model)
    # (1 / 3)^(2 * 8) is what is left of the others.
    torch.testing.assert_close(value, torch.full((3,), 2 * 1.5**2).double(), rtol=1e-6, atol=0)
    value.sum().backward()
    slope = torch.zeros(POINTS, POINTS, dtype=torch.float64)
    slope[1, 1] = -3 * 2 * 2 * 1.5
    torch.testing.assert_close(model.network.matrix.grad, slope, rtol=1e-6, atol=1e-5)
    assert penalty(SpectralNorm(bound=3.001), model).max() == 0


@pytest.mark.parametrize("history", [1, 2])
def test_the_largest_stretching_of_any_map_is_its_largest_singular_value(history: int) -> None:
    matrix = random_matrix()
    expected = torch.linalg.matrix_norm(matrix, 2) / history
    value = penalty(SpectralNorm(weight=1.0, bound=0.0, iterations=60), linear(matrix, history=history), window(3))
    torch.testing.assert_close(value.sqrt(), expected.expand(3), rtol=1e-4, atol=0)


class Product(nn.Module):
    """`u_{n-1} u_n^2` at every point."""

    def forward(self, z: Tensor) -> Tensor:
        return z[:, :1] * z[:, 1:] ** 2


def test_the_jacobian_is_that_of_the_last_frame_with_the_older_one_held() -> None:
    """`2 u_{n-1} u_n` on the diagonal."""
    older, last = torch.arange(1, 9) / 8, torch.arange(1, 9) / 2
    z = torch.stack([older, last, last], dim=0)[None, :, None].double()
    value = penalty(SpectralNorm(weight=1.0, bound=0.0, iterations=40), emulator(Product(), history=2), z)
    assert value.item() == pytest.approx((2 * 1.0 * 4.0) ** 2)


def test_fewer_iterations_never_overestimate() -> None:
    matrix = random_matrix()
    values = [penalty(SpectralNorm(bound=0.0, weight=1.0, iterations=n), linear(matrix)).sqrt() for n in (1, 2, 4, 8)]
    largest = torch.linalg.matrix_norm(matrix, 2)
    assert all((low <= high + 1e-12).all() for low, high in itertools.pairwise(values))
    assert (values[-1] <= largest + 1e-12).all()


def test_normal_maps_have_no_commutator_whatever_their_size() -> None:
    skew = random_matrix()
    rotation = torch.linalg.matrix_exp(skew - skew.T)
    for normal in (skew + skew.T, 3 * rotation, 2 * torch.eye(POINTS, dtype=torch.float64)):
        assert penalty(Commutativity(weight=1.0), linear(normal)).max() < 1e-24


@pytest.mark.parametrize("residual", [False, True])
def test_the_commutator_of_a_shear_has_its_norm(residual: bool) -> None:
    """The mean over random signs; the identity of the residual form drops out."""
    matrix = torch.zeros(POINTS, POINTS, dtype=torch.float64)
    matrix[:2, :2] = torch.tensor([[0.5, 3.0], [0.0, 0.5]])
    commutator = matrix.T @ matrix - matrix @ matrix.T
    expected = float(commutator.square().sum()) / POINTS
    model, many = linear(matrix, residual=residual), window(batch=4000)
    value = penalty(Commutativity(weight=1.0), model, many).mean()
    assert float(value.detach()) == pytest.approx(expected, rel=0.05)
    value.backward()
    exact = matrix.clone().requires_grad_()
    ((exact.T @ exact - exact @ exact.T).square().sum() / POINTS).backward()
    torch.testing.assert_close(
        model.network.matrix.grad, exact.grad, rtol=0.1, atol=0.1 * float(exact.grad.abs().max())
    )


def flow_of_doubling(u: Tensor) -> Tensor:
    return 2 * u


JACOBIAN_PENALTIES = [
    JacobianMatching(flow_of_doubling, weight=1.0),
    SpectralNorm(weight=1.0, bound=0.0),
    Commutativity(weight=1.0),
]


@pytest.mark.parametrize("regularizer", [*JACOBIAN_PENALTIES, Dissipativity()], ids=lambda r: type(r).__name__)
def test_a_penalty_reaches_every_weight_of_a_network(regularizer: Regularizer) -> None:
    model = emulator(FNO(2, 1, width=4, modes=(2,), depth=1), history=2, residual=True)
    value = penalty(regularizer, model, window(3))
    assert value.shape == (3,)
    assert (value > 0).all()
    value.mean().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.abs().max()]
    # A constant that is added at the end has no part in a derivative.
    last = ["network.project.2.bias"] if regularizer in JACOBIAN_PENALTIES else []
    assert silent == last


@pytest.mark.parametrize("regularizer", JACOBIAN_PENALTIES, ids=lambda r: type(r).__name__)
def test_a_penalty_on_the_jacobian_rises_during_the_training(regularizer: Regularizer) -> None:
    model, z = linear(random_matrix()), window()
    whole = penalty(regularizer, model, z)
    assert penalty(regularizer, model, z, progress=0.0).max() == 0
    torch.testing.assert_close(penalty(regularizer, model, z, progress=0.1), 0.5 * whole)


@pytest.mark.parametrize("kind", [JacobianMatching, SpectralNorm, Commutativity])
def test_other_ways_to_a_product_with_the_jacobian_agree(kind: Any) -> None:
    model, z = emulator(FNO(1, 1, width=4, modes=(2,), depth=2)), window()
    first = (flow_of_doubling,) if kind is JacobianMatching else ()
    exact = penalty(kind(*first, weight=1.0), model, z)
    torch.testing.assert_close(penalty(kind(*first, weight=1.0, product=DoubleBackward()), model, z), exact)
    near = penalty(kind(*first, weight=1.0, product=FiniteDifference(1e-6)), model, z)
    torch.testing.assert_close(near, exact, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: TeacherForcing(0, 0.5), "steps of a teacher forcing objective must be at least 1, got 0"),
        (lambda: TeacherForcing(2, 1.5), r"alpha .* must lie in \[0, 1\], got 1.5"),
        (lambda: Dissipativity(weight=-1.0), "weight must not be negative"),
        (lambda: Dissipativity(inner=3.0, outer=2.0), "0 < inner <= outer, got inner=3.0"),
        (lambda: JacobianMatching(None), r"needs the flow of its data, got None; leave flow: null to train\.py"),
        (lambda: JacobianMatching(flow_of_doubling, weight=-1.0), "must not be negative, got -1.0"),
        (lambda: SpectralNorm(bound=-1.0), "bound must not be negative"),
        (lambda: SpectralNorm(iterations=0), "iterations must be at least 1, got 0"),
        (lambda: Commutativity(weight=-1.0), "must not be negative, got -1.0"),
        (lambda: UniformWeight(-1.0), "uniform weight must not be negative"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize("kind", [JacobianMatching, SpectralNorm, Commutativity])
def test_a_compiled_network_has_the_penalties_of_the_network(kind: Any) -> None:
    first = (flow_of_doubling,) if kind is JacobianMatching else ()
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = linear(random_matrix())
        if compiled:
            compile_network(model, backend="aot_eager")
        value = penalty(kind(*first), model).mean()
        value.backward()
        found.append((value.detach(), model.network.matrix.grad))
    torch.testing.assert_close(found[1], found[0])

"""Products with Jacobians against dense matrices. Averages over the rows of a Hadamard matrix, which are signs and
orthogonal, are expectations over random signs without a sampling error.
"""

from collections.abc import Callable

import pytest
import torch
from scipy.linalg import hadamard
from torch import Tensor, nn

from rollwave.operators import FNO, DilatedResNet, NeuralOperatorModel, UNet
from rollwave.training import (
    DoubleBackward,
    FiniteDifference,
    ForwardMode,
    column_energies,
    row_energies,
    transposed_product,
    weighted_energy,
)
from rollwave.training.jacobian import JacobianProduct, spectral_norm

N = 8
WAYS: list[JacobianProduct] = [ForwardMode(), DoubleBackward(), FiniteDifference(1e-6)]
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "fno_1d": (lambda: FNO(1, 1, width=6, modes=(4,), depth=2), (2, 1, 16)),
    "fno_2d": (lambda: FNO(2, 1, width=6, modes=(2, 3), depth=2), (2, 2, 8, 8)),
    "unet": (lambda: UNet(1, 1, dimensions=1, width=4), (2, 1, 16)),
    "dilated_resnet": (lambda: DilatedResNet(1, 1, dimensions=1, width=4), (2, 1, 32)),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def signs(points: int = N) -> Tensor:
    return torch.tensor(hadamard(points), dtype=torch.float64)


def perceptron() -> nn.Module:
    """A map of `R^8` that is neither linear nor symmetric."""
    return nn.Sequential(nn.Linear(N, 5), nn.Tanh(), nn.Linear(5, N)).double()


def dense(f: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    """`J` at one state of any shape, outputs by inputs."""
    return torch.autograd.functional.jacobian(lambda x: f(x[None])[0], u).reshape(-1, u.numel())


def slopes_of(value: Tensor, network: nn.Module) -> list[Tensor]:
    """By every parameter; zero by one that does not enter."""
    return list(torch.autograd.grad(value, list(network.parameters()), materialize_grads=True))


@pytest.mark.parametrize("how", WAYS, ids=lambda how: type(how).__name__)
def test_rows_come_from_forward_products_and_columns_from_transposed_ones(how: JacobianProduct) -> None:
    f, u = perceptron(), torch.randn(N, dtype=torch.float64)
    J = dense(f, u).square()
    rows = row_energies(f, u.expand(N, N), signs(), how).mean(0)
    columns = column_energies(f, u.expand(N, N), signs()).mean(0)
    exact = 1e-4 if isinstance(how, FiniteDifference) else 1e-12
    assert torch.allclose(rows, J.sum(1), rtol=exact)
    assert torch.allclose(columns, J.sum(0), rtol=1e-12)
    assert not torch.allclose(rows, columns, rtol=0.1)


def test_the_weighted_energy_weighs_rows_and_its_slope_by_a_weight_is_the_energy_of_that_row() -> None:
    f, u = perceptron(), torch.randn(N, dtype=torch.float64)
    weights = torch.rand(N, dtype=torch.float64).add(0.1).requires_grad_()
    value = weighted_energy(f, u.expand(N, N), signs(), weights.expand(N, N)).mean()
    r = dense(f, u).square().sum(1)
    assert torch.allclose(value, (weights * r).sum(), rtol=1e-12)
    (slope,) = torch.autograd.grad(value, weights)
    assert torch.allclose(slope, r, rtol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_three_ways_give_the_same_product_and_the_same_gradient(name: str) -> None:
    build, shape = NETWORKS[name]
    network = build().double()
    u, v = torch.randn(2, *shape, dtype=torch.float64)
    y, expected = ForwardMode()(network, u, v)
    dense_product = torch.stack([dense(network, a) @ b.flatten() for a, b in zip(u, v, strict=True)])
    assert torch.allclose(expected.flatten(1), dense_product, rtol=1e-9, atol=1e-12)
    gradient = slopes_of(expected.square().sum(), network)
    assert sum(float(g.norm()) for g in gradient) > 0
    for how, relative in ((DoubleBackward(), 1e-10), (FiniteDifference(1e-6), 1e-4)):
        value, product = how(network, u, v)
        assert torch.allclose(value, y, rtol=1e-12)
        assert (product - expected).norm() < relative * expected.norm()
        for ours, theirs in zip(slopes_of(product.square().sum(), network), gradient, strict=True):
            assert (ours - theirs).norm() <= relative * max(theirs.norm(), gradient[0].norm())


def test_a_network_of_another_library_has_all_three_products() -> None:
    """In float32, as its complex weights are: exact ways to rounding, a difference to the square root of it."""
    arguments = {"n_modes": [4], "hidden_channels": 6, "n_layers": 2, "positional_embedding": None}
    network = NeuralOperatorModel(1, 1, name="FNO", arguments=arguments)
    u, v = torch.randn(2, 2, 1, 16)
    _, expected = ForwardMode()(network, u, v)
    for how, relative in ((DoubleBackward(), 1e-5), (FiniteDifference(), 1e-2)):
        _, product = how(network, u, v)
        assert (product - expected).norm() < relative * expected.norm()
        assert product.requires_grad


def test_the_error_of_a_finite_difference_is_proportional_to_its_step() -> None:
    network = FNO(1, 1, width=6, modes=(4,), depth=2).double()
    u, v = torch.randn(2, 2, 1, 16, dtype=torch.float64)
    _, exact = ForwardMode()(network, u, v)
    errors = [(FiniteDifference(step)(network, u, v)[1] - exact).norm().item() for step in (2e-3, 1e-3)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_displacement_is_relative_to_the_state(scale: float) -> None:
    """`(f(u + h v) - f(u)) / h` of `f = u^2` is `2 u v + h v^2`, with `h = step rms(u)` for signs."""
    u, v = scale * torch.rand(1, N, dtype=torch.float64), signs()[3:4]
    _, product = FiniteDifference(0.1)(torch.square, u, v)
    assert torch.allclose(product, 2 * u * v + 0.1 * u.square().mean().sqrt(), rtol=1e-9)


@pytest.mark.parametrize(
    "how", [ForwardMode(), DoubleBackward(), FiniteDifference()], ids=lambda how: type(how).__name__
)
def test_mixed_precision_changes_no_product(how: JacobianProduct) -> None:
    network = FNO(1, 1, width=6, modes=(4,), depth=2)
    u, v = torch.randn(2, 2, 1, 16)
    _, alone = how(network, u, v)
    with torch.autocast("cpu", torch.bfloat16):
        _, mixed = how(network, u, v)
        assert not torch.equal(network(u), network(u + 1e-3 * v))
    assert torch.equal(alone, mixed)


@pytest.mark.parametrize("how", WAYS, ids=lambda how: type(how).__name__)
def test_without_gradients_a_product_is_the_same_and_has_none(how: JacobianProduct) -> None:
    f, u = perceptron(), torch.randn(3, N, dtype=torch.float64)
    value, product = how(f, u, signs()[:3])
    with torch.no_grad():
        y, detached = how(f, u, signs()[:3])
    assert torch.allclose(product, detached, rtol=1e-12)
    assert value.requires_grad
    assert not y.requires_grad
    assert not detached.requires_grad


class Square(torch.autograd.Function):
    """`x^2` without a forward derivative."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


@torch.library.custom_op("rollwave_tests::square", mutates_args=())
def square(x: Tensor) -> Tensor:
    return x.square()


square.register_autograd(
    lambda ctx, gradient: 2 * ctx.saved_tensors[0] * gradient,
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)


@pytest.mark.parametrize("f", [Square.apply, square], ids=["function", "custom operation"])
def test_an_operation_without_forward_mode_is_refused_and_ways_around_it_work(
    f: Callable[[Tensor], Tensor],
) -> None:
    u, v = torch.randn(2, 1, N, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"DoubleBackward\(\) or FiniteDifference\(\)"):
        ForwardMode()(f, u.requires_grad_(), v)
    for how in WAYS[1:]:
        assert torch.allclose(how(f, u, v)[1], 2 * u * v, rtol=1e-4)


def test_directions_of_another_shape_and_steps_below_rounding_are_refused() -> None:
    f, u = perceptron(), torch.randn(3, N, dtype=torch.float64)
    for how in WAYS:
        with pytest.raises(ValueError, match=r"shape of its state, \(3, 8\), got \(1, 8\)"):
            how(f, u, u[:1])
    with pytest.raises(ValueError, match="shape"):
        transposed_product(f, u, u[:1])
    with pytest.raises(ValueError, match=r"rounding of torch\.bfloat16"):
        FiniteDifference()(f.bfloat16(), u.bfloat16(), u.bfloat16())


def test_the_spectral_norm_is_the_largest_singular_value_of_each_sample() -> None:
    f, u = perceptron(), torch.randn(3, N, dtype=torch.float64)
    expected = torch.stack([torch.linalg.matrix_norm(dense(f, state), 2) for state in u])
    found = spectral_norm(f, u, torch.randn_like(u), iterations=200)
    assert torch.allclose(found, expected, rtol=1e-8)
    assert (expected.max() / expected.min()) > 1.05
    few = spectral_norm(f, u, torch.randn_like(u), iterations=1)
    assert (few <= expected * (1 + 1e-12)).all()


def minimiser(M: Tensor, sigma: Tensor, weight: float) -> Tensor:
    """`argmin_J mean |(J - M) u|^2 + weight sum_i r_i` for states of second moment `sigma`, from products alone."""
    states = 2**0.5 * torch.linalg.cholesky(sigma).T
    linear = nn.Linear(2, 2, bias=False).double()
    optimizer = torch.optim.LBFGS(linear.parameters(), line_search_fn="strong_wolfe", tolerance_change=0.0)

    def loss() -> Tensor:
        optimizer.zero_grad()
        misfit = (linear(states) - states @ M.T).square().sum(1).mean()
        value = misfit + weight * row_energies(linear, states, signs(2)).sum(1).mean()
        value.backward()
        return value

    optimizer.step(loss)
    return linear.weight.detach()


@pytest.mark.parametrize(("sign", "radius", "norm"), [(1, 1.211, 1.928), (-1, 0.217, 1.489)])
def test_a_frobenius_penalty_can_make_a_stable_map_unstable(sign: int, radius: float, norm: float) -> None:
    """`J = M Sigma (Sigma + lambda I)^-1`: the norm falls from 3.081 either way, the radius of 0.5 may rise above 1."""
    M = torch.tensor([[0.5, 3.0], [0.0, 0.5]], dtype=torch.float64)
    sigma = torch.tensor([[5.0, 4.0 * sign], [4.0 * sign, 5.0]], dtype=torch.float64) / 3
    J = minimiser(M, sigma, 1.0)
    assert torch.allclose(J, M @ sigma @ torch.linalg.inv(sigma + torch.eye(2)), atol=1e-6)
    assert float(torch.linalg.eigvals(J).abs().max()) == pytest.approx(radius, abs=5e-4)
    found = spectral_norm(lambda u: u @ J.T, signs(2), torch.randn(2, 2).double())
    assert found.tolist() == pytest.approx([norm, norm], abs=5e-4)


@pytest.mark.parametrize("points", [16, 32, 64])
def test_the_energies_of_a_smoothing_map_shrink_with_the_mesh_and_those_of_the_identity_do_not(points: int) -> None:
    """With `k(x, y) = 1 + cos(x - y)` on `[0, 2 pi)`: `r = dx int k^2 dy = 3 pi dx`; `I + K` has `1 + 2 K_ii + r`."""
    x = 2 * torch.pi * torch.arange(points, dtype=torch.float64) / points
    dx = 2 * torch.pi / points
    K = dx * (1 + torch.cos(x[:, None] - x))
    r = row_energies(lambda u: u @ K.T, torch.zeros(points, points, dtype=torch.float64), signs(points)).mean(0)
    assert torch.allclose(r, torch.full_like(r, 3 * torch.pi * dx), rtol=1e-10)
    shifted = row_energies(lambda u: u + u @ K.T, torch.zeros_like(K), signs(points)).mean(0)
    assert torch.allclose(shifted, 1 + 4 * dx + r, rtol=1e-10)

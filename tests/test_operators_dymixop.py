"""What DyMixOp promises: the published formulas and sizes, and derivatives, products and gates as they should be."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional as F

from rollwave.operators import Connection, DyMixOp, Interaction
from rollwave.operators.dymixop import LocalGlobalMixing, OneSidedSpectralConv
from rollwave.operators.interaction import resample
from rollwave.operators.stencil import Derivatives, Differences, Stencil, neighbours

# channels, frames, space axes, width, depth, modes; numbers of weights in thousands, complex ones as two and as one.
SIZES = {
    "KS tiny": (1, 10, 1, 16, 2, 12, 18.5, 12.4),
    "KS medium": (1, 10, 1, 30, 4, 12, 124, 81),
    "KS large": (1, 10, 1, 60, 8, 12, 969, 623),
    "KS base": (1, 10, 1, 48, 8, 12, 621, 400),
    "Burgers": (2, 10, 2, 64, 4, 12, 9.70e3, 4.99e3),
    "CE-CRP": (5, 10, 2, 60, 8, 12, 17.0e3, 8.75e3),
    "Darcy": (1, 1, 2, 96, 4, 12, 21.8e3, 11.2e3),
    "NS": (1, 10, 2, 96, 4, 12, 21.8e3, 11.2e3),
    "SW": (2, 10, 2, 64, 4, 10, 6.82e3, 3.54e3),
    "Brusselator": (1, 1, 3, 32, 2, 6, 3.61e3, 1.84e3),
}
MIXINGS = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.7, 0.0, 1.0))


def reference(in_channels: int, out_channels: int, **changes: Any) -> DyMixOp:
    """The published operator, out of its YAML."""
    path = Path(__file__).resolve().parent.parent / "configs" / "operator" / "dymixop_reference.yaml"
    config = OmegaConf.merge(OmegaConf.load(path), changes)
    operator: DyMixOp = instantiate(config, in_channels=in_channels, out_channels=out_channels)
    return operator


@pytest.mark.parametrize("name", SIZES)
def test_the_reference_has_the_published_number_of_weights(name: str) -> None:
    channels, frames, axes, width, depth, m, twice, once = SIZES[name]
    with torch.device("meta"):
        operator = reference(channels * frames, channels, width=width, depth=depth, modes=[m] * axes)
    numbers = sum(parameter.numel() for parameter in operator.parameters())
    spectral = sum(parameter.numel() for key, parameter in operator.named_parameters() if key.endswith("far.blocks"))
    ends = (channels * frames + axes + 1) * 2 * width + 2 * width**2 + width
    ends += (width + 1) * 2 * width + (2 * width + 1) * channels
    layer = width**2 * (6 + 3**axes) + 5 * width
    # Besides the published formula: the weights of the sum, its offset, and the gate.
    assert numbers == ends + depth * (layer + 2**axes * m**axes * width**2) + depth + 2
    assert spectral == depth * 2**axes * m**axes * width**2
    for ours, theirs in ((numbers, twice), (numbers - spectral // 2, once)):
        # The published numbers have at least two digits, and the last may be rounded either way.
        assert ours == pytest.approx(1000 * theirs, rel=0.007)


def published(operator: DyMixOp, u: Tensor) -> Tensor:
    """The reference written out with fast transforms, rolls and sums, from its weights alone."""
    weights, axes = dict(operator.named_parameters()), tuple(range(2, u.ndim))

    def linear(name: str, x: Tensor) -> Tensor:
        bias = weights[f"{name}.bias"].reshape(-1, *[1] * len(axes))
        return torch.einsum("oi,bi...->bo...", weights[f"{name}.weight"], x) + bias

    def spectral(name: str, x: Tensor) -> Tensor:
        blocks, m = torch.view_as_complex(weights[name]), operator.modes
        x_hat = torch.fft.rfftn(x, dim=axes)
        y_hat = torch.zeros_like(x_hat)
        for signs in itertools.product((0, 1), repeat=len(axes) - 1):
            ours = [slice(s * K, s * K + K) for s, K in zip(signs, m, strict=False)] + [slice(m[-1])]
            theirs = [slice(-K, None) if s else slice(K) for s, K in zip(signs, m, strict=False)] + [slice(m[-1])]
            place = (slice(None), slice(None), *theirs)
            y_hat[place] = torch.einsum("bi...,...io->bo...", x_hat[place], blocks[tuple(ours)])
        return torch.fft.irfftn(y_hat, s=x.shape[2:], dim=axes)

    def layer(name: str, c: Tensor) -> Tensor:
        y, taps = linear(f"{name}.linear", c), weights[f"{name}.linear.taps"]
        centre = torch.zeros_like(taps[0])
        for tap, offset in zip(taps, itertools.product((0, -1, 1), repeat=len(axes)), strict=True):
            y = y + torch.einsum("oi,bi...->bo...", tap, c.roll([-j for j in offset], axes))
            centre = centre - tap
        y = y + torch.einsum("oi,bi...->bo...", centre, c)
        product = spectral(f"{name}.far.blocks", c) * linear(f"{name}.near", c)
        return F.gelu(y + linear(f"{name}.residual.1", linear(f"{name}.residual.0", product)))

    grids = torch.meshgrid(*(torch.arange(N, dtype=u.dtype) / N for N in u.shape[2:]), indexing="ij")
    u = torch.cat([u, torch.stack(grids).expand(len(u), *[-1] * (1 + len(axes)))], dim=1)
    state = linear("lift.1", linear("lift.0", u))
    total = state + weights["chain.offset"]
    gate = torch.sigmoid(weights["chain.theta"] * 0.02)
    for index in range(len(operator.blocks)):
        slope = layer(f"blocks.{index}", state)
        total = total + weights["chain.share"][index] * slope
        state = state + gate * slope
    return linear("project.1", linear("project.0", total))


@pytest.mark.parametrize(
    ("modes", "space"),
    [([4], (21,)), ([3, 4], (12, 15)), ([3, 4], (6, 9)), ([2, 2, 3], (7, 6, 8)), ([2, 2, 3], (5, 4, 6))],
)
def test_the_reference_is_the_published_formula(modes: list[int], space: tuple[int, ...]) -> None:
    operator = reference(2, 3, width=5, depth=3, modes=modes).double()
    for block in operator.blocks:
        # As it starts, the interaction would be lost among the other terms.
        block.far.blocks.data.sub_(0.02).mul_(50)
    u = torch.randn(2, 2, *space, dtype=torch.float64)
    torch.testing.assert_close(operator(u), published(operator, u), rtol=1e-10, atol=1e-10)


def test_the_published_weights_start_positive_and_at_most_the_inverse_square_of_the_width() -> None:
    blocks = OneSidedSpectralConv(8, 8, (4, 3)).blocks
    assert blocks.shape == (8, 3, 8, 8, 2)
    assert blocks.min() >= 0
    assert 0.98 / 64 < blocks.max() < 1 / 64
    assert blocks.mean().item() == pytest.approx(0.5 / 64, rel=0.05)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_stencils_annihilate_constants_and_commute_with_shifts(axes: int) -> None:
    for basis in (Differences(axes), Derivatives(axes, points=8), Derivatives(axes, points=8, wide=True)):
        stencil, dims = Stencil(3, basis).double(), list(range(2, axes + 2))

        def apply(c: Tensor, stencil: Stencil = stencil) -> Tensor:
            return stencil(neighbours(c, stencil.basis.offsets))

        def local(c: Tensor, stencil: Stencil = stencil) -> Tensor:
            return torch.einsum("oi,bi...->bo...", stencil.weight, c) + stencil.bias.reshape(-1, *[1] * (c.ndim - 2))

        constant = torch.randn(2, 3, *[1] * axes, dtype=torch.float64).expand(2, 3, *(6, 8, 5)[:axes])
        torch.testing.assert_close(apply(constant), local(constant), rtol=1e-13, atol=1e-13)
        c, shift = torch.randn(constant.shape, dtype=torch.float64), list(range(1, axes + 1))
        assert (apply(c) - local(c)).norm() > 0.1 * local(c).norm()
        torch.testing.assert_close(apply(c.roll(shift, dims)), apply(c).roll(shift, dims))


def features(c: Tensor, basis: Derivatives) -> list[Tensor]:
    """What the stencils of a basis make of one field."""
    around = neighbours(c, basis.offsets)
    rows = torch.tensor(basis.rows(c.shape[2:]), dtype=c.dtype)
    return list(torch.einsum("ft,bt...->f...", rows, around))


@pytest.mark.parametrize("wide", [False, True])
def test_differences_are_derivatives_of_second_order(wide: bool) -> None:
    errors = []
    for N in (32, 64, 128):
        x, y = torch.meshgrid(
            *(torch.arange(n, dtype=torch.float64) * (2 * math.pi / n) for n in (N, N + N // 4)), indexing="ij"
        )
        c, H = (torch.sin(x) * torch.exp(torch.cos(y)))[None, None], 2 * math.pi / 16
        exact = (
            H * torch.cos(x) * torch.exp(torch.cos(y)),
            -(H**2) * c[0, 0],
            -H * c[0, 0] * torch.sin(y),
            H**2 * c[0, 0] * (torch.sin(y) ** 2 - torch.cos(y)),
        )
        ours = features(c, Derivatives(2, points=16, wide=wide))
        errors.append([(a - b).abs().max().item() for a, b in zip(ours, exact, strict=True)])
    # Halving the spacing divides an error by four: the exponent to what the next order leaves of it.
    for coarse, middle, fine in zip(*errors, strict=True):
        assert math.log2(coarse / middle) == pytest.approx(2, abs=0.25)
        assert math.log2(middle / fine) == pytest.approx(2, abs=0.1)


def test_wide_derivatives_are_the_first_difference_twice_and_leave_the_shortest_wave_alone() -> None:
    c = torch.randn(1, 1, 6, 8, dtype=torch.float64)
    wide = Derivatives(2, points=8, wide=True)
    for axis in (0, 1):
        first = features(c, wide)[2 * axis][None, None]
        torch.testing.assert_close(features(c, wide)[2 * axis + 1], features(first, wide)[2 * axis])
    sawtooth = torch.tensor([1.0, -1.0]).repeat(4)[None, None]
    narrow_second, wide_second = (features(sawtooth, Derivatives(1, points=8, wide=w))[1] for w in (False, True))
    assert torch.equal(narrow_second, -4 * sawtooth[0, 0])
    assert torch.equal(wide_second, torch.zeros(8))


def difference_between_grids(operator: torch.nn.Module, N: int) -> float:
    """Relative, of what a map makes of one smooth function on `N` and on `2 N` points."""
    x = torch.arange(2 * N, dtype=torch.float64) / (2 * N) * 2 * math.pi
    u = torch.stack((torch.sin(x) + 0.5 * torch.cos(2 * x + 1), torch.cos(x)))[None]
    y, y_fine = operator(u[..., ::2]), operator(u)[..., ::2]
    return ((y - y_fine).norm() / y.norm()).item()


def test_another_grid_is_the_same_operator_to_second_order() -> None:
    operator = DyMixOp(2, 1, width=6, modes=(4,), depth=2, interaction=Interaction(points=16)).double()
    coarse, fine = (difference_between_grids(operator, N) for N in (64, 128))
    assert coarse < 0.05
    assert math.log2(coarse / fine) == pytest.approx(2, abs=0.2)


def test_another_grid_is_another_operator_for_plain_differences() -> None:
    plain = DyMixOp(2, 1, width=6, modes=(4,), depth=2, interaction=Interaction(points=None)).double()
    # They vanish with the spacing, so that what differs falls by half only.
    coarse, fine = (difference_between_grids(plain, N) for N in (64, 128))
    assert math.log2(coarse / fine) < 1.5


def harmonics(y: Tensor) -> list[int]:
    """The wavenumbers that are there."""
    size = torch.fft.rfft(y.detach(), dim=-1, norm="forward").abs().amax((0, 1))
    return [int(k) for k in torch.nonzero(size > 1e-12 * size.max()).flatten()]


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_product_has_the_sums_and_differences_of_its_factors_harmonics(symmetric: bool) -> None:
    layer = LocalGlobalMixing(4, (6,), Interaction(limit=None), symmetric=symmetric).double()
    x = torch.arange(64, dtype=torch.float64) / 64 * 2 * math.pi
    c = torch.randn(1, 4, 1, dtype=torch.float64) * torch.cos(3 * x) + torch.sin(20 * x)
    far = layer.carrier(c)
    assert far is not None
    assert harmonics(far) == [3]
    near = torch.randn(1, 4, 1, dtype=torch.float64) * torch.cos(20 * x)
    assert harmonics(layer.interaction(far, near)) == [17, 23]
    assert harmonics(Interaction(mixing=(0, 1, 1))(far, near)) == [3, 20]
    assert harmonics(Interaction(mixing=(1, 1, 1), limit=None)(far, near)) == [3, 17, 20, 23]


@pytest.mark.parametrize("space", [(16,), (12, 15)])
def test_on_a_finer_grid_the_product_is_the_exact_one_cut_back(space: tuple[int, ...]) -> None:
    layer = LocalGlobalMixing(3, [5] * len(space), Interaction(fine=1.5, limit=None), symmetric=True).double()
    c, modes = torch.randn(2, 3, *space, dtype=torch.float64), [(N - 1) // 2 for N in space]
    near = resampled(torch.randn_like(c), modes, space)
    with torch.no_grad():
        ours = layer.interaction(layer.carrier(c), near)
        far = LocalGlobalMixing.carrier(with_fine(layer, 1.0), c)
    ample = tuple(4 * N for N in space)
    exact = resampled(resampled(far, modes, ample) * resampled(near, modes, ample), modes, space)
    torch.testing.assert_close(ours, exact, rtol=1e-12, atol=1e-12)
    # On the grid itself aliases are no small matter.
    assert (far * near - exact).norm() > 0.1 * exact.norm()


def test_interpolation_to_a_finer_grid_is_of_float32_at_least_whatever_autocast_makes_of_its_field() -> None:
    x = torch.randn(2, 3, 12).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        finer = resample(x, (12,), (18,))
    assert finer.dtype == torch.bfloat16
    torch.testing.assert_close(finer.float(), resample(x.float(), (12,), (18,)), rtol=1e-2, atol=1e-2)
    assert torch.equal(finer, resample(x, (12,), (18,)))


def with_fine(layer: LocalGlobalMixing, fine: float) -> LocalGlobalMixing:
    layer.interaction = Interaction(fine=fine, limit=None)
    return layer


def resampled(x: Tensor, modes: list[int], points: tuple[int, ...]) -> Tensor:
    """The wavenumbers up to `modes` on another grid, one axis at a time by complex transforms."""
    for axis, (K, N) in enumerate(zip(modes, points, strict=True), start=2):
        x_hat = torch.fft.fft(x, dim=axis, norm="forward")
        kept = torch.zeros(*x.shape[:axis], N, *x.shape[axis + 1 :], dtype=x_hat.dtype)
        kept.narrow(axis, 0, K + 1).copy_(x_hat.narrow(axis, 0, K + 1))
        kept.narrow(axis, N - K, K).copy_(x_hat.narrow(axis, x.shape[axis] - K, K))
        x = torch.fft.ifft(kept, dim=axis, norm="forward").real
    return x


def test_gates_learn_from_the_first_step_and_a_saturated_one_never_does() -> None:
    u = torch.randn(2, 1, 64)
    gradients = []
    for connection in (
        Connection(),
        Connection(gate=32.0, shared=True),
        Connection(gate=32.0, shared=True, change=0.02),
    ):
        operator = DyMixOp(1, 1, width=32, modes=(8,), depth=3, connection=connection)
        operator(u).square().mean().backward()
        gradients.append(operator.chain.theta.grad)
    ours, stuck, intended = gradients
    assert ours.shape == (2,)
    assert ours.abs().min() > 1e-6
    assert stuck.abs().max() == 0
    assert intended.abs().max() > 1e-6


def test_without_its_slope_one_linear_layer_leaves_an_affine_map() -> None:
    operator = reference(2, 1, width=6, depth=1, modes=[4]).double()
    u, v = torch.randn(2, 3, 2, 16, dtype=torch.float64)
    with torch.no_grad():
        assert (operator(u) + operator(v) - operator(u + v) - operator(0 * u)).abs().max() > 1e-3
        operator.chain.share.zero_()
        maps = [operator.lift[0], operator.lift[1], operator.project[0], operator.project[1]]
        y = operator(u)
        position = (torch.arange(16, dtype=torch.float64) / 16).expand(3, 1, 16)
        rows = torch.cat([u, position], dim=1).movedim(1, -1)
        for index, affine in enumerate(maps):
            rows = F.linear(rows, affine.weight, affine.bias) + (operator.chain.offset if index == 1 else 0)
    torch.testing.assert_close(y, rows.movedim(-1, 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("sequential", "parallel"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("gate", [0.0, None])
def test_connections_are_their_formulas(sequential: bool, parallel: bool, gate: float | None) -> None:
    connection = Connection(sequential=sequential, parallel=parallel, gate=gate)
    chain, start = connection.chain(3), torch.randn(2, 3, 8)
    stages: list[Tensor] = [start]
    slopes: list[Tensor] = []
    g = 1.0 if gate is None else 0.5
    for factor in (2.0, -1.0, 0.5):
        slopes.append(torch.tanh(factor * stages[-1]))
        stages.append(stages[-1] + g * slopes[-1] if sequential else start)
    expected = start + sum(slopes) / 3 if parallel else stages[-1]
    layers = [lambda c, factor=factor: torch.tanh(factor * c) for factor in (2.0, -1.0, 0.5)]
    torch.testing.assert_close(chain(start, layers), expected)


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize("stencils", itertools.product((True, False), repeat=2))
def test_every_interaction_works_with_nothing_idle(mixing: tuple[float, ...], stencils: tuple[bool, ...]) -> None:
    interaction = Interaction(mixing=mixing, stencils=stencils, fine=1.5)
    operator = DyMixOp(1, 1, width=6, modes=(4,), depth=2, interaction=interaction).double()
    operator(torch.randn(3, 1, 16, dtype=torch.float64)).square().sum().backward()
    for name, parameter in operator.named_parameters():
        # The imaginary part of the matrix at wavenumber zero has nothing to act on.
        idle = 6 * 6 if name.endswith("far.weight") else 0
        assert int((parameter.grad.abs() < 1e-14).sum()) == idle, name
    names = {name.split(".")[2] for name, _ in operator.named_parameters() if name.startswith("blocks")}
    expected = (
        {"linear"} | ({"far"} if mixing[0] or mixing[1] else set()) | ({"near"} if mixing[0] or mixing[2] else set())
    )
    assert names == expected | ({"residual"} if len(expected) > 1 else set())


def test_layers_that_start_at_zero_start_without_the_interaction() -> None:
    layer = LocalGlobalMixing(5, (4,), Interaction(start=0.0), symmetric=True)
    c = torch.randn(2, 5, 16)
    torch.testing.assert_close(layer(c), F.gelu(layer.linear(neighbours(c, layer.basis.offsets))))


def test_a_gradient_of_a_gradient_is_its_derivative() -> None:
    operator = DyMixOp(1, 1, width=4, modes=(3,), depth=2, interaction=Interaction(fine=1.5)).double()
    u, direction = torch.randn(2, 2, 1, 12, dtype=torch.float64)

    def gradient(u: Tensor) -> Tensor:
        (g,) = torch.autograd.grad(operator(u).pow(3).sum(), u, create_graph=True)
        return g

    u.requires_grad_()
    (second,) = torch.autograd.grad((gradient(u) * direction).sum(), u)
    step = 1e-5
    difference = (gradient(u + step * direction) - gradient(u - step * direction)) / (2 * step)
    # The matrix of second derivatives is symmetric.
    assert (second - difference).norm() < 1e-7 * second.norm()


def test_settings_that_make_no_sense_are_explained() -> None:
    with pytest.raises(ValueError, match="only the last layer would act"):
        Connection(sequential=False, parallel=False)
    with pytest.raises(ValueError, match="mixing must hold three numbers and stencils two"):
        Interaction(mixing=(1.0, 0.0))
    with pytest.raises(ValueError, match=r"fine at least 1, got 64 and 0\.5"):
        Interaction(fine=0.5)
    with pytest.raises(ValueError, match="limit of a local factor must be None or positive, got 0"):
        Interaction(limit=0.0)
    with pytest.raises(ValueError, match=r"one number, 1 or more, for each space axis, got \(0,\)"):
        DyMixOp(1, 1, modes=(0,), symmetric=False)
    with pytest.raises(ValueError, match=r"2 space axes, got \(1, 1, 16\)"):
        DyMixOp(1, 1, modes=(4, 4))(torch.randn(1, 1, 16))


def test_a_limited_local_factor_is_itself_where_small_and_never_larger_than_the_limit() -> None:
    far, w = torch.ones(1, 1, 7), torch.tensor([-1e6, -3.0, -0.01, 0.0, 0.01, 3.0, 1e6]).reshape(1, 1, 7)
    found = Interaction(limit=3.0)(far, w)[0, 0].tolist()
    half = 3 / 2**0.5
    assert found == pytest.approx([-3.0, -half, -0.01, 0.0, 0.01, half, 3.0], rel=1e-5)
    assert torch.equal(Interaction(limit=None)(far, w), w)
    # The terms of a sum have no limit.
    assert torch.equal(Interaction(mixing=(0, 1, 1), limit=3.0)(far, w), far + w)


def growth(limit: float | None) -> float:
    """How the output of a layer grows from a state a thousand times the usual to one a million times: log 10, of 3."""
    torch.manual_seed(0)
    layer = LocalGlobalMixing(4, (4,), Interaction(points=16, limit=limit), symmetric=True).double()
    c = torch.randn(2, 4, 16, dtype=torch.float64)
    with torch.no_grad():
        return float((layer(1e6 * c).norm() / layer(1e3 * c).norm()).log10())


def test_far_from_the_data_a_layer_with_a_limit_grows_like_the_state_and_without_one_like_its_square() -> None:
    assert growth(3.0) == pytest.approx(3, abs=0.05)
    assert growth(None) == pytest.approx(6, abs=0.05)

"""A layer with one gradient by hand is its two parts, in whatever way it is differentiated."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from rollwave.kernels import fourier_layer, pointwise_mlp, spectral_conv, weight_shape
from rollwave.kernels.field_dft import coefficients, field
from rollwave.kernels.product import LEAST, product
from rollwave.kernels.truncated_dft import analyse, analysis, synthesis, synthesise
from rollwave.operators import FNO

GRIDS = [((13,), (4,)), ((8,), (4,)), ((7, 9), (3, 2)), ((4, 6, 5), (2, 3, 1))]


def layer_of(points: tuple[int, ...], modes: tuple[int, ...]) -> list[Tensor]:
    """Field, spectral weight and bias, skip, both layers of the network, gate."""
    shapes = [(2, 3, *points), weight_shape(3, 3, modes), (3,), (3, 3), (5, 3), (5,), (3, 5), (3,), (3,)]
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def layer(modes: tuple[int, ...], act: str | None, v: Tensor, *weights: Tensor) -> Tensor:
    spectral, network = (weights[0], weights[1]), (weights[3], weights[4], weights[5], weights[6])
    return fourier_layer(v, modes, spectral=spectral, skip=weights[2], network=network, gate=weights[7], act=act)


def composed(modes: tuple[int, ...], act: str | None, v: Tensor, *weights: Tensor, backend: str = "fft") -> Tensor:
    mixed = spectral_conv(v, weights[0], modes, bias=weights[1], skip=weights[2], act=act, backend=backend)
    return pointwise_mlp(mixed, *weights[3:7], gate=weights[7], source=v, act=act)


@pytest.mark.parametrize("act", [None, "gelu"])
@pytest.mark.parametrize(("points", "modes"), GRIDS)
def test_a_layer_is_its_parts_in_value_and_gradient(
    points: tuple[int, ...], modes: tuple[int, ...], act: str | None
) -> None:
    tensors = layer_of(points, modes)
    y, expected = (f(modes, act, *tensors) for f in (layer, composed))
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(layer(modes, act, *tensors), expected, rtol=0, atol=1e-12)
    direction = torch.randn_like(expected)
    for mine, other in zip(*(torch.autograd.grad((f * direction).sum(), tensors) for f in (y, expected)), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("act", [None, "gelu"])
@pytest.mark.parametrize("points", [(6,), (3, 4)])
def test_a_layer_passes_gradcheck_of_both_orders_and_forwards(points: tuple[int, ...], act: str | None) -> None:
    modes = tuple(n // 2 for n in points)
    tensors = layer_of(points, modes)

    def network(*tensors: Tensor) -> Tensor:
        return layer(modes, act, *tensors)

    assert torch.autograd.gradcheck(network, tensors, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(network, tensors, fast_mode=True)


def block(modes: tuple[int, ...], act: str | None, v: Tensor, *weights: Tensor) -> Tensor:
    """The first part of a layer by itself, with a bias and a skip, then without."""
    mixed = spectral_conv(v, weights[0], modes, bias=weights[1], skip=weights[2], act=act)
    return mixed + spectral_conv(v, weights[0], modes, act=act)


def network(modes: tuple[int, ...], act: str | None, v: Tensor, *weights: Tensor) -> Tensor:
    """The second part by itself, with a gate on a source that does not depend on the field, then without."""
    gated = pointwise_mlp(v, *weights[3:7], gate=weights[7], source=weights[8], act=act)
    return gated + pointwise_mlp(v, *weights[3:7], act=act)


@pytest.mark.parametrize("part", [layer, block, network], ids=["layer", "block", "network"])
@pytest.mark.parametrize("act", [None, "gelu"])
@pytest.mark.parametrize(("points", "modes"), GRIDS)
def test_a_dual_field_goes_through_at_once_as_a_transform_sees_it_in_the_operations(
    points: tuple[int, ...], modes: tuple[int, ...], act: str | None, part: Any
) -> None:
    """Value, tangent, and the gradient of both in everything, beside `torch.func.jvp`, which takes the definitions."""
    v, *weights = [*layer_of(points, modes), torch.randn(2, 3, *points, dtype=torch.float64)]
    tensors = (v, *weights[:8])
    direction = torch.randn_like(v).requires_grad_()
    with forward_ad.dual_level():
        given = forward_ad.make_dual(v, direction)
        ours = forward_ad.unpack_dual(part(modes, act, given, *weights))
    exact = torch.func.jvp(lambda u: part(modes, act, u, *weights), (v,), (direction,))
    sums = []
    for mine, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-11)
    for value, tangent in (ours, exact):
        weight = torch.linspace(1, 2, value.numel(), dtype=value.dtype).reshape(value.shape)
        sums.append((weight * value).sum() + (weight * tangent).square().sum())
    for mine, other in zip(
        *(torch.autograd.grad(total, (*tensors, direction), allow_unused=True) for total in sums), strict=True
    ):
        assert (mine is None) == (other is None)
        if mine is not None:
            torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-10)


def test_a_dual_weight_is_seen_too() -> None:
    """Where more than the field has a tangent."""
    v, *weights = layer_of((9,), (3,))
    change = torch.randn_like(weights[0])
    for part in (layer, block):
        with forward_ad.dual_level():
            dual = [v, forward_ad.make_dual(weights[0], change), *weights[1:]]
            found = forward_ad.unpack_dual(part((3,), "gelu", *dual)).tangent
        h = 1e-6
        there, back = (part((3,), "gelu", v, weights[0] + sign * h * change, *weights[1:]) for sign in (1, -1))
        torch.testing.assert_close(found, (there - back) / (2 * h), rtol=1e-6, atol=1e-7)


def test_a_layer_maps_over_a_batch_of_weights() -> None:
    v, weight, *rest = (tensor.detach() for tensor in layer_of((9,), (3,)))
    weights = torch.randn(4, *weight.shape, dtype=weight.dtype)
    y = torch.func.vmap(lambda w: layer((3,), "gelu", v, w, *rest))(weights)
    torch.testing.assert_close(y[2], layer((3,), "gelu", v, weights[2], *rest))


def test_a_layer_changes_nothing_that_it_is_given() -> None:
    tensors = layer_of((7, 9), (3, 2))
    before = [tensor.detach().clone() for tensor in tensors]
    y = layer((3, 2), "gelu", *tensors)
    direction = torch.randn_like(y)
    given = direction.clone()
    first, again = (torch.autograd.grad(y, tensors, direction, retain_graph=True) for _ in range(2))
    with torch.no_grad():
        layer((3, 2), "gelu", *tensors)
    pairs = [*zip(tensors, before, strict=True), *zip(first, again, strict=True), (direction, given)]
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(("points", "modes"), GRIDS)
def test_transforms_of_fields_with_channels_first_are_the_transforms(
    points: tuple[int, ...], modes: tuple[int, ...]
) -> None:
    v = torch.randn(3, 2, *points, dtype=torch.float64)
    for matrices in (analysis(points, modes, v), synthesis(points, modes, v)):
        v_hat = analyse(v.movedim(0, -1), matrices)
        torch.testing.assert_close(coefficients(v, matrices), v_hat, rtol=0, atol=1e-12)
        back, out = synthesise(v_hat, matrices).movedim(-1, 0), torch.ones_like(v)
        torch.testing.assert_close(field(v_hat, matrices), back, rtol=0, atol=1e-12)
        field(v_hat, matrices, out)
        torch.testing.assert_close(out, back + 1, rtol=0, atol=1e-12)


def views(m: int, k: int, **kind: Any) -> list[Tensor]:
    """The same numbers as a matrix, as its transpose's transpose, and as part of a larger one."""
    a = torch.randn(m, k, **kind)
    return [a, a.T.contiguous().T, torch.cat((a, a), 1)[:, :k]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", [(8, 8, 8), (1, 2**11, 2**10), (64, 2**10, 40), (130, 90, 101)])
def test_a_product_is_that_of_the_definition_whatever_lies_behind_it(
    sizes: tuple[int, int, int], dtype: torch.dtype
) -> None:
    m, n, k = sizes
    # An error of `k` roundings of numbers near one, each entry of the size `sqrt(k)`.
    tolerance = 8 * math.sqrt(k) * torch.finfo(dtype).eps * math.sqrt(k)
    for a, b in itertools.product(views(m, k, dtype=dtype), views(n, k, dtype=dtype)):
        exact = (a.double() @ b.double().T).to(dtype)
        torch.testing.assert_close(product(a, b), exact, rtol=0, atol=tolerance)
    assert LEAST < 64 * 2**10 * 40, "one case must be large enough for the other library"


def test_a_network_of_float32_is_that_of_float64_where_products_are_large() -> None:
    operator, u = FNO(1, 1, width=32, modes=(8,), depth=2), torch.randn(8, 1, 512)
    single = torch.autograd.grad(operator(u).square().mean(), list(operator.parameters()))
    operator.double()
    double = torch.autograd.grad(operator(u.double()).square().mean(), list(operator.parameters()))
    assert LEAST < 32 * 32 * 8 * 512
    assert all((a - b).norm() < 2e-5 * b.norm() for a, b in zip(single, double, strict=True))


def test_forward_mode_sees_into_large_products_of_float32() -> None:
    operator, (u, direction) = FNO(1, 1, width=32, modes=(8,), depth=2), torch.randn(2, 8, 1, 512)

    def tangent(*given: Tensor) -> Tensor:
        # Without a gradient to come nothing but the tangent asks for derivatives.
        with torch.no_grad(), forward_ad.dual_level():
            found = forward_ad.unpack_dual(operator(forward_ad.make_dual(*given))).tangent
        assert found is not None
        return found

    single = tangent(u, direction)
    operator.double()
    double = tangent(u.double(), direction.double())
    assert (single - double).norm() < 2e-5 * double.norm()


def test_autocast_and_a_compiler_see_the_parts() -> None:
    tensors = [tensor.detach().float().requires_grad_() for tensor in layer_of((16,), (4,))]
    with torch.autocast("cpu", torch.bfloat16):
        y, expected = layer((4,), "gelu", *tensors), composed((4,), "gelu", *tensors, backend="dft")
    assert torch.equal(y, expected)
    compiled = torch.compile(lambda *given: layer((4,), "gelu", *given), fullgraph=True, backend="aot_eager")
    ours, exact = compiled(*tensors), composed((4,), "gelu", *tensors)
    for mine, other in zip(*(torch.autograd.grad(f.square().sum(), tensors) for f in (ours, exact)), strict=True):
        assert (mine - other).norm() < 1e-5 * other.norm()


def test_a_grid_that_was_first_seen_in_inference_mode_can_be_trained_on_in_every_way() -> None:
    """As when a run begins with its validation."""
    points, modes = (19,), (5,)
    v, *weights = layer_of(points, modes)
    with torch.inference_mode():
        layer(modes, "gelu", v, *weights)
    direction = torch.randn_like(v)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(layer(modes, "gelu", forward_ad.make_dual(v, direction), *weights)).tangent
    (g,) = torch.autograd.grad(tangent.square().sum(), weights[0])
    assert g.abs().max() > 0

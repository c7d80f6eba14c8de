"""Products of band-limited and local maps and stages of an integrator on Triton kernels: values and derivatives."""

import math

import pytest
import torch
from torch import Tensor
from triton_helpers import DTYPES, assert_same, in_interpreter, poison, random, runnable

from rollwave.kernels import weight_shape
from rollwave.kernels.triton_block import matrices
from rollwave.kernels.triton_configs import config
from rollwave.kernels.triton_product import (
    product,
    product_backward,
    product_backward_definition,
    product_definition,
)
from rollwave.kernels.triton_product_block import (
    product_block,
    product_block_backward,
    product_block_definition,
    triton_product_block,
)
from rollwave.kernels.triton_stage import stage, stage_definition

pytestmark = runnable


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smallest", [False, True])
@pytest.mark.parametrize(("bias", "gelu"), [(False, False), (True, True)])
@pytest.mark.parametrize(("B", "S", "J", "N", "INNER", "OUTER"), [(1, 1, 2, 1, 1, 1), (2, 3, 20, 19, 18, 17)])
def test_the_product_kernel_computes_its_definition(
    B: int,
    S: int,
    J: int,
    N: int,
    INNER: int,
    OUTER: int,
    bias: bool,
    gelu: bool,
    smallest: bool,
    dtype: torch.dtype,
) -> None:
    shapes = ((S, J, B, OUTER), (J, N), (B, INNER, S, N), (OUTER, INNER), (OUTER,), (B, OUTER, S, N))
    y_hat, matrix, x, local, b, gradient = (random(*shape, dtype=dtype).detach() for shape in shapes)
    table = config("product", O=OUTER, N=N, J=J, I=INNER)
    blocks = {name: 16 if name.startswith("BLOCK") else size for name, size in table.items()} if smallest else None
    given = [y_hat, matrix, x, local, b if bias else None]
    double = [None if t is None else t.double() for t in given]
    ours, exact = product(*given, gelu=gelu, blocks=blocks), product_definition(*double, gelu=gelu)
    assert_same([ours], [exact])
    both = product_backward(*given, gradient, gelu=gelu, blocks=blocks)
    assert_same(both, product_backward_definition(*double, gradient.double(), gelu=gelu))


def test_the_definition_of_its_gradient_is_its_gradient() -> None:
    far, near, gradient = (torch.randn(2, 3, 1, 5, dtype=torch.float64, requires_grad=True) for _ in range(3))
    # Coefficients and matrices that hand both factors through.
    one, channels = torch.eye(5, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    given = (far.permute(2, 3, 0, 1), one, near, channels, None)
    expected = torch.autograd.grad(product_definition(*given, gelu=True), (far, near), gradient)
    assert_same(product_backward_definition(*given, gradient, gelu=True), expected)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(("bias", "gelu"), [(False, False), (True, True)])
@pytest.mark.parametrize(("points", "modes"), [((13,), (6,)), ((7, 8), (2, 4)), ((3, 5, 4), (1, 2, 2))])
def test_the_product_block_has_the_value_and_all_gradients_of_its_formula(
    points: tuple[int, ...], modes: tuple[int, ...], bias: bool, gelu: bool
) -> None:
    """Factors are of order one, as in a network: where they are a hundred, the GELU's slope has few digits left."""
    shape = weight_shape(3, 2, modes)
    weight = (random(*shape, requires_grad=False) / math.prod(shape[:-3]) ** 0.5).requires_grad_()
    tensors = [random(2, 3, *points), weight, random(2, 3), *([random(2)] if bias else [])]
    double = [t.detach().double().requires_grad_() for t in tensors]
    x, weight, local, b = [*tensors, None][:4]
    ours = triton_product_block(x, weight, modes, local, b, gelu, points)
    x, weight, local, b = [*double, None][:4]
    exact = product_block_definition(x, weight, b, local, (modes, points, gelu))
    direction = torch.randn_like(ours)
    found = (torch.autograd.grad(y, given, direction.to(y)) for y, given in ((ours, tensors), (exact, double)))
    assert_same([ours], [exact])
    assert_same(*found)


def test_its_tensors_may_lie_in_memory_in_any_way() -> None:
    x, weight, local, b = random(2, 3, 4, 6), random(*weight_shape(3, 2, (1, 2))), random(2, 3), random(2)
    last, turned = x.movedim(1, -1).contiguous().movedim(-1, 1), weight.transpose(1, 2).contiguous().transpose(1, 2)
    apart, across = torch.stack((b, b), 1)[:, 0], local.T.contiguous().T
    direction = random(2, 4, 6, 2, requires_grad=False).movedim(-1, 1)
    ours = triton_product_block(last, turned, (1, 2), across, apart, True, (4, 6))
    plain = triton_product_block(x, weight, (1, 2), local, b, True, (4, 6))
    found = (torch.autograd.grad(y, (x, weight, local, b), direction) for y in (ours, plain))
    assert_same([ours], [plain])
    assert_same(*found)


def test_the_product_block_obeys_the_rules_of_the_library_and_compiles() -> None:
    x, weight, local, b = random(2, 3, 4, 6), random(*weight_shape(3, 2, (1, 2))), random(2, 3), random(2)
    there, back = (matrices(x, (4, 6), (1, 2), way) for way in (False, True))
    torch.library.opcheck(product_block, (x, weight, b, local, there, back, True, True, "tf32x3"))
    given = [t.detach() for t in (x, weight, b, local)]
    y, x_hat = product_block(*given, there, back, True, True, "tf32x3")
    torch.library.opcheck(
        product_block_backward, (torch.randn_like(y), *given, x_hat, there, back, True, True, "tf32x3")
    )

    def function(x: Tensor) -> Tensor:
        return 2 * triton_product_block(x, weight, (1, 2), local, b, True, (4, 6))

    ours, exact = torch.compile(function, fullgraph=True, backend="aot_eager")(x), function(x)
    assert_same([ours, *torch.autograd.grad(ours.sum(), (x, weight, local, b))],
                [exact, *torch.autograd.grad(exact.sum(), (x, weight, local, b))])  # fmt: skip


@pytest.mark.slow
@in_interpreter
def test_the_product_block_passes_gradcheck() -> None:
    x, weight, local, b = random(1, 2, 3, 4), random(*weight_shape(2, 2, (1, 2))), random(2, 2), random(2)

    def function(*t: Tensor) -> Tensor:
        return triton_product_block(t[0], t[1], (1, 2), t[2], t[3], True, (3, 4))

    assert torch.autograd.gradcheck(function, (x, weight, local, b), fast_mode=True)
    assert torch.autograd.gradgradcheck(function, (x, weight, local, b), fast_mode=True)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("terms", [1, 2, 3, 4])
@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(("batch", "k"), [((), (13,)), ((3,), (1025,)), ((2, 3), (5, 7))])
def test_a_stage_and_its_gradients_are_those_of_the_sum(
    batch: tuple[int, ...], k: tuple[int, ...], base: bool, terms: int, dtype: torch.dtype
) -> None:
    u = random(*batch, *k, dtype=dtype) if base else None
    coefficients = [random(*k, dtype=dtype) for _ in range(terms)]
    values = [random(*batch, *k, dtype=dtype) for _ in range(terms)]
    ours, exact = stage(u, coefficients, values), stage_definition(u, coefficients, values)
    tensors, direction = [*coefficients, *values, *([u] if u is not None else [])], torch.randn_like(exact)
    assert_same([ours], [exact])
    assert_same(*(torch.autograd.grad(y, tensors, direction) for y in (ours, exact)))


def test_a_stage_obeys_the_rules_of_the_library_to_second_order() -> None:
    u, c, v = (random(*shape, dtype=torch.complex128) for shape in ((2, 5), (5,), (2, 5)))
    torch.library.opcheck(stage, (u, [c, 2 * c.detach()], [v, u.detach()]))
    assert torch.autograd.gradcheck(lambda u, c, v: stage(u, [c, c], [v, u]), (u, c, v), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda u, c, v: stage(u, [c, c], [v, u]), (u, c, v), fast_mode=True)


def test_a_stage_refuses_what_does_not_fit() -> None:
    c, v = random(5, dtype=torch.complex128), random(2, 5, dtype=torch.complex128)
    with pytest.raises(ValueError, match="a stage has 1 to 4 pairs of a coefficient and a value, got 5 and 5"):
        stage(None, [c] * 5, [v] * 5)
    with pytest.raises(ValueError, match=r"values must be \[\*b, \*k\] and coefficients \[\*k\], got .*\(2, 4\)"):
        stage(None, [c], [v[:, :4]])
    with pytest.raises(TypeError, match=r"one complex type, got \['torch.complex128', 'torch.float64'\]"):
        stage(None, [c.real], [v])

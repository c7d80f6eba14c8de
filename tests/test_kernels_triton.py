"""Every Triton kernel computes its definition: at every size, with tiles that no dimension fills, on memory full of
NaN.

Without a GPU the kernels run in Triton's interpreter, which has to be asked for before they are made.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from triton_helpers import DEVICE, DTYPES, assert_same, poison, random, runnable

from rollwave.kernels.triton_analysis import analyse, spread, transform, transform_definition
from rollwave.kernels.triton_configs import config, tiles
from rollwave.kernels.triton_mix import mix, mix_definition
from rollwave.kernels.triton_mix_adjoint import mix_adjoint, mix_adjoint_definition
from rollwave.kernels.triton_synthesis import synthesise, synthesise_definition
from rollwave.kernels.triton_weight_gradient import weight_gradient, weight_gradient_definition
from rollwave.kernels.truncated_dft import analyse as analyse_definition
from rollwave.kernels.truncated_dft import analysis, synthesis
from rollwave.kernels.truncated_dft import synthesise as synthesise_all_axes

pytestmark = runnable
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
both_tiles = pytest.mark.parametrize("smallest", [False, True])


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


def blocks(kernel: str, smallest: bool, **dimensions: int) -> dict[str, int] | None:
    """The table's tiles, or tiles of sixteen everywhere."""
    if not smallest:
        return None
    return {name: 16 if name.startswith("BLOCK") else value for name, value in config(kernel, **dimensions).items()}


def assert_computes(ours: Tensor, definition: Callable[..., Any], *tensors: Any, pick: int | None = None) -> None:
    """Equal to the definition in float64."""
    exact = definition(*(t.double() if isinstance(t, Tensor) else t for t in tensors))
    assert_same([ours], [exact if pick is None else exact[pick]])


@each_dtype
@both_tiles
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("rows_last", [False, True])
@pytest.mark.parametrize(("P", "J", "N", "Q"), [(1, 2, 13, 1), (2, 20, 37, 18), (1, 34, 16, 33), (3, 5, 3, 17)])
def test_a_matrix_along_an_axis(
    P: int, J: int, N: int, Q: int, rows_last: bool, gelu: bool, smallest: bool, dtype: torch.dtype
) -> None:
    v, pre, matrix = (
        random(P, N, Q, dtype=dtype, requires_grad=False),
        random(P, N, Q, dtype=dtype, requires_grad=False),
        random(J, N, dtype=dtype, requires_grad=False),
    )
    if not rows_last:
        v, pre, matrix = (t.mT.contiguous().mT for t in (v, pre, matrix))
    given = (v, matrix, pre) if gelu else (v, matrix)
    out, product = transform(*given, blocks=blocks("analysis", smallest, J=J, N=N, Q=Q))
    assert_computes(out, transform_definition, *given, pick=0)
    assert_computes(product, transform_definition, *given, pick=1)
    assert product.stride() == v.stride()


@each_dtype
@both_tiles
@pytest.mark.parametrize(("M", "B", "INNER", "OUTER"), [(1, 1, 1, 1), (3, 3, 17, 2), (2, 18, 5, 19), (1, 2, 33, 35)])
def test_a_matrix_for_every_wavenumber_and_its_gradients(
    M: int,
    B: int,
    INNER: int,
    OUTER: int,
    smallest: bool,
    dtype: torch.dtype,
) -> None:
    x_hat, weight, gradient = (
        random(2, M, B, INNER, dtype=dtype, requires_grad=False),
        random(M, INNER, OUTER, 2, dtype=dtype, requires_grad=False),
        random(2, M, B, OUTER, dtype=dtype, requires_grad=False),
    )
    sizes = {"B": B, "I": INNER, "O": OUTER}
    y_hat = mix(x_hat, weight, blocks=blocks("mix", smallest, **sizes))
    assert_computes(y_hat, mix_definition, x_hat, weight)
    g_x = mix_adjoint(gradient, weight, blocks=blocks("mix_adjoint", smallest, **sizes))
    assert_computes(g_x, mix_adjoint_definition, gradient, weight)
    g_weight = weight_gradient(x_hat, gradient, blocks=blocks("weight_gradient", smallest, **sizes))
    assert_computes(g_weight, weight_gradient_definition, x_hat, gradient)


def test_the_definitions_of_the_gradients_are_the_gradients() -> None:
    x_hat, weight = (torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((2, 4, 3, 5), (4, 5, 2, 2)))
    y_hat = mix_definition(x_hat, weight)
    complex_product = torch.complex(*x_hat) @ torch.view_as_complex(weight)
    torch.testing.assert_close(torch.complex(*y_hat), complex_product, rtol=0, atol=1e-13)
    gradient = torch.randn_like(y_hat)
    g_x, g_weight = torch.autograd.grad(y_hat, (x_hat, weight), gradient)
    torch.testing.assert_close(mix_adjoint_definition(gradient, weight), g_x, rtol=0, atol=1e-13)
    torch.testing.assert_close(weight_gradient_definition(x_hat, gradient), g_weight, rtol=0, atol=1e-13)


@each_dtype
@both_tiles
@pytest.mark.parametrize("extras", [(), ("skip",), ("bias",), ("gelu", "keep"), ("skip", "bias", "gelu", "keep")])
@pytest.mark.parametrize(
    ("B", "S", "J", "N", "INNER", "OUTER"), [(1, 1, 2, 1, 1, 1), (2, 3, 20, 19, 18, 17), (3, 1, 4, 33, 3, 35)]
)
def test_a_synthesis_with_all_that_follows_it(
    B: int,
    S: int,
    J: int,
    N: int,
    INNER: int,
    OUTER: int,
    extras: tuple[str, ...],
    smallest: bool,
    dtype: torch.dtype,
) -> None:
    y_hat, matrix, x = (
        random(S, J, B, OUTER, dtype=dtype, requires_grad=False),
        random(J, N, dtype=dtype, requires_grad=False),
        random(B, INNER, S, N, dtype=dtype, requires_grad=False),
    )
    # Transposed, as the backward pass gives it.
    skip = random(INNER, OUTER, dtype=dtype, requires_grad=False).T if "skip" in extras else None
    bias = random(OUTER, dtype=dtype, requires_grad=False) if "bias" in extras else None
    flags = {"gelu": "gelu" in extras, "keep": "keep" in extras}
    given = (y_hat, matrix, None if skip is None else x, skip, bias)
    y, pre = synthesise(*given, **flags, blocks=blocks("synthesis", smallest, O=OUTER, N=N, J=J, I=INNER))

    def definition(*tensors: Any) -> tuple[Tensor, Tensor | None]:
        return synthesise_definition(*tensors, **flags)

    assert_computes(y, definition, *given, pick=0)
    assert (pre is None) == ("keep" not in extras)
    if pre is not None:
        assert_computes(pre, definition, *given, pick=1)


@each_dtype
@pytest.mark.parametrize(("points", "modes"), [((13,), (6,)), ((7, 9), (2, 4)), ((4, 5, 6), (2, 2, 3))])
def test_the_transforms_of_all_axes_are_those_of_the_other_backend(
    points: tuple[int, ...], modes: tuple[int, ...], dtype: torch.dtype
) -> None:
    x = random(3, 2, *points, dtype=dtype, requires_grad=False)
    there, back = analysis(points, modes, x), synthesis(points, modes, x)
    x_hat, same = analyse(x, there)
    assert same.data_ptr() == x.data_ptr()
    # Parts first here, after the wavenumbers there; channels first here, last there.
    axes = len(points)

    def definition(x: Tensor) -> Tensor:
        return analyse_definition(x.movedim(1, -1), analysis(points, modes, x)).movedim(axes, 0)

    assert_computes(x_hat, definition, x)
    y_hat = random(*x_hat.shape, dtype=dtype, requires_grad=False)
    y, _ = synthesise(spread(y_hat, back), back[-1])

    def backward(y_hat: Tensor) -> Tensor:
        y = synthesise_all_axes(y_hat.movedim(0, axes), synthesis(points, modes, y_hat)).movedim(-1, 1)
        return y.reshape(3, 2, -1, points[-1])

    assert_computes(y, backward, y_hat)


def test_every_mode_of_a_smooth_field_comes_out_in_single_precision() -> None:
    """With a spectrum `k^-4` the last of 16 modes is 65 000 times weaker than the first; its error must stay below the
    rounding of the whole field, 2^-23 of its size. Products of eleven bits miss it 3000 times over. On a card operands
    are two numbers of eleven bits each, which is 2^-22.
    """
    N, K = 512, 16
    n, k = torch.arange(N, dtype=torch.float64), torch.arange(1, K + 1, dtype=torch.float64)
    amplitude, phase = k**-4.0, torch.rand(K, dtype=torch.float64) * 2 * math.pi
    field = (amplitude * torch.cos(2 * math.pi * n[:, None] * k / N + phase)).sum(-1)
    x = field.float().to(DEVICE)[None, None]
    x_hat, _ = analyse(x, analysis((N,), (K,), x))
    found = torch.complex(*x_hat[:, 1:, 0, 0].double().cpu())
    error = (found - torch.polar(amplitude / 2, phase)).abs()
    rounding = 2.0 ** (-22 if DEVICE == "cuda" else -23)
    assert (error <= rounding * field.abs().max()).all(), error


def test_tiles_are_powers_of_two_that_cover_every_dimension() -> None:
    for size in (1, 15, 16, 17, 63, 64, 65, 1000):
        chosen = config("synthesis", O=size, N=size, J=size, I=size)
        for name, block in chosen.items():
            if name.startswith("BLOCK"):
                assert block >= 16
                assert block & (block - 1) == 0
                assert 0 <= tiles(size, block) * block - size < block
    with pytest.raises(ValueError, match=r"mix has dimensions \['B', 'I', 'O'\], got \['B'\]"):
        config("mix", B=3)

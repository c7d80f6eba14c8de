"""The block on Triton kernels is the block: same values, same derivatives of every order, the same bits every time."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from triton_helpers import DEVICE, WIDEST, assert_same, gradients, operands, poison, runnable

from rollwave.kernels.dft_block import dft_block
from rollwave.kernels.triton_block import matrices, spectral_block, triton_block

pytestmark = runnable
# Points, modes, batch and channels: odd, prime, the Nyquist wavenumber, smaller and larger than a tile.
CASES: list[tuple[tuple[int, ...], tuple[int, ...], int, int, int]] = [
    ((13,), (6,), 3, 3, 17),
    ((12,), (6,), 1, 17, 3),
    ((5,), (0,), 1, 1, 1),
    ((67,), (4,), 1, 3, 3),
    ((7, 9), (2, 4), 3, 1, 3),
    ((8, 6), (4, 3), 1, 3, 1),
    ((4, 5, 6), (2, 2, 3), 1, 3, 2),
]
NONE, ALL = (False, False, False), (True, True, True)
# Every combination of skip, bias and GELU, and in three dimensions, which take the interpreter longest, the extremes.
VARIANTS = [
    (*case, *extras)
    for case in CASES
    for extras in (itertools.product((False, True), repeat=3) if len(case[0]) < 3 else (NONE, ALL))
]


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(("points", "modes", "batch", "inner", "outer", "skip", "bias", "gelu"), VARIANTS)
def test_value_and_gradients_are_those_of_the_other_backend(
    points: tuple[int, ...],
    modes: tuple[int, ...],
    batch: int,
    inner: int,
    outer: int,
    skip: bool,
    bias: bool,
    gelu: bool,
) -> None:
    tensors = operands(points, modes, batch, inner, outer, skip, bias)
    x, weight, b, s = tensors
    ours, exact = (block(x, weight, modes, b, s, gelu, points) for block in (triton_block, dft_block))
    direction = torch.randn_like(exact)
    assert ours.is_contiguous()
    assert_same([ours, *gradients(ours, tensors, direction)], [exact, *gradients(exact, tensors, direction)])


@pytest.mark.parametrize(("points", "modes", "batch", "inner", "outer"), CASES)
def test_single_precision_is_single_precision(
    points: tuple[int, ...], modes: tuple[int, ...], batch: int, inner: int, outer: int
) -> None:
    tensors = operands(points, modes, batch, inner, outer, True, True, torch.float32)
    double = [t.detach().double().requires_grad_() for t in tensors if t is not None]
    x, weight, b, s = tensors
    ours = triton_block(x, weight, modes, b, s, True, points)
    exact = dft_block(double[0], double[1], modes, double[2], double[3], True, points)
    direction = torch.randn_like(exact)
    found = [ours, *gradients(ours, tensors, direction.float())]
    assert_same(found, [exact, *gradients(exact, double, direction)])


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(
    ("points", "modes", "out"), [((12,), (4,), (17,)), ((7, 9), (3, 3), (8, 6)), ((4, 5, 6), (2, 2, 2), (5, 4, 7))]
)
def test_the_result_may_be_evaluated_on_another_grid(
    points: tuple[int, ...], modes: tuple[int, ...], out: tuple[int, ...]
) -> None:
    tensors = operands(points, modes, 2, 3, 2, False, True)
    x, weight, b, _ = tensors
    ours, exact = (block(x, weight, modes, b, None, True, out) for block in (triton_block, dft_block))
    direction = torch.randn_like(exact)
    assert_same([ours, *gradients(ours, tensors, direction)], [exact, *gradients(exact, tensors, direction)])


def test_two_runs_give_the_same_bits() -> None:
    tensors = operands((7, 9), (2, 4), 3, 17, 3, True, True, torch.float32)
    x, weight, b, s = tensors
    direction = torch.randn(3, 3, 7, 9, device=DEVICE)

    def run() -> list[Tensor]:
        y = triton_block(x, weight, (2, 4), b, s, True, (7, 9))
        return [y, *gradients(y, tensors, direction)]

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


def test_tensors_may_lie_in_memory_in_any_way() -> None:
    tensors = operands((6, 5), (2, 2), 2, 3, 4, True, True)
    direction = torch.randn(2, 6, 5, 4, dtype=WIDEST, device=DEVICE).movedim(-1, 1)
    x, weight, b, s = (t for t in tensors if t is not None)
    last, turned = x.movedim(1, -1).contiguous().movedim(-1, 1), weight.transpose(1, 2).contiguous().transpose(1, 2)
    apart, across = torch.stack((b, b), 1)[:, 0], s.T.contiguous().T
    assert not any(t.is_contiguous() for t in (last, turned, apart, across, direction))
    y = triton_block(last, turned, (2, 2), apart, across, True, (6, 5))
    plain = triton_block(x, weight, (2, 2), b, s, True, (6, 5))
    ours, theirs = gradients(y, tensors, direction), gradients(plain, tensors, direction.contiguous())
    assert_same([y, *ours], [plain, *theirs])


def test_only_what_a_backward_pass_needs_is_kept() -> None:
    x, weight, b, s = operands((9,), (3,), 2, 3, 3, True, True)
    there, back = (matrices(x, (9,), (3,), way) for way in (False, True))
    kept = {keep: spectral_block(x, weight, b, s, there, back, True, keep, "tf32x3") for keep in (False, True)}
    assert [t.numel() for t in kept[False][1:]] == [0, 0]
    assert [tuple(t.shape) for t in kept[True][1:]] == [(2, 3, 9), (2, 4, 2, 3)]
    assert torch.equal(kept[False][0], kept[True][0])
    assert not kept[True][1].requires_grad
    with pytest.raises(RuntimeError, match="keep=False"):
        kept[False][0].sum().backward()


def test_it_maps_over_a_batch_of_weights_and_differentiates_forward() -> None:
    x, weight, _, _ = operands((9,), (3,), 2, 3, 2, False, False)
    assert x is not None
    assert weight is not None
    several = torch.stack((weight, 2 * weight, -weight)).detach()
    y = torch.func.vmap(lambda w: triton_block(x, w, (3,), None, None, False, (9,)))(several)
    assert_same([y[1]], [triton_block(x, several[1], (3,), None, None, False, (9,))])
    tangent = torch.randn_like(weight)
    _, dy = torch.func.jvp(lambda w: triton_block(x, w, (3,), None, None, True, (9,)), (weight.detach(),), (tangent,))
    _, expected = torch.func.jvp(
        lambda w: dft_block(x, w, (3,), None, None, True, (9,)), (weight.detach(),), (tangent,)
    )
    assert_same([dy], [expected])


def test_second_derivatives_are_those_of_the_other_backend() -> None:
    tensors = operands((5, 6), (2, 2), 2, 3, 2, True, True)
    x, weight, b, s = tensors

    def penalty(block: Any) -> list[Tensor]:
        y = block(x, weight, (2, 2), b, s, True, (5, 6))
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return list(torch.autograd.grad(slope.square().sum(), [t for t in tensors if t is not None]))

    assert_same(penalty(triton_block), penalty(dft_block))


def test_what_it_cannot_do_is_refused() -> None:
    x, weight, b, s = operands((9,), (3,), 2, 3, 3, True, True, torch.float32)
    with pytest.raises(ValueError, match=r"a local map keeps the grid \(9,\), got out_shape \(10,\)"):
        triton_block(x, weight, (3,), b, s, True, (10,))
    with pytest.raises(ValueError, match=r"axis 0 has 9 points but 5 modes"):
        triton_block(x, weight, (5,), b, s, True, (9,))

"""The spectral convolution is the sum that defines it: on every grid, in every dimension, with every derivative."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rollwave.kernels import spectral_conv, truncated_irfft, truncated_rfft, weight_shape

# Grid and modes: even and odd, more points than needed and exactly 2 K (the Nyquist bin is used) on either axis.
CASES = [
    ((16,), (5,)),
    ((13,), (6,)),
    ((12,), (6,)),
    ((5,), (0,)),
    ((9, 11), (3, 4)),
    ((8, 7), (4, 3)),
    ((7, 8), (3, 4)),
    ((8, 6), (4, 3)),
    ((5, 6, 7), (2, 2, 2)),
    ((4, 4, 4), (2, 2, 2)),
]


def complete(points: tuple[int, ...], modes: tuple[int, ...]) -> bool:
    """Whether the modes carry every function on the grid."""
    return all(N in (2 * K, 2 * K + 1) for N, K in zip(points, modes, strict=True))


def random_case(points: tuple[int, ...], modes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(2, 3, *points, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(weight_shape(3, 2, modes), dtype=torch.float64, requires_grad=True)
    return x, weight, torch.randn(2, dtype=torch.float64, requires_grad=True)


def definition_sum(
    x: Tensor, weight: Tensor, modes: tuple[int, ...], bias: Tensor, out_shape: tuple[int, ...]
) -> Tensor:
    """The formula of `spectral_conv`, one wavenumber of the whole box at a time, without any FFT."""
    points, W = x.shape[2:], torch.view_as_complex(weight)
    space = "xyz"[: len(modes)]

    def wave(k: tuple[int, ...], grid: tuple[int, ...]) -> Tensor:
        phases = [2 * math.pi * k_j * torch.arange(N, dtype=x.dtype) / N for k_j, N in zip(k, grid, strict=True)]
        total = sum(p.reshape(-1, *[1] * (len(k) - 1 - j)) for j, p in enumerate(phases))
        return torch.polar(torch.ones_like(total), total)

    y = torch.zeros(x.shape[0], weight.shape[-2], *out_shape, dtype=torch.complex128)
    for k in itertools.product(*(range(-K, K + 1) for K in modes)):
        share = math.prod(0.5 if 2 * abs(k_j) == N else 1.0 for k_j, N in zip(k, points, strict=True))
        coefficient = share / math.prod(points) * torch.einsum(f"bi{space},{space}->bi", x + 0j, wave(k, points).conj())
        minus = tuple(-k_j for k_j in k)
        if k[-1] > 0:
            matrix = W[k]
        elif k[-1] < 0:
            matrix = W[minus].conj()
        else:
            matrix = (W[k] + W[minus].conj()) / 2
        y = y + torch.einsum("bi,io->bo", coefficient, matrix).reshape(*y.shape[:2], *[1] * len(k)) * wave(k, out_shape)
    assert y.imag.abs().max() < 1e-10
    return y.real + bias.reshape(-1, *[1] * len(modes))


@pytest.mark.parametrize("backend", ["dft", "fft"])
@pytest.mark.parametrize(("points", "modes"), CASES)
def test_value_and_gradients_are_those_of_the_sum(
    points: tuple[int, ...], modes: tuple[int, ...], backend: str
) -> None:
    x, weight, bias = random_case(points, modes)
    y = spectral_conv(x, weight, modes, bias=bias, backend=backend)
    expected = definition_sum(x, weight, modes, bias, points)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    direction = torch.randn_like(y)
    ours = torch.autograd.grad((y * direction).sum(), (x, weight, bias))
    theirs = torch.autograd.grad((expected * direction).sum(), (x, weight, bias))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12 * math.prod(points))


@pytest.mark.parametrize("backend", ["dft", "fft"])
@pytest.mark.parametrize("out_shape", [(12, 14), (9, 7), (6, 6), (17, 8)])
def test_the_result_may_be_evaluated_on_another_grid(out_shape: tuple[int, ...], backend: str) -> None:
    x, weight, bias = random_case((8, 9), (3, 3))
    y = spectral_conv(x, weight, (3, 3), bias=bias, out_shape=out_shape, backend=backend)
    torch.testing.assert_close(y, definition_sum(x, weight, (3, 3), bias, out_shape), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("coarse", "factor"), [(12, 2), (12, 3), (13, 3), (15, 2)])
def test_the_map_is_the_same_on_every_grid_that_carries_the_modes(coarse: int, factor: int) -> None:
    modes = (6, 6)
    fine_grid, coarse_grid = (factor * coarse,) * 2, (coarse,) * 2
    _, weight, bias = random_case((1, 1), modes)
    u_hat = truncated_rfft(torch.randn(2, 3, 12, 12, dtype=torch.float64), modes)
    on_coarse = spectral_conv(truncated_irfft(u_hat, coarse_grid), weight, modes, bias=bias)
    on_fine = spectral_conv(truncated_irfft(u_hat, fine_grid), weight, modes, bias=bias)
    torch.testing.assert_close(on_fine[..., ::factor, ::factor], on_coarse, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("points", "modes"), [case for case in CASES if complete(*case)])
def test_a_round_trip_keeps_every_band_limited_function(points: tuple[int, ...], modes: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *points, dtype=torch.float64)
    torch.testing.assert_close(truncated_irfft(truncated_rfft(x, modes), points), x, rtol=0, atol=1e-13)


def test_what_no_real_function_has_is_ignored() -> None:
    x, weight, _ = random_case((10, 8), (4, 4))
    k_1 = 2
    garbage = torch.zeros_like(weight)
    # At k_2 = 0 only (W_k + conj W_-k) / 2 acts; this adds nothing to it.
    garbage[k_1, 0, ..., 0], garbage[-k_1, 0, ..., 0] = 5.0, -5.0
    garbage[k_1, 0, ..., 1], garbage[-k_1, 0, ..., 1] = 7.0, 7.0
    garbage[0, 0, ..., 1] = 9.0
    difference = spectral_conv(x, weight + garbage, (4, 4)) - spectral_conv(x, weight, (4, 4))
    assert difference.abs().max() < 1e-12


@pytest.mark.parametrize("points", [(9, 9), (8, 8)])
def test_the_inverse_transform_only_sees_what_a_real_function_has(
    points: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries differ in what they make of an imaginary part at wavenumber zero or N/2, so there must be none."""
    transform, seen = torch.fft.irfft, []

    def checked(u_hat: Tensor, n: int, **arguments: Any) -> Tensor:
        seen.append(u_hat[..., 0].imag.abs().max())
        if n == 2 * (u_hat.shape[-1] - 1):
            seen.append(u_hat[..., -1].imag.abs().max())
        return transform(u_hat, n=n, **arguments)

    monkeypatch.setattr(torch.fft, "irfft", checked)
    x, weight, _ = random_case(points, (4, 4))
    spectral_conv(x, weight, (4, 4), backend="fft")
    assert len(seen) == 1 + (points == (8, 8))
    assert max(seen) == 0


@pytest.mark.parametrize(("points", "modes"), [((7,), (3,)), ((6,), (3,)), ((5, 4), (2, 2)), ((3, 4, 2), (1, 2, 1))])
def test_first_and_second_derivatives_pass_gradcheck(points: tuple[int, ...], modes: tuple[int, ...]) -> None:
    x = torch.randn(1, 2, *points, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(weight_shape(2, 1, modes), dtype=torch.float64, requires_grad=True)
    bias = torch.randn(1, dtype=torch.float64, requires_grad=True)

    def op(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return spectral_conv(x, weight, modes, bias=bias)

    assert torch.autograd.gradcheck(op, (x, weight, bias), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(op, (x, weight, bias), fast_mode=True)


def test_forward_mode_is_the_transpose_of_reverse_mode() -> None:
    x, weight, _ = random_case((9, 8), (3, 4))
    dx, dw = torch.randn_like(x), torch.randn_like(weight)
    y, dy = torch.func.jvp(lambda x, w: spectral_conv(x, w, (3, 4)), (x.detach(), weight.detach()), (dx, dw))
    v = torch.randn_like(y)
    gx, gw = torch.autograd.grad((spectral_conv(x, weight, (3, 4)) * v).sum(), (x, weight))
    assert (dy * v).sum().item() == pytest.approx(((gx * dx).sum() + (gw * dw).sum()).item(), rel=1e-12)


def test_it_maps_over_a_batch_of_weights() -> None:
    x, _, _ = random_case((9,), (3,))
    weights = torch.randn(4, *weight_shape(3, 2, (3,)), dtype=torch.float64)
    y = torch.func.vmap(lambda w: spectral_conv(x, w, (3,)))(weights)
    torch.testing.assert_close(y[2], spectral_conv(x, weights[2], (3,)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weights_too", [False, True])
def test_low_precision_input_is_transformed_in_float32(dtype: torch.dtype, weights_too: bool) -> None:
    x = torch.randn(2, 3, 15).to(dtype)
    weight = torch.randn(weight_shape(3, 2, (6,)))
    weight = weight.to(dtype) if weights_too else weight
    y = spectral_conv(x, weight, (6,))
    assert y.dtype == dtype
    assert torch.equal(y, spectral_conv(x.float(), weight.float(), (6,)).to(dtype))


def test_autocast_does_not_reach_the_transforms() -> None:
    x, weight = torch.randn(2, 3, 15, 8), torch.randn(weight_shape(3, 2, (6, 4)))
    with torch.autocast("cpu", torch.bfloat16):
        y = spectral_conv(x, weight, (6, 4))
    assert torch.equal(y, spectral_conv(x, weight, (6, 4)))


def test_errors_name_what_was_expected_and_what_came() -> None:
    x, weight, _ = random_case((9, 10), (3, 5))
    with pytest.raises(ValueError, match=r"axis 1 has 9 points but 5 modes; it needs at least 10 points, or at most 4"):
        spectral_conv(x[..., :9], weight, (3, 5))
    with pytest.raises(ValueError, match=r"axis 0 has 5 points"):
        spectral_conv(x, weight, (3, 5), out_shape=(5, 10))
    with pytest.raises(ValueError, match=r"weight must be .* \(7, 6, 2, 2, 2\).*got \(7, 6, 3, 2, 2\)"):
        spectral_conv(x[:, :2], weight, (3, 5))
    with pytest.raises(ValueError, match=r"1 space axes"):
        spectral_conv(x, weight, (3,))
    with pytest.raises(ValueError, match=r"bias must be \[2\]"):
        spectral_conv(x, weight, (3, 5), bias=torch.zeros(3))
    with pytest.raises(TypeError, match="complex128"):
        spectral_conv(x + 0j, weight, (3, 5))

"""Whole blocks: every formulation is the same map, with the same derivatives of every kind."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rollwave.kernels import pointwise, pointwise_mlp, spectral_conv, weight_shape
from rollwave.kernels.choice import choose
from rollwave.kernels.explain import explain
from rollwave.kernels.truncated_dft import analyse, analysis, synthesis, synthesise
from rollwave.operators import FNO
from rollwave.operators.layers import PART, in_parts

GRIDS = [((13,), (4,)), ((8,), (4,)), ((7, 9), (3, 2)), ((4, 6, 5), (2, 3, 1))]


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def block_of(points: tuple[int, ...], modes: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Field, weights, bias and skip."""
    return numbers(3, 2, *points), numbers(*weight_shape(2, 3, modes)), numbers(3), numbers(3, 2)


def composed(x: Tensor, weight: Tensor, bias: Tensor, skip: Tensor, modes: tuple[int, ...]) -> Tensor:
    y = spectral_conv(x, weight, modes, backend="fft") + torch.einsum("oi,bi...->bo...", skip, x)
    return F.gelu(y + bias.reshape(-1, *[1] * len(modes)))


@pytest.mark.parametrize("backend", ["dft", "fft"])
@pytest.mark.parametrize(("points", "modes"), GRIDS)
def test_a_block_is_its_parts_in_value_and_gradient(
    points: tuple[int, ...], modes: tuple[int, ...], backend: str
) -> None:
    x, weight, bias, skip = block_of(points, modes)
    y = spectral_conv(x, weight, modes, bias=bias, skip=skip, act="gelu", backend=backend)
    expected = composed(x, weight, bias, skip, modes)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)
    direction = torch.randn_like(expected)
    for mine, other in zip(
        *(torch.autograd.grad((f * direction).sum(), (x, weight, bias, skip)) for f in (y, expected)), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("points", [(6,), (5,), (3, 4)])
@pytest.mark.parametrize("act", [None, "gelu"])
def test_a_block_passes_gradcheck_of_both_orders_and_forwards(points: tuple[int, ...], act: str | None) -> None:
    modes = tuple(n // 2 for n in points)
    tensors = block_of(points, modes)

    def block(x: Tensor, weight: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
        return spectral_conv(x, weight, modes, bias=bias, skip=skip, act=act, backend="dft")

    assert torch.autograd.gradcheck(block, tensors, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(block, tensors, fast_mode=True)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("act", [None, "gelu"])
def test_a_pointwise_network_is_its_parts_with_derivatives_of_both_orders(gated: bool, act: str | None) -> None:
    x, first, second = numbers(2, 3, 4, 5), (numbers(7, 3), numbers(7)), (numbers(2, 7), numbers(2))
    more = {"gate": numbers(2), "source": numbers(2, 2, 4, 5)} if gated else {}

    def network(x: Tensor, *weights: Tensor) -> Tensor:
        extra = dict(zip(more, weights[4:], strict=True))
        return pointwise_mlp(x, *weights[:4], **extra, act=act)

    tensors = (x, *first, *second, *more.values())
    expected = pointwise(F.gelu(pointwise(x, *first)), *second)
    expected = expected + more["gate"][:, None, None] * more["source"] if gated else expected
    expected = F.gelu(expected) if act else expected
    torch.testing.assert_close(network(*tensors), expected, rtol=0, atol=1e-13)
    assert torch.autograd.gradcheck(network, tensors, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(network, tensors, fast_mode=True)


@pytest.mark.parametrize(("points", "modes"), GRIDS)
def test_synthesis_is_the_transpose_of_analysis(points: tuple[int, ...], modes: tuple[int, ...]) -> None:
    v = torch.randn(2, *points, 3, dtype=torch.float64)
    for matrices in (analysis(points, modes, v), synthesis(points, modes, v)):
        v_hat = analyse(v, matrices)
        w_hat = torch.randn_like(v_hat)
        assert (v_hat * w_hat).sum().item() == pytest.approx((v * synthesise(w_hat, matrices)).sum().item(), rel=1e-10)


def test_no_mode_of_a_smooth_field_is_lost_in_float32() -> None:
    """Coefficients of a `k^-4` field are as right as those of a fast transform, each measured by its own size."""
    points, modes = (256,), (16,)
    k = torch.arange(1, 17, dtype=torch.float64)
    x = torch.arange(256, dtype=torch.float64)[:, None] * (2 * torch.pi / 256)
    v = (k**-4 * torch.cos(x * k + k)).sum(1).reshape(1, 256, 1)
    exact, found = (analyse(u, analysis(points, modes, u))[1:, :, 0, 0].double() for u in (v, v.float()))
    fast = torch.view_as_real(torch.fft.rfft(v.float().flatten(), norm="forward")[1:17]).double()
    errors = [((u - exact).norm(dim=1) / exact.norm(dim=1)).max() for u in (found, fast)]
    assert errors[0] < 10 * errors[1]


def test_a_network_takes_samples_in_parts_without_changing_the_map() -> None:
    operator = FNO(1, 2, width=4, modes=(3,), depth=2).double()
    u = torch.randn(5, 1, 12, dtype=torch.float64)
    sample = 4 * 12 * u.element_size()
    calls: list[int] = []

    def network(part: Tensor) -> Tensor:
        calls.append(len(part))
        return operator(part)

    torch.testing.assert_close(in_parts(network, u, PART // sample * 4), operator(u), rtol=0, atol=1e-14)
    assert len(calls) > 1
    assert sum(calls) == 5


def test_the_choice_follows_the_table_and_may_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert choose(cpu, (128, 4)).backend == "dft"
    assert choose(cpu, (4, 129)).backend == "fft"
    assert choose(torch.device("meta"), (4,)).backend == "fft"
    # What has never run on a card is not what a card gets unasked.
    assert choose(torch.device("cuda"), (4,)).backend == "dft"
    assert choose(torch.device("cuda"), (4,), "triton").backend == "triton"
    monkeypatch.setenv("ROLLWAVE_BACKEND", "fft")
    assert choose(cpu, (4,)).backend == "fft"
    assert choose(cpu, (4,), "dft").backend == "dft"
    with pytest.raises(ValueError, match="backend must be auto or one of dft, fft, triton, got 'cufft'"):
        choose(cpu, (4,), "cufft")


def test_the_explanation_names_the_choice_and_its_cost() -> None:
    told = explain(16, 64, (64, 64), (12, 12), "cpu")
    assert told.startswith("dft on cpu: 12 wavenumbers")
    # 16 * 64 * 64^2 numbers of four bytes.
    assert "one field 16 MiB" in told
    assert "weights 10.2 MiB" in told


def test_a_skip_needs_the_grid_of_its_field_and_an_activation_a_name() -> None:
    x, weight, bias, skip = block_of((9,), (3,))
    with pytest.raises(ValueError, match=r"skip must be \[out, in\] = \(3, 2\).*got \(3, 2\) and \(12,\)"):
        spectral_conv(x, weight, (3,), skip=skip, out_shape=(12,))
    with pytest.raises(ValueError, match=r"skip must be \[out, in\]"):
        spectral_conv(x, weight, (3,), skip=skip.T)
    with pytest.raises(ValueError, match="act must be None or \"gelu\", got 'relu'"):
        spectral_conv(x, weight, (3,), bias=bias, act="relu")
    with pytest.raises(ValueError, match="precision must be one of tf32x3, tf32, ieee, got 'bf16'"):
        spectral_conv(x, weight, (3,), precision="bf16")

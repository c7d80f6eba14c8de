"""Losses on fields whose norms are known."""

import math

import pytest
import torch
from torch import Tensor

from rollwave.training import BandWeighted, RelativeH1, RelativeL2

ALL = [RelativeL2(), RelativeH1(), BandWeighted((1.0, 2.0, 3.0))]


def wave(*k: int, points: int = 16, channels: int = 1, batch: int = 2) -> Tensor:
    """`cos(k . x)` on `[0, 2 pi)^d`, in float64."""
    x = 2 * math.pi * torch.arange(points, dtype=torch.float64) / points
    phase = sum(n * axis for n, axis in zip(k, torch.meshgrid(*[x] * len(k), indexing="ij"), strict=True))
    return torch.cos(phase).expand(batch, channels, *[points] * len(k)).clone()


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_a_loss_is_relative_and_zero_at_the_target(loss) -> None:
    p, u = torch.randn(2, 3, 2, 12, 12, dtype=torch.float64)
    assert loss(p, u).shape == (3,)
    assert torch.allclose(loss(7 * p, 7 * u), loss(p, u), rtol=1e-12)
    assert torch.equal(loss(u, u) < 1e-100, torch.tensor([True] * 3))


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_the_slope_at_the_target_is_finite(loss) -> None:
    u = torch.randn(2, 1, 16)
    p = u.clone().requires_grad_()
    loss(p, u).sum().backward()
    assert torch.isfinite(p.grad).all()


def test_l2_is_the_ratio_of_the_norms() -> None:
    u, e = wave(1), 0.3 * wave(5)
    assert torch.allclose(RelativeL2()(u + e, u), torch.full((2,), 0.3, dtype=torch.float64), rtol=1e-12)


@pytest.mark.parametrize(("k", "n"), [((2,), (5,)), ((1, 2), (3, -4)), ((1,), (8,))])
def test_h1_weighs_a_wave_by_one_plus_its_wavenumber_squared(k: tuple[int, ...], n: tuple[int, ...]) -> None:
    u, e = wave(*k), 0.1 * wave(*n)
    norm = (1 + sum(i * i for i in n)) * (e**2).sum() / ((1 + sum(i * i for i in k)) * (u**2).sum())
    assert torch.allclose(RelativeH1()(u + e, u), norm.sqrt().expand(2), rtol=1e-12)


def test_h1_takes_the_lengths_of_the_box() -> None:
    u, e, L = wave(1), wave(3), 5.0
    square = lambda n: 1 + (2 * math.pi * n / L) ** 2  # noqa: E731
    expected = torch.full((2,), math.sqrt(square(3) / square(1)), dtype=torch.float64)
    assert torch.allclose(RelativeH1((L,))(u + e, u), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="2 axes"):
        RelativeH1((L,))(wave(1, 1), wave(1, 1))


@pytest.mark.parametrize("points", [15, 16])
def test_equal_weights_of_one_are_l2(points: int) -> None:
    p, u = torch.randn(2, 3, 2, points, points, dtype=torch.float64)
    assert torch.allclose(BandWeighted()(p, u), RelativeL2()(p, u), rtol=1e-12)


@pytest.mark.parametrize(
    ("k", "band"), [((1,), 0), ((2,), 0), ((3,), 1), ((5,), 1), ((6,), 2), ((8,), 2), ((1, 7), 2), ((-4, 0), 1)]
)
def test_an_error_is_weighed_by_the_third_that_its_wavenumber_lies_in(k: tuple[int, ...], band: int) -> None:
    """On 16 points the Nyquist wavenumber is 8 and the thirds end at 2.67, 5.33 and 8."""
    u, e = wave(*[1] * len(k)), 0.1 * wave(*k)
    weights = (4.0, 9.0, 25.0)
    expected = RelativeL2()(u + e, u) * math.sqrt(weights[band])
    assert torch.allclose(BandWeighted(weights)(u + e, u), expected, rtol=1e-12)


def test_weights_that_mean_nothing_are_refused() -> None:
    for weights in ((1.0, 1.0), (0.0, 0.0, 0.0), (1.0, -1.0, 1.0)):
        with pytest.raises(ValueError, match="three non-negative"):
            BandWeighted(weights)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_bfloat16_predictions_are_measured_in_float32(loss) -> None:
    p, u = torch.randn(2, 2, 1, 16)
    p = p.bfloat16()
    value = loss(p, u)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(p.float(), u))

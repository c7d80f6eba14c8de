"""Spectra: pure modes, Parseval, bands."""

import math

import pytest
import torch
from torch import Tensor

from rollwave.evaluation import metrics, spectra


def mode(points: tuple[int, ...], wavenumbers: tuple[int, ...], amplitude: float = 1.0) -> Tensor:
    """`amplitude * cos(k . x)` on the periodic box of side `2 pi`."""
    axes = [2 * math.pi * torch.arange(n, dtype=torch.float64) / n for n in points]
    phase = sum(k * x for k, x in zip(wavenumbers, torch.meshgrid(*axes, indexing="ij"), strict=True))
    return amplitude * torch.cos(torch.as_tensor(phase))


@pytest.mark.parametrize(
    ("points", "wavenumbers", "shell"),
    [
        ((16,), (3,), 3),
        ((16, 16), (3, 4), 5),
        ((16, 16), (2, 2), 3),
        ((12, 16), (0, 2), 2),
        ((8, 8, 8), (2, 2, 1), 3),
        ((9,), (4,), 4),
    ],
)
def test_a_cosine_has_a_quarter_of_its_amplitude_squared_in_its_own_shell(
    points: tuple[int, ...], wavenumbers: tuple[int, ...], shell: int
) -> None:
    spectrum = spectra.energy_spectrum(mode(points, wavenumbers, 2.0)[None, None, None])[0, 0, 0]
    expected = torch.zeros_like(spectrum)
    expected[shell] = 1.0  # 2^2 / 4
    torch.testing.assert_close(spectrum, expected)


def test_a_constant_is_all_mean_and_the_nyquist_mode_is_counted_once() -> None:
    assert spectra.energy_spectrum(torch.full((1, 1, 1, 8), 3.0))[0, 0, 0].tolist() == pytest.approx([4.5, 0, 0, 0, 0])
    saw = torch.tensor([1.0, -1.0] * 4)[None, None, None]
    assert spectra.energy_spectrum(saw)[0, 0, 0].tolist() == pytest.approx([0, 0, 0, 0, 0.5])


@pytest.mark.parametrize("points", [(16,), (15,), (8, 10), (6, 5, 4)])
def test_shells_add_up_to_the_mean_energy(points: tuple[int, ...]) -> None:
    u = torch.randn(2, 3, 2, *points, dtype=torch.float64)
    torch.testing.assert_close(
        spectra.energy_spectrum(u).sum(-1), u.square().flatten(3).mean(-1) / 2, rtol=1e-12, atol=0
    )


def test_bands_are_thirds_of_the_logarithm() -> None:
    low, mid, high = spectra.bands(33, (64,))  # 32^(1/3) = 3.17, 32^(2/3) = 10.08
    assert low.nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert mid.nonzero().flatten().tolist() == list(range(4, 11))
    assert high.nonzero().flatten().tolist() == list(range(11, 33))
    edge = spectra.bands(65, (128,))  # 4 and 16 exactly
    assert edge.low.nonzero().max() == 4
    assert edge.mid.nonzero().max() == 16


def test_band_error_names_the_scale_of_the_error() -> None:
    truth = mode((64,), (1,), 2.0)[None, None, None]
    error = mode((64,), (2,), 0.6) + mode((64,), (5,), 0.4) + mode((64,), (20,), 0.2)
    low, mid, high = spectra.band_error(truth + error, truth)
    assert [low.item(), mid.item(), high.item()] == pytest.approx([0.3, 0.2, 0.1])


@pytest.mark.parametrize("points", [(16,), (8, 12)])
def test_squares_of_the_bands_add_up_to_nrmse_squared(points: tuple[int, ...]) -> None:
    truth, prediction = torch.randn(2, 2, 3, 2, *points, dtype=torch.float64)
    total = sum(band.square() for band in spectra.band_error(prediction, truth))
    torch.testing.assert_close(total, metrics.nrmse(prediction, truth).square())


def test_spectrum_error_counts_factors_of_ten_in_its_band() -> None:
    truth = torch.ones(1, 1, 33, dtype=torch.float64)
    prediction = truth.clone()
    prediction[0, 0, :4] *= 100
    prediction[0, 0, 4] /= 10**7  # one of the seven shells of the middle
    low, mid, high = spectra.spectrum_error(prediction, truth, (64,))
    assert [low.item(), mid.item(), high.item()] == pytest.approx([2, 1, 0])


def test_spectrum_error_does_not_look_below_the_floor() -> None:
    truth = torch.tensor([[[1.0] + [1e-15] * 32]], dtype=torch.float64)
    prediction = torch.tensor([[[1.0] + [1e-25] * 31 + [1e-10]]], dtype=torch.float64)
    low, mid, high = spectra.spectrum_error(prediction, truth, (64,))
    assert [low.item(), mid.item(), high.item()] == pytest.approx([0, 0, 2 / 22])


def test_spectrum_of_a_shifted_field_is_right() -> None:
    truth = torch.randn(2, 5, 1, 32)
    shifted = spectra.mean_spectrum(truth.roll(7, -1))
    error = spectra.spectrum_error(shifted, spectra.mean_spectrum(truth), (32,))
    assert max(float(band.max()) for band in error) < 1e-9


def test_a_diverged_trajectory_is_infinitely_wrong_and_alone_in_it() -> None:
    truth = torch.randn(2, 4, 1, 16)
    prediction = truth.clone()
    prediction[0, 2:] = math.nan
    low, _, high = spectra.band_error(prediction, truth)
    assert low.tolist() == [[0, 0, math.inf, math.inf], [0] * 4]
    error = spectra.spectrum_error(spectra.mean_spectrum(prediction), spectra.mean_spectrum(truth), (16,))
    assert [band.tolist() for band in error] == [[math.inf, 0]] * 3
    assert not high.isnan().any()

"""Persistence, climatology and the perturbed solver."""

import math

import pytest
import torch
from torch import Tensor

from rollwave.evaluation import metrics
from rollwave.evaluation.baselines import Climatology, Persistence, PerturbedSolver, smooth_noise
from rollwave.solvers import Grid, KleinGordon, Linear, simulate

GRID = Grid((32,), (2 * math.pi,))
WAVES = KleinGordon(Linear(mass=1.0))


def waves(batch: int = 2, frames: int = 6) -> Tensor:
    u0 = WAVES.initial_condition(GRID, batch=batch, seed=3)
    return simulate(WAVES, GRID, u0, interval=0.25, frames=frames, dt=0.025)


def solver(amplitude: float, interval: float = 0.25, dt: float = 0.025, stride: int = 1) -> PerturbedSolver:
    return PerturbedSolver(WAVES, GRID, interval, dt=dt, stride=stride, amplitude=amplitude)


def test_persistence_repeats_the_last_frame_and_errs_as_much_as_the_truth_moves() -> None:
    history = torch.tensor([[[[5.0, 5.0]], [[3.0, 4.0]]]])
    prediction = Persistence()(history, 2)
    assert prediction.tolist() == [[[[3, 4]], [[3, 4]]]]
    truth = torch.tensor([[[[6.0, 8.0]], [[3.0, 4.0]]]])  # off by its half, then back
    assert metrics.nrmse(prediction, truth).tolist() == [[0.5, 0]]


def test_climatology_is_the_mean_with_vrmse_one_and_correlation_zero() -> None:
    truth = torch.tensor([[[[9.0, 11.0, 10.0], [-1.0, 0.0, 1.0]]]]).expand(2, 4, 2, 3)
    prediction = Climatology((10.0, 0.0))(truth[:, :1], 4)
    assert prediction.shape == truth.shape
    assert prediction[1, 2].tolist() == [[10] * 3, [0] * 3]
    torch.testing.assert_close(metrics.vrmse(prediction, truth), torch.ones(2, 4, dtype=torch.float64))
    assert metrics.correlation(prediction, truth).abs().max() == 0


def test_the_unperturbed_solver_is_the_truth() -> None:
    u = waves()
    torch.testing.assert_close(solver(0.0)(u[:, :1], 6), u[:, 1:], rtol=0, atol=1e-12)


def test_the_perturbed_solver_starts_from_the_last_input_frame() -> None:
    u = waves()
    torch.testing.assert_close(solver(0.0)(u[:, :3], 4), u[:, 3:], rtol=0, atol=1e-12)


def test_a_perturbation_has_its_size_and_stays_linear_where_the_equation_is() -> None:
    u = waves(frames=9)[:, 3:]  # both channels are in motion
    plain, once, twice = (solver(amplitude)(u[:, :1], 6) for amplitude in (0.0, 1e-4, 2e-4))
    torch.testing.assert_close(twice - plain, 2 * (once - plain), rtol=1e-6, atol=1e-12)
    # A step of 1e-9: the perturbation has not moved yet.
    still = solver(1e-4, interval=1e-9, dt=1e-9)(u[:, :1], 1) - u[:, :1]
    relative = still[:, 0].square().mean(-1).sqrt() / u[:, 0].square().mean(-1).sqrt()
    torch.testing.assert_close(relative, torch.full_like(relative, 1e-4), rtol=1e-3, atol=0)


def test_a_perturbation_does_not_depend_on_the_batch() -> None:
    u = waves(batch=3)
    torch.testing.assert_close(solver(1e-3)(u[:, :1], 2)[2:], solver(1e-3)(u[2:, :1], 2), rtol=0, atol=1e-13)


def test_a_stored_subsample_is_continued_on_the_grid_of_the_solver() -> None:
    u = waves()
    stored = u[..., ::2]
    prediction = solver(0.0, stride=2)(stored[:, :1], 6)
    torch.testing.assert_close(prediction, stored[:, 1:], rtol=0, atol=1e-10)


@pytest.mark.parametrize("points", [(32,), (16, 24), (8, 8, 8)])
def test_noise_has_zero_mean_unit_variance_and_large_scales(points: tuple[int, ...]) -> None:
    noise = smooth_noise(2, points, seed=0)
    space = tuple(range(1, noise.ndim))
    torch.testing.assert_close(noise.mean(space), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(noise.square().mean(space), torch.ones(2, dtype=torch.float64))
    noise_hat = torch.fft.fftn(noise, dim=space).abs()
    for axis, n in zip(space, points, strict=True):
        small = noise_hat.index_select(axis, torch.arange(n // 4, n - n // 4 + 1))
        assert small.max() < 1e-9 * noise_hat.max()

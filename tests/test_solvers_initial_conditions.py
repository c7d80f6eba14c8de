"""Random fields: functions of their generator, with the statistics that they state."""

import math

import pytest
import torch

from rollwave.solvers import (
    BandLimitedField,
    GaussianRandomField,
    Grid,
    InitialCondition,
    NonlinearSchrodinger,
    RandomComplexField,
    RandomFourierSeries,
    RandomSolitons,
    RandomWave,
    sample,
    trajectory_generators,
)

LINE, PLANE, SPACE = Grid((64,), (40.0,)), Grid((32, 48), (6.0, 9.0)), Grid((8, 9, 10), (1.0, 2.0, 3.0))
CASES = [
    (RandomFourierSeries(modes=5, decay=1.5, rms=0.3, mean=2.0), (LINE, PLANE), 1),
    (RandomFourierSeries(modes=3), (SPACE,), 1),
    (GaussianRandomField(alpha=2.0, tau=3.0, sigma=2.0, modes=7), (LINE, PLANE), 1),
    (BandLimitedField(low=3, high=6, rms=2.0), (LINE, PLANE), 1),
    (RandomComplexField(modes=4, rms=0.01, background=1.0), (LINE, PLANE), 2),
    (RandomSolitons(count=2, amplitude=(0.5, 0.8), turns=(-3, 3)), (LINE,), 2),
    (RandomWave(modes=4, rms=0.5, velocity_rms=0.2, mean=1.0), (LINE, PLANE), 2),
]
FIELDS = [
    pytest.param(field, grid, channels, id=f"{type(field).__name__}-{grid.ndim}d")
    for field, grids, channels in CASES
    for grid in grids
]


@pytest.mark.parametrize(("field", "grid", "channels"), FIELDS)
def test_a_field_is_the_same_function_on_every_grid(field, grid, channels):
    assert isinstance(field, InitialCondition)
    fine = Grid(tuple(3 * n for n in grid.points), grid.lengths)
    u, finer = (sample(field, g, batch=3, seed=11, first=5) for g in (grid, fine))
    assert u.shape == (3, channels, *grid.points)
    assert (finer[(..., *[slice(None, None, 3)] * grid.ndim)] - u).abs().max() < 4e-15 * max(1.0, u.abs().max().item())


@pytest.mark.parametrize(("field", "grid", "channels"), FIELDS)
def test_a_sample_is_the_same_in_every_batch(field, grid, channels):
    whole = sample(field, grid, batch=6, seed=3)
    assert torch.equal(whole[4:], sample(field, grid, batch=2, seed=3, first=4))
    assert len({tuple(row.tolist()) for row in whole.flatten(1)}) == 6
    assert not torch.equal(whole, sample(field, grid, batch=6, seed=4))


def test_trajectories_and_seeds_do_not_overlap():
    """Sample 1 of seed 0 is not sample 0 of seed 1, whatever the hash."""
    draws = {
        (seed, index): torch.randn(1, generator=generator).item()
        for seed in range(20)
        for index, generator in enumerate(trajectory_generators(seed, 0, 20))
    }
    assert len(set(draws.values())) == 400


@pytest.mark.parametrize("grid", [LINE, PLANE])
@pytest.mark.parametrize(
    ("field", "variance"),
    [
        (RandomFourierSeries(modes=5, decay=1.0, rms=0.3), 0.09),
        (BandLimitedField(low=3, high=6, rms=2.0), 4.0),
        (RandomComplexField(modes=4, rms=0.7), 0.49),
        (RandomWave(modes=4, rms=0.5, velocity_rms=0.2), 0.29),
    ],
)
def test_the_stated_root_mean_square_is_the_expected_one(field, variance, grid):
    u = sample(field, grid, batch=2000, seed=0)
    # Squares of Gaussian fields with tens of modes scatter by a few per cent of their mean over 2000 samples.
    assert u.square().sum(1).mean().item() == pytest.approx(variance, rel=0.06)
    assert u.mean((0, *range(2, u.ndim))).abs().max() < 1e-12


def test_the_gaussian_random_field_has_its_spectrum_in_wavenumbers():
    grid, field = Grid((32,), (5.0,)), GaussianRandomField(alpha=1.5, tau=2.0, sigma=3.0, modes=6)
    u = sample(field, grid, batch=4000, seed=0)
    power = (grid.rfft(u) / 32).abs().square().mean((0, 1))
    k = 2 * math.pi / 5.0 * torch.arange(1, 7)
    # A cosine of amplitude a has two coefficients a/2, and modes m and -m of the lattice both feed it: 2 sigma_m^2 / 2.
    expected = 9.0 * (k**2 + 4.0) ** -1.5
    assert (power[1:7] / expected - 1).abs().max() < 0.1
    assert power[7:].abs().max() < 1e-25
    assert power[0] < 1e-25


def test_band_limited_fields_stay_in_their_band():
    u_hat = PLANE.rfft(sample(BandLimitedField(low=3, high=6), PLANE, batch=2)[:, 0]) / math.prod(PLANE.points)
    size = (PLANE.indices(0) ** 2 + PLANE.indices(1) ** 2).sqrt()
    assert u_hat[:, (size < 3) | (size > 6)].abs().max() < 1e-15
    assert (u_hat[:, (size >= 3) & (size <= 6)].abs() > 1e-6).all()


def test_random_solitons_carry_their_mass():
    grid = Grid((512,), (80.0,))
    u = sample(RandomSolitons(count=1, amplitude=(0.9, 0.9), turns=(2, 2)), grid, batch=3, seed=1)
    values = NonlinearSchrodinger().invariants(u, grid)
    speed = 2 * math.pi * 2 / 80.0
    assert (values["mass"] - 1.8).abs().max() < 1e-12
    assert (values["momentum"] - 1.8 * speed).abs().max() < 1e-12


@pytest.mark.parametrize(
    "field", [BandLimitedField(low=0), BandLimitedField(low=4, high=3), RandomFourierSeries(modes=0)]
)
def test_impossible_bands_are_refused(field):
    with pytest.raises(ValueError, match=r"modes must be|low and high must"):
        sample(field, LINE, batch=1)

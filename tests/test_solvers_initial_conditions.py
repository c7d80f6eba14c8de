"""Random fields: functions of their generator, with the statistics that they state."""

import math

import pytest
import torch

from rollwave.solvers import (
    BandLimitedField,
    GaussianRandomField,
    Grid,
    InitialCondition,
    KleinGordon,
    NonlinearSchrodinger,
    Phi4,
    RandomBreathers,
    RandomComplexField,
    RandomFourierSeries,
    RandomKinks,
    RandomSines,
    RandomSolitons,
    RandomWave,
    TruncatedFourierSeries,
    WhiteNoise,
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
    (RandomSines(count=7, amplitude=0.4, low=2, high=6), (LINE,), 1),
    (TruncatedFourierSeries(modes=3, maximum=1.5, offset=1.0, components=2), (LINE, PLANE), 2),
    (TruncatedFourierSeries(modes=2, gaussian=False), (LINE, PLANE, SPACE), 1),
    (WhiteNoise(points=32, maximum=2.0), (LINE, PLANE), 1),
    (WhiteNoise(points=7), (SPACE,), 1),
    (RandomKinks(), (LINE,), 2),
    (RandomBreathers(count=2, frequency=(0.3, 0.6)), (LINE,), 2),
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
        (seed, index): generator.standard_normal()
        for seed in range(20)
        for index, generator in enumerate(trajectory_generators(seed, 0, 20))
    }
    assert len(set(draws.values())) == 400


def test_every_bit_of_a_seed_counts():
    fields = [sample(RandomSines(), LINE, batch=1, seed=seed) for seed in (0, 1, 2**31, 2**32, 2**63, 2**64, 2**100)]
    assert len({tuple(u.flatten().tolist()) for u in fields}) == len(fields)


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


def test_the_gaussian_random_field_is_the_measure_of_the_operator_on_the_unit_box():
    """`N(0, sigma^2 (-Laplacian + tau^2)^-alpha)`: independent coefficients of the orthonormal `sqrt(2) cos` and `sin`,
    with the eigenvalues as variances.
    """
    grid, field = Grid((16, 16), (1.0, 1.0)), GaussianRandomField(alpha=2.5, tau=7.0, sigma=7**0.75, modes=3)
    (u,), (x, y) = sample(field, grid, batch=4000, seed=0).unbind(1), grid.coordinates()
    products = {}
    for m in ((1, 0), (0, 2), (1, -3), (2, 2)):
        phase = 2 * math.pi * (m[0] * x + m[1] * y)
        eigenvalue = 7**1.5 * (4 * math.pi**2 * (m[0] ** 2 + m[1] ** 2) + 49) ** -2.5
        for wave in (torch.cos(phase), torch.sin(phase)):
            products[len(products)] = grid.integrate(math.sqrt(2) * wave * u) / math.sqrt(eigenvalue)
    covariance = torch.cov(torch.stack(list(products.values())))
    # The standard error of a sample variance is sqrt(2 / 4000) = 0.022, of a covariance 0.016.
    assert (covariance - torch.eye(8)).abs().max() < 0.09
    assert u.mean((-2, -1)).abs().max() < 1e-14


def test_random_sines_have_whole_wave_numbers_and_the_stated_variance():
    u = sample(RandomSines(count=10, amplitude=0.5, low=2, high=4), LINE, batch=4000, seed=0)
    assert u.square().mean().item() == pytest.approx(10 * 0.25 / 6, rel=0.05)
    power = (LINE.rfft(u) / 64).abs().square().mean((0, 1))
    assert power[[0, 1, *range(5, 33)]].max() < 1e-28
    assert (power[2:5] / power[2:5].mean() - 1).abs().max() < 0.1
    single = sample(RandomSines(count=1, amplitude=0.5, low=3, high=3), LINE, batch=2000, seed=1)
    amplitude = 2 * (LINE.rfft(single)[:, 0, 3] / 64).abs()
    # |A| is uniform in [0, 1/2], and the phase in a full turn.
    assert amplitude.max() <= 0.5
    assert (amplitude.sort().values - 0.5 * torch.linspace(0, 1, 2000)).abs().max() < 0.025
    phase = (LINE.rfft(single)[:, 0, 3].angle() / (2 * math.pi) + 0.5).sort().values
    assert (phase - torch.linspace(0, 1, 2000)).abs().max() < 0.05


@pytest.mark.parametrize("gaussian", [True, False])
def test_truncated_series_reach_their_maximum_around_their_offset(gaussian):
    grid = Grid((128, 128), (3.0, 2.0))
    field = TruncatedFourierSeries(modes=4, maximum=1.5, offset=0.7, components=2, gaussian=gaussian)
    u = sample(field, grid, batch=40, seed=0)
    mean = u.mean((-2, -1), keepdim=True)
    assert ((u - mean).abs().amax((-2, -1)) - 1.5).abs().max() < 1e-13
    assert 0.6 < mean.max() <= 0.7
    assert -0.7 <= mean.min() < -0.6
    u_hat = grid.rfft(u) / math.prod(grid.points)
    outside = (grid.indices(0).abs() > 4) | (grid.indices(1).abs() > 4)
    assert u_hat[..., outside].abs().max() < 1e-15
    assert (u_hat[..., ~outside].abs().mean((0, 1)) > 1e-3).all()
    assert abs(torch.corrcoef(torch.stack([(u - mean)[:, i].flatten() for i in (0, 1)]))[0, 1]) < 0.1


@pytest.mark.parametrize(("gaussian", "share"), [(True, 0.1), (False, 1 / 6)])
def test_coefficients_of_a_truncated_series_have_the_stated_law(gaussian, share):
    """`P(|c_1| < |c_2| / 3)` is `1 / (1 + 9)` for normal coefficients and `1 / 6` for uniform amplitudes."""
    u_hat = LINE.rfft(sample(TruncatedFourierSeries(modes=2, gaussian=gaussian), LINE, batch=4000, seed=0)[:, 0])
    found = (3 * u_hat[:, 1].abs() < u_hat[:, 2].abs()).to(torch.float64).mean().item()
    assert found == pytest.approx(share, abs=0.018)


def test_white_noise_is_uniform_and_independent_at_its_points_and_overshoots_between_them():
    own, finer = Grid((64,), (40.0,)), Grid((256,), (40.0,))
    u = sample(WhiteNoise(points=64, maximum=2.0), own, batch=500, seed=0)
    assert u.abs().max() <= 2
    assert (u.flatten().sort().values - torch.linspace(-2, 2, 32000)).abs().max() < 0.05
    power = (own.rfft(u) / 64).abs().square().mean((0, 1))
    # Variance 4/3 of each value, spread evenly over the modes.
    assert (power * 64 / (4 / 3) - 1).abs().max() < 0.25
    smooth = sample(WhiteNoise(points=64, maximum=2.0), finer, batch=500, seed=0)
    assert smooth.abs().max() > 3
    assert (finer.rfft(smooth)[..., 33:].abs() < 1e-12).all()
    with pytest.raises(ValueError, match="at least those of the grid"):
        sample(WhiteNoise(points=65), own, batch=1)


def test_random_kinks_have_the_energy_of_speeds_in_their_range():
    grid, pair = Grid((1024,), (60.0,)), {"coupling": 2.0, "vacuum": 0.8}
    u = sample(RandomKinks(speed=(0.2, 0.6), separation=30.0, **pair), grid, batch=50, seed=2)
    values = KleinGordon(Phi4(**pair)).invariants(u, grid)
    boost = values["energy"] / (2 * (2 * math.sqrt(2) / 3) * math.sqrt(2.0) * 0.8**3)
    speeds = (1 - boost**-2).sqrt()
    assert 0.2 - 1e-9 < speeds.min() < 0.25
    assert 0.55 < speeds.max() < 0.6 + 1e-9
    assert values["momentum"].abs().max() < 1e-9
    # Somewhere in the box: the walls are between the vacua, half of the box in each.
    assert (u[:, 0] > 0).to(torch.float64).mean(-1).sub(0.5).abs().max() < 0.01
    assert ((u[:, 0, 0] > 0).sum() - 25).abs() < 15


def test_random_breathers_have_the_energy_of_frequencies_in_their_range_and_swing():
    grid = Grid((1024,), (90.0,))
    u = sample(RandomBreathers(frequency=(0.4, 0.8)), grid, batch=50, seed=2)
    values = KleinGordon().invariants(u, grid)
    frequency = (1 - (values["energy"] / 16) ** 2).sqrt()
    assert 0.4 - 1e-9 < frequency.min() < 0.45
    assert 0.75 < frequency.max() < 0.8 + 1e-9
    assert values["momentum"].abs().max() < 1e-9
    # The energy is right only with the velocity of the phase; phases are spread.
    kinetic = grid.integrate(u[:, 1].square() / 2) / values["energy"]
    assert kinetic.min() < 0.05
    assert kinetic.max() > 0.4


@pytest.mark.parametrize(
    ("field", "grid", "message"),
    [
        (RandomSines(), PLANE, "RandomSines lives on 1 space axis, got 2"),
        (RandomSines(count=0), LINE, "count must be at least 1"),
        (RandomSines(low=0), LINE, "low and high must satisfy"),
        (RandomSolitons(), PLANE, "RandomSolitons lives on 1"),
        (RandomKinks(), PLANE, "RandomKinks lives on 1"),
        (RandomBreathers(count=0), LINE, "count must be at least 1"),
        (RandomSolitons(count=0), LINE, "count must be at least 1"),
        (TruncatedFourierSeries(modes=0), LINE, "modes must be at least 1"),
        (TruncatedFourierSeries(maximum=-1.0), LINE, "maximum and offset must be finite, not negative"),
        (TruncatedFourierSeries(offset=math.inf), LINE, "maximum and offset must be finite, not negative"),
        (WhiteNoise(points=0), LINE, "points must be at least 1"),
    ],
)
def test_fields_without_a_meaning_are_refused(field, grid, message):
    with pytest.raises(ValueError, match=message):
        sample(field, grid, batch=1)


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

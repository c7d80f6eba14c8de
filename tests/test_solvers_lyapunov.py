"""Lyapunov exponents: those of a flow linearised around a constant are known, and what has none is refused."""

import math

import pytest
import torch

from rollwave.solvers import (
    Burgers,
    Grid,
    KortewegDeVries,
    KuramotoSivashinsky,
    LyapunovExponents,
    SimulationError,
    lyapunov_exponents,
)

# Waves of k = 0.6 and 1.2 grow by k^2 - k^4, which lie far apart.
WAVE = 0.6
GRID = Grid((24,), (2 * math.pi / WAVE,))
CONSTANT = torch.full((2, 1, 24), 0.5, dtype=torch.float64)
RATES = sorted([0.0] + 2 * [(m * WAVE) ** 2 - (m * WAVE) ** 4 for m in (1, 2)], reverse=True)
SPANS = {"dt": 0.1, "interval": 1.0, "time": 10, "transient": 30}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_around_a_constant_the_exponents_are_the_growth_rates_of_waves(dtype):
    """`v_t = -c v_x - v_xx - v_xxxx`: waves grow by `k^2 - k^4`, each in two phases; the mean stays."""
    found = lyapunov_exponents(KuramotoSivashinsky(), GRID, CONSTANT.to(dtype), count=5, **SPANS)
    assert found.each.dtype == torch.float64
    assert found.each.shape == (2, 5)
    # Directions are found up to exp(-2 * 30 * 0.23); curvature is of the size of the twins' distance.
    assert (found.each - torch.tensor(RATES, dtype=torch.float64)).abs().max() < 3e-6


def test_without_their_mean_perturbations_miss_the_exponent_zero():
    found = lyapunov_exponents(KuramotoSivashinsky(), GRID, CONSTANT, count=4, zero_mean=True, **SPANS)
    rates = torch.tensor([rate for rate in RATES if rate], dtype=torch.float64)
    assert (found.each - rates).abs().max() < 3e-6


def test_the_kaplan_yorke_dimension_weighs_the_last_direction():
    rates = torch.tensor([[0.3, 0.0, -0.1, -0.5, -2.0]], dtype=torch.float64)
    assert LyapunovExponents(rates, rates[None]).dimension() == pytest.approx(3 + 0.2 / 0.5)
    assert LyapunovExponents(-rates.flip(1) - 3, rates[None]).dimension() == 0
    with pytest.raises(ValueError, match="count more of them"):
        LyapunovExponents(rates[:, :3], rates[None, :, :3]).dimension()


def test_trajectories_that_settled_are_left_out():
    log_growth = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.2, 0.0], [1.0, 0.8, -0.1]], dtype=torch.float64)[..., None]
    kept = LyapunovExponents(log_growth.mean(0), log_growth).chaotic(2)
    assert kept.each.flatten().tolist() == pytest.approx([1.0, 1.0])
    assert kept.log_growth.shape == (3, 2, 1)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"transient": -1}, "transient must not be negative"),
        ({"transient": 0.5}, "must divide transient"),
        ({"time": 2.5}, "must divide time"),
        ({"time": 0}, "time at least one interval"),
        ({"time": math.inf}, "time at least one interval"),
        ({"interval": 0.0}, "interval must be positive"),
        ({"interval": math.nan}, "interval must be positive"),
        ({"dt": 0.3}, "must divide interval"),
        ({"count": 0}, "count must be between 1 and the 24"),
        ({"count": 25}, "count must be between 1 and the 24"),
        ({"count": 24, "zero_mean": True}, "count must be between 1 and the 23"),
    ],
)
def test_numbers_without_a_meaning_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        lyapunov_exponents(KuramotoSivashinsky(), GRID, CONSTANT, **(SPANS | numbers))


def test_fields_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="points"):
        lyapunov_exponents(KuramotoSivashinsky(), GRID, CONSTANT[..., :-1], **SPANS)
    with pytest.raises(TypeError, match="float32 or float64"):
        lyapunov_exponents(KuramotoSivashinsky(), GRID, CONSTANT.half(), **SPANS)


def test_a_trajectory_that_blows_up_or_is_zero_is_named_with_its_time():
    u = Burgers(0.1).initial_condition(GRID, batch=2, seed=1) * torch.tensor([1.0, 0.0])[:, None, None]
    with pytest.raises(SimulationError, match="sample 1: the growth of its perturbations") as caught:
        lyapunov_exponents(Burgers(0.1), GRID, u, dt=0.01, time=1, interval=0.5)
    assert (caught.value.sample, caught.value.time) == (1, 0.0)
    large = 1e3 * KortewegDeVries().initial_condition(GRID, batch=1, seed=1)
    with pytest.raises(SimulationError, match="sample 0"):
        lyapunov_exponents(KortewegDeVries(), GRID, large, dt=1.0, time=60, interval=20)

"""Patterns of order: what is regular, chaotic and noise."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from rollwave.evaluation.ordinal import affordable_order, jensen_shannon_complexity, patterns, permutation_entropy


def logistic(values: int) -> Tensor:
    """`x <- 4 x (1 - x)`."""
    series = [0.3]
    for _ in range(values - 1):
        series.append(4 * series[-1] * (1 - series[-1]))
    return torch.tensor(series, dtype=torch.float64)[None]


def test_patterns_by_hand() -> None:
    # Bandt and Pompe's example: four of six pairs ascend.
    series = torch.tensor([[4.0, 7.0, 9.0, 10.0, 6.0, 11.0, 3.0]])
    shares = patterns(series, 2)[0]
    assert shares.tolist() == pytest.approx([4 / 6, 2 / 6])
    # Of order three: 123, 123, 231, 213 (10 6 11), 231 (6 11 3).
    assert sorted(patterns(series, 3)[0].tolist()) == pytest.approx([0, 0, 0, 1 / 5, 2 / 5, 2 / 5])


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_every_order_of_values_has_a_pattern_of_its_own(order: int) -> None:
    numbers = {
        int(patterns(torch.tensor([p], dtype=torch.float64), order)[0].argmax()) for p in permutations(range(order))
    }
    assert numbers == set(range(math.factorial(order)))


def test_a_delay_looks_at_every_other_value() -> None:
    series = torch.stack([torch.arange(20.0), -torch.arange(20.0)], dim=1).reshape(1, 40)
    # Alternately from a rising and a falling series: each pattern half of the time.
    assert patterns(series, 3, delay=2)[0].tolist() == [0.5, 0, 0, 0, 0, 0.5]


@pytest.mark.parametrize("order", [2, 3, 5])
def test_monotone_and_constant_series_have_no_entropy(order: int) -> None:
    series = torch.stack([torch.arange(30.0), -torch.arange(30.0), torch.ones(30)])
    assert permutation_entropy(series, order).tolist() == pytest.approx([0, 0, 0], abs=1e-15)
    assert jensen_shannon_complexity(series, order).tolist() == pytest.approx([0, 0, 0], abs=1e-15)


def test_noise_has_all_the_entropy_and_no_complexity() -> None:
    series = torch.tensor(np.random.RandomState(0).rand(1, 100_000))
    # 1 - H is about (order! - 1) / (2 windows ln order!) for independent windows, here 1e-4 of order 5.
    assert permutation_entropy(series, 5).item() == pytest.approx(1, abs=5e-4)
    assert jensen_shannon_complexity(series, 5).item() == pytest.approx(0, abs=1e-3)


def test_chaos_is_complex() -> None:
    # It never descends twice; as a tent map `T`, it ascends twice where `x < 1/3`.
    series = logistic(100_000)
    assert patterns(series, 3)[0, -1] == 0
    assert patterns(series, 3)[0, 0].item() == pytest.approx(1 / 3, abs=5e-3)
    # Rosso et al. place it at about H = 0.63, C = 0.48 for order 6.
    assert permutation_entropy(series, 6).item() == pytest.approx(0.63, abs=5e-3)
    assert jensen_shannon_complexity(series, 6).item() == pytest.approx(0.48, abs=6e-3)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_divergence_is_normalised_by_its_largest_value(order: int) -> None:
    # One pattern among n!: J = Q_0^-1, so C / H would be one; the limit is approached by a rare second pattern.
    n = math.factorial(order)
    series = torch.arange(200_000.0, dtype=torch.float64)[None].clone()
    series[0, 100_000:] -= 150_000
    ratio = jensen_shannon_complexity(series, order) / permutation_entropy(series, order)
    assert ratio.item() == pytest.approx(1, abs=1e-3 * n)


def test_a_series_that_is_not_finite_has_neither() -> None:
    series = torch.rand(2, 30)
    series[0, 3] = math.nan
    assert permutation_entropy(series).isnan().tolist() == [True, False]
    assert jensen_shannon_complexity(series).isnan().tolist() == [True, False]


@pytest.mark.parametrize(("order", "delay", "values"), [(1, 1, 10), (8, 1, 10), (3, 0, 10), (3, 5, 10)])
def test_what_has_no_pattern_is_refused(order: int, delay: int, values: int) -> None:
    with pytest.raises(ValueError, match=r"order must be in 2 \.\. 7"):
        patterns(torch.zeros(1, values), order, delay)


def test_the_order_follows_the_length_of_the_series() -> None:
    # Five windows for each of n! patterns: 10, 30, 120 and 600.
    lengths = (10, 11, 31, 32, 122, 123, 603, 604, 10_000)
    assert [affordable_order(n) for n in lengths] == [None, 2, 2, 3, 3, 4, 4, 5, 5]

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


def test_equal_values_count_as_ascending() -> None:
    assert patterns(torch.ones(1, 5), 3)[0].tolist() == [1, 0, 0, 0, 0, 0]
    assert torch.equal(patterns(torch.tensor([[2.0, 1.0, 2.0]]), 3), patterns(torch.tensor([[2.0, 1.0, 3.0]]), 3))


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


def test_chaos_has_the_patterns_of_the_tent_map() -> None:
    """`x = sin^2(pi y / 2)` is increasing and makes a tent map `T` of the logistic map, with `y` spread evenly.

    The ends of the intervals are where two of `y, T y, T T y` meet: 1/3, 2/5, 2/3 and 4/5. It never descends twice.
    """
    from scipy.spatial.distance import jensenshannon

    series, shares = logistic(100_000), np.array([5, 1, 2, 4, 3, 0]) / 15
    np.testing.assert_allclose(patterns(series, 3)[0], shares, atol=5e-3)
    assert patterns(series, 3)[0, -1] == 0
    entropy = -sum(p * math.log(p) for p in shares if p > 0) / math.log(6)
    single, even = np.eye(6)[0], np.full(6, 1 / 6)
    divergence = jensenshannon(shares, even) ** 2 / jensenshannon(single, even) ** 2
    assert permutation_entropy(series, 3).item() == pytest.approx(entropy, abs=5e-3)
    assert jensen_shannon_complexity(series, 3).item() == pytest.approx(divergence * entropy, abs=5e-3)


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

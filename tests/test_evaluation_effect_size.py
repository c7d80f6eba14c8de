"""Cliff's delta is the difference of two counts of pairs, exactly."""

import math

import pytest
import torch
from torch import Tensor

from rollwave.evaluation.effect_size import cliffs_delta


def counted(x: Tensor, y: Tensor) -> Tensor:
    """All pairs, one by one."""
    above, below = (x[..., :, None] > y[..., None, :]), (x[..., :, None] < y[..., None, :])
    return (above.sum((-1, -2)) - below.sum((-1, -2))).double() / (x.shape[-1] * y.shape[-1])


@pytest.mark.parametrize(
    ("x", "y", "delta"),
    [
        ([3.0, 4.0], [1.0, 2.0], 1.0),
        ([1.0, 2.0], [3.0, 4.0], -1.0),
        ([1.0, 2.0, 3.0], [2.0], 0.0),
        ([2.0, 2.0], [2.0, 2.0, 2.0], 0.0),
        # Pairs: 1 below both, 2 ties and below, 5 above both: (2 - 3) / 6.
        ([1.0, 2.0, 5.0], [2.0, 3.0], -1 / 6),
        ([math.inf, 0.0], [1.0], 0.0),
        ([math.inf], [math.inf], 0.0),
    ],
)
def test_small_samples_by_hand(x: list[float], y: list[float], delta: float) -> None:
    assert cliffs_delta(torch.tensor(x), torch.tensor(y)).item() == delta


@pytest.mark.parametrize("values", [2, 5, 1000])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 40), (60, 33)])
def test_it_equals_the_count_of_all_pairs_with_and_without_ties(values: int, n: int, m: int) -> None:
    x, y = torch.randint(values, (2, 3, n)).double(), torch.randint(values, (2, 3, m)).double()
    assert torch.equal(cliffs_delta(x, y), counted(x, y))
    assert torch.equal(cliffs_delta(x.movedim(-1, 0), y.movedim(-1, 0), dim=0), counted(x, y))


def test_swapping_the_samples_changes_the_sign_and_increasing_maps_nothing() -> None:
    x, y = torch.randn(50), torch.randn(70)
    assert cliffs_delta(y, x) == -cliffs_delta(x, y)
    assert cliffs_delta(x.double().exp(), y.double().exp()) == cliffs_delta(x, y)
    assert cliffs_delta(x[torch.randperm(50)], y) == cliffs_delta(x, y)


def test_a_sample_with_an_undefined_value_has_no_delta() -> None:
    x, y = torch.tensor([[1.0, math.nan], [1.0, 2.0]]), torch.zeros(2, 3)
    assert cliffs_delta(x, y).isnan().tolist() == [True, False]
    assert cliffs_delta(y, x).isnan().tolist() == [True, False]


@pytest.mark.parametrize(("x", "y"), [((2, 3), (3, 3)), ((2, 0), (2, 3)), ((2, 3), (2, 0))])
def test_samples_that_do_not_match_or_are_empty_are_refused(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="equal in all axes but one and not empty"):
        cliffs_delta(torch.zeros(x), torch.zeros(y))

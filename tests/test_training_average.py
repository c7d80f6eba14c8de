"""The average of the weights and the schedule of the learning rate against their formulas."""

import math

import pytest
import torch
from torch import nn

from rollwave.training import Constant, ExponentialAverage, WarmupCosine


def test_the_average_follows_its_recursion() -> None:
    module = nn.Linear(2, 2).double()
    average = ExponentialAverage(module, decay=0.8)
    expected = module.weight.detach().clone()
    for t in range(1, 60):
        with torch.no_grad():
            module.weight += torch.randn(2, 2)
        average.update()
        decay = min(0.8, t / (t + 9))
        expected = decay * expected + (1 - decay) * module.weight.detach()
    assert torch.allclose(average.state_dict()["weight"], expected, rtol=1e-13)


def test_buffers_are_saved_and_not_averaged() -> None:
    module = nn.BatchNorm1d(2)
    average = ExponentialAverage(module, decay=0.5)
    module.running_mean += 3.0
    average.update()
    assert average.state_dict()["running_mean"].tolist() == [3.0, 3.0]
    assert average.state_dict().keys() == module.state_dict().keys()


def test_a_parameter_with_two_names_is_saved_averaged_under_both() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    average = ExponentialAverage(module, decay=0.5)
    with torch.no_grad():
        module[0].weight += 1
    average.update()
    saved = average.state_dict()
    assert torch.equal(saved["1.weight"], saved["0.weight"])
    assert not torch.equal(saved["1.weight"], module[1].weight)


def test_swapping_twice_changes_no_bit() -> None:
    module = nn.Linear(3, 3)
    average = ExponentialAverage(module, decay=0.5)
    initial = module.weight.detach().clone()
    with torch.no_grad():
        module.weight += 1
    before = module.weight.detach().clone()
    average.swap()
    assert torch.equal(module.weight, initial)
    average.swap()
    assert torch.equal(module.weight, before)


def test_a_decay_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        ExponentialAverage(nn.Linear(1, 1), decay=1.0)


def test_the_schedule_is_its_formula() -> None:
    schedule, total = WarmupCosine(warmup=0.1, minimum=0.2), 100
    factors = [schedule.factor(step, total) for step in range(total + 5)]
    assert factors[:10] == [(step + 1) / 10 for step in range(10)]
    for step in range(10, total):
        expected = 0.2 + 0.8 * (1 + math.cos(math.pi * (step - 10) / 90)) / 2
        assert factors[step] == pytest.approx(expected, rel=1e-14)
    assert factors[10] == 1.0
    assert factors[total:] == [pytest.approx(0.2)] * 5
    assert WarmupCosine(warmup=0).factor(0, 1) == 1.0
    assert Constant().factor(7, 10) == 1.0


@pytest.mark.parametrize("wrong", [{"warmup": 1.0}, {"warmup": -0.1}, {"minimum": 1.5}])
def test_a_schedule_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="warmup must lie"):
        WarmupCosine(**wrong)

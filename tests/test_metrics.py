"""Every metric against cases whose answers were worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from rollwave.evaluation import metrics
from rollwave.evaluation.metrics import ValidPredictionTime

INF = math.inf


def field(*frames: list) -> Tensor:
    """`[1, t, 1, x]` from the values of each frame."""
    return torch.tensor(frames, dtype=torch.float64)[None, :, None]


def close(actual: Tensor, expected: list) -> None:
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_nrmse_by_hand() -> None:
    # ||(3, 4)|| = 5; errors (0, 0), (0.3, 0.4) and (3, 4).
    close(metrics.nrmse(field([3, 4], [3.3, 4.4], [0, 0]), field([3, 4], [3, 4], [3, 4])), [[0, 0.1, 1]])


def test_nrmse_takes_channels_together_and_trajectories_apart() -> None:
    truth = torch.tensor([[[[1.0, 2.0], [2.0, 0.0]]], [[[2.0, 0.0], [0.0, 0.0]]]])
    prediction = truth.clone()
    prediction[0, 0, 1, 1] = 1.5  # error 1.5 against a norm of 3
    prediction[1, 0, 1, 0] = 6.0  # error 6 against a norm of 2, in a channel that is zero
    close(metrics.nrmse(prediction, truth), [[0.5], [3]])


def test_nrmse_where_the_truth_vanishes() -> None:
    close(metrics.nrmse(field([0, 0], [1, 0]), field([0, 0], [0, 0])), [[0, INF]])


def test_vrmse_by_hand() -> None:
    # Truth 9, 11 has spread 1 about 10. Errors of 2 everywhere: VRMSE 2, though nRMSE is near 0.2.
    close(metrics.vrmse(field([11, 13], [10, 10]), field([9, 11], [9, 11])), [[2, 1]])


def test_vrmse_averages_channels_of_different_units() -> None:
    truth = torch.tensor([[[[1.0, -1.0], [1000.0, -1000.0]]]])
    prediction = torch.tensor([[[[1.5, -0.5], [2000.0, -2000.0]]]])
    close(metrics.vrmse(prediction, truth), [[0.75]])  # 0.5 and 1


def test_correlation_by_hand() -> None:
    # Deviations of the truth: -1, 0, 1 (norm sqrt 2). Of the predictions: itself; minus itself; (-1, 1, 0); none.
    truth = field(*[[4, 5, 6]] * 4)
    close(metrics.correlation(field([1, 2, 3], [8, 7, 6], [0, 2, 1], [0.1, 0.1, 0.1]), truth), [[1, -1, 0.5, 0]])


def test_correlation_centres_each_channel_and_averages_them() -> None:
    truth = torch.tensor([[[[0.0, 1.0], [100.0, 101.0]]]])
    prediction = torch.tensor([[[[0.0, 1.0], [101.0, 100.0]]]])
    close(
        metrics.correlation(prediction, truth), [[0]]
    )  # +1 and -1; pooled about one common mean it would be above 0.99


def test_rounding_of_a_constant_correlates_with_nothing() -> None:
    truth = torch.arange(7.0, dtype=torch.float64)[None, None, None]
    constant = torch.full((1, 1, 1, 7), 0.1, dtype=torch.float64)
    assert (constant - constant.mean()).abs().max() > 0  # the mean of seven times 0.1 is not 0.1
    assert metrics.correlation(constant, truth).item() == 0
    assert metrics.correlation(truth, constant).item() == 0


def test_correlation_leaves_out_a_channel_whose_truth_is_constant() -> None:
    truth = torch.tensor([[[[0.0, 1.0], [0.1, 0.1]]]])
    prediction = torch.tensor([[[[0.0, 2.0], [3.0, -4.0]]]])
    close(metrics.correlation(prediction, truth), [[1]])


def test_scaled_rmse_by_hand() -> None:
    truth = torch.zeros(1, 1, 2, 2)
    prediction = torch.tensor([[[[1.0, 1.0], [30.0, 30.0]]]])
    # 1/2 and 30/10: sqrt((0.25 + 9) / 2)
    close(metrics.scaled_rmse(prediction, truth, [2.0, 10.0]), [[math.sqrt(4.625)]])


@pytest.mark.parametrize("sigma", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan]])
def test_scaled_rmse_refuses_a_sigma_that_cannot_scale(sigma: list) -> None:
    with pytest.raises(ValueError, match="sigma must hold one positive number for each of 2 channels"):
        metrics.scaled_rmse(torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 2, 3), sigma)


def test_correlation_time_is_the_last_good_time_before_the_first_crossing() -> None:
    curve = torch.tensor(
        [[1.0, 0.9, 0.8, 0.7, 0.95], [0.5, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 0.1]]
    )
    time, censored = metrics.correlation_time(curve, 0.8, interval=0.5)
    assert time.tolist() == [1.5, 0, 2.5, 2]  # a later recovery counts for nothing; at the threshold is still good
    assert censored.tolist() == [False, False, True, False]
    assert metrics.correlation_time(curve, 0.9, interval=0.5).time.tolist() == [1, 0, 2.5, 2]


def test_valid_time_by_hand() -> None:
    curve = torch.tensor([[0.1, 0.5, 0.51, 0.2], [INF, 0, 0, 0]])
    assert metrics.valid_time(curve, 0.5, interval=0.25).time.tolist() == [0.5, 0]


def test_valid_prediction_time_counts_steps_in_standard_deviations() -> None:
    truth = torch.zeros(2, 4, 1, 3)
    prediction = torch.tensor([0.5, 0.9, 1.1, 0.0])[None, :, None, None].expand(2, 4, 1, 3).clone()
    prediction[1] = 0.99
    metric = ValidPredictionTime()
    assert metric(prediction, truth, torch.tensor([2.0])).tolist() == [2, 4]  # half of sigma = 2 is 1
    assert ValidPredictionTime(threshold=0.3)(prediction, truth, [2.0]).tolist() == [1, 0]


def test_geometric_mean_by_hand() -> None:
    curve = torch.tensor([[1.0, 4.0, 16.0], [0.01, 1e9, 1.0]], dtype=torch.float64)
    close(metrics.geometric_mean(curve), [4, 1])  # the second: (0.01 * 100 * 1)^(1/3) with the cap at 100
    close(metrics.geometric_mean(curve, steps=2), [2, 1])
    close(metrics.geometric_mean(torch.tensor([[INF, INF]], dtype=torch.float64)), [100])


def test_geometric_mean_stops_at_step_one_hundred() -> None:
    curve = torch.full((1, 150), 2.0, dtype=torch.float64)
    curve[:, 100:] = 50
    close(metrics.geometric_mean(curve), [2])


def test_one_diverged_trajectory_poisons_nothing_else() -> None:
    torch.manual_seed(0)
    truth = torch.randn(3, 5, 2, 8)
    prediction = truth + 0.1 * torch.randn(3, 5, 2, 8)
    broken = prediction.clone()
    broken[1, 2, 0, 3] = math.nan
    broken[1, 3:] = INF
    for metric in (
        metrics.nrmse,
        metrics.vrmse,
        lambda p, u: metrics.scaled_rmse(p, u, [1.0, 1.0]),
        metrics.correlation,
    ):
        clean, dirty = metric(prediction, truth), metric(broken, truth)
        assert not dirty.isnan().any()
        assert torch.equal(clean[[0, 2]], dirty[[0, 2]])
        assert torch.equal(clean[1, :2], dirty[1, :2])
    assert metrics.nrmse(broken, truth)[1, 2:].tolist() == [INF] * 3
    assert metrics.correlation(broken, truth)[1, 2:].tolist() == [0] * 3
    assert metrics.correlation_time(metrics.correlation(broken, truth)).time[1] == 2
    assert metrics.finite_steps(broken).sum(1).tolist() == [5, 2, 5]


def test_a_trajectory_that_comes_back_from_nan_is_not_finite_at_the_end() -> None:
    prediction = torch.zeros(1, 3, 1, 2)
    prediction[0, 1, 0, 0] = math.nan
    assert metrics.finite_steps(prediction).tolist() == [[True, False, False]]


def test_huge_float32_values_do_not_overflow() -> None:
    truth = torch.ones(1, 1, 1, 4)
    assert metrics.nrmse(1e30 * truth, truth).item() == pytest.approx(1e30, rel=1e-6)


def test_a_truth_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="truth must be finite"):
        metrics.nrmse(field([1, 2]), field([1, math.nan]))


@pytest.mark.parametrize("metric", [metrics.nrmse, metrics.vrmse, metrics.correlation])
def test_metrics_do_not_depend_on_the_unit(metric) -> None:
    torch.manual_seed(1)
    truth, prediction = torch.randn(2, 2, 3, 2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(metric(prediction, truth), metric(-1e3 * prediction, -1e3 * truth))


@pytest.mark.parametrize("metric", [metrics.vrmse, metrics.correlation])
def test_centred_metrics_do_not_depend_on_the_zero(metric) -> None:
    torch.manual_seed(1)
    truth, prediction = torch.randn(2, 2, 3, 2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(metric(prediction, truth), metric(prediction + 7, truth + 7))

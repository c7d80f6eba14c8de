"""What enters a measurement, and how measurements of many rollouts become numbers."""

import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rollwave.evaluation import measures
from rollwave.evaluation.measures import Ruler
from rollwave.evaluation.rollout import batched, run, survive
from rollwave.evaluation.summary import json_safe, quartiles, summarise
from rollwave.solvers import Grid, KleinGordon, KuramotoSivashinsky, SimulationError

CPU = torch.device("cpu")
RULER = Ruler(sigma=(1.0,), interval=0.5)


def constant(value: float) -> Callable[[Tensor, int], Tensor]:
    return lambda history, steps: torch.full((len(history), steps, *history.shape[2:]), value)


def test_input_frames_enter_no_metric() -> None:
    windows = torch.ones(5, 7, 1, 16)
    windows[:, :3] = 1e6
    results, truth, _ = run({"model": constant(1.25)}, batched(windows, 2), history=3, ruler=RULER, device=CPU)
    assert results["model"].measurement.curves["nrmse"].tolist() == [[0.25] * 4] * 5
    assert results["model"].example.shape == (4, 1, 16)
    assert truth.measurement.spectrum[0, 0, 0] == 0.5


def test_a_forecast_sees_the_input_frames_and_nothing_else() -> None:
    windows = torch.arange(4.0)[None, :, None, None].expand(2, 4, 1, 8)
    seen = []

    def spy(history: Tensor, steps: int) -> Tensor:
        seen.append((history[0, :, 0, 0].tolist(), steps))
        return constant(2.0)(history, steps)

    run({"model": spy}, batched(windows, 2), history=2, ruler=RULER, device=CPU)
    assert {tuple(frames) for frames, _ in seen} == {(0.0, 1.0)}
    assert seen[-1][1] == 2


def test_a_solver_that_fails_is_left_out_with_a_note() -> None:
    def failing(history: Tensor, steps: int) -> Tensor:
        raise SimulationError("sample 0 stopped being finite at t = 3", time=3.0, sample=0)

    windows = torch.ones(2, 3, 1, 8)
    results, _, notes = run(
        {"model": constant(1.0), "solver": failing}, batched(windows, 1), history=1, ruler=RULER, device=CPU
    )
    assert list(results) == ["model"]
    assert notes == ["solver is left out: sample 0 stopped being finite at t = 3"]


def test_batches_keep_order_and_lose_nothing() -> None:
    sizes = [batch.flatten().tolist() for batch in batched(torch.arange(5.0), 2)]
    assert sizes == [[0, 1], [2, 3], [4]]


def test_measuring_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, equation = Grid((16,), (22.0,)), KuramotoSivashinsky()
    ruler = Ruler(sigma=(1.0,), interval=0.5, equation=equation, grid=grid)
    prediction, truth = torch.randn(2, 3, 40, 1, 16)
    whole = ruler.measure(prediction, truth)
    monkeypatch.setattr(measures, "VALUES", 16 * 3 * 7)
    pieces = ruler.measure(prediction, truth)
    for name, curve in whole.curves.items():
        torch.testing.assert_close(pieces.curves[name], curve, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(pieces.spectrum, whole.spectrum)
    assert set(pieces.scalars) == set(whole.scalars)


def test_scalars_by_hand() -> None:
    truth = torch.tensor([1.0, -1.0] * 4).expand(1, 30, 1, 8)
    factors = torch.full((30,), 1.1)
    factors[5], factors[6:12], factors[12:] = 1.4, 1.2, -1.0
    measured = RULER.measure(truth * factors[None, :, None, None], truth)
    scalars = {name: value.item() for name, value in measured.scalars.items()}
    assert scalars["nrmse_first"] == pytest.approx(0.1, rel=1e-6)
    assert scalars["nrmse_last"] == pytest.approx(2, rel=1e-6)
    assert scalars["vrmse_6_12"] == pytest.approx(1.6 / 7, rel=1e-6)
    assert scalars["vrmse_13_30"] == pytest.approx(2, rel=1e-6)
    logs = 5 * math.log(0.1) + math.log(0.4) + 6 * math.log(0.2) + 18 * math.log(2)
    assert scalars["nrmse_gmean100"] == pytest.approx(math.exp(logs / 30), rel=1e-6)
    assert scalars["correlation_time_0.8"] == scalars["valid_prediction_time"] == 6  # twelve steps of 0.5
    assert scalars["finite"] == 1
    assert not measured.censored["correlation_time_0.8"].item()


def test_drift_is_relative_even_where_the_invariant_cancels() -> None:
    grid, equation = Grid((32,), (4.0,)), KuramotoSivashinsky()
    ruler = Ruler(sigma=(1.0,), interval=0.5, equation=equation, grid=grid)
    truth = torch.tensor([1.0, -1.0] * 16).expand(1, 3, 1, 32)
    measured = ruler.measure(truth + 0.25, truth)
    # Mass 0 against 0.25 * 4, on the scale of the integral of |u| = 4; energy 2 against (1 + 1/16) * 2.
    assert measured.curves["drift_mass"][0].tolist() == pytest.approx([0.25] * 3)
    assert measured.curves["drift_energy"][0].tolist() == pytest.approx([0.0625] * 3)


def test_the_drift_of_a_momentum_is_relative_to_what_cannot_cancel() -> None:
    grid, equation = Grid((4096,), (2 * math.pi,)), KleinGordon()
    (x,) = grid.coordinates()
    truth = torch.stack((torch.cos(x), 2 + torch.cos(x))).expand(1, 3, 2, 4096)
    prediction = truth.clone()
    prediction[:, :, 1] += 0.1 * torch.sin(x)
    measured = Ruler(sigma=(1.0, 1.0), interval=0.5, equation=equation, grid=grid).measure(prediction, truth)
    # Momentum `0.1 int sin^2 = 0.1 pi` against 0; the size is `int (2 + cos x) |sin x| = 8`.
    assert measured.curves["drift_momentum"][0].tolist() == pytest.approx([0.1 * math.pi / 8] * 3, rel=1e-5)


def test_quartiles_by_hand() -> None:
    values = torch.tensor([[4.0, 1.0], [1.0, math.inf], [2.0, math.inf], [3.0, 2.0], [5.0, math.nan]])
    low, median, high = quartiles(values)
    assert low.tolist() == [2, 1.75]
    assert median.tolist() == [3, math.inf]
    assert high.tolist() == [4, math.inf]


def test_a_median_is_finite_while_half_of_the_sample_is() -> None:
    assert quartiles(torch.tensor([1.0, 2.0, math.inf])).median == 2
    assert quartiles(torch.full((3, 2), math.nan)).median.isnan().all()


def test_json_has_names_for_what_it_has_no_numbers_for() -> None:
    numbers = [math.inf, -math.inf, math.nan, 0.1]
    value = json_safe({"a": numbers, "b": torch.tensor([1.0]), "c": summarise(torch.ones(2))})
    assert json.loads(json.dumps(value, allow_nan=False)) == {
        "a": ["inf", "-inf", None, 0.1],
        "b": [1.0],
        "c": {"q25": 1.0, "median": 1.0, "q75": 1.0},
    }


@pytest.mark.parametrize("piece", [1, 3, 256])
def test_survival_counts_what_is_finite_and_what_is_bounded(piece: int) -> None:
    def doubling(history: Tensor, steps: int) -> Tensor:
        frames = [history[:, -1]]
        for _ in range(steps):
            frames.append(torch.where(frames[-1] > 1000, torch.nan, 2 * frames[-1]))
        return torch.stack(frames[1:], dim=1)

    starts = torch.tensor([0.0, 0.01, 1.0, 30.0])
    windows = starts[:, None, None, None].expand(4, 2, 1, 4)
    # After eight doublings: 0, 2.56, 256, and not finite. The bound is 5 * 2.
    ends = survive(doubling, batched(windows, 3), history=2, steps=8, rms=(2.0,), device=CPU, piece=piece)
    assert (ends.steps, ends.finite, ends.bounded) == (8, 0.75, 0.5)

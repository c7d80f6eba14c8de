"""What the measurement of trainings compares and tells. No time is asserted."""

import json
import math
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

pytest.importorskip("neuralop", reason="needs neuraloperator")

from kernels import report, time_to_error_curves, time_to_error_page, time_to_error_problems, time_to_error_worker

TINY = time_to_error_problems.TINY
SLICES = TINY.steps // TINY.every


def trained(contender: str, data: Path, seed: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The curve of a tiny training in this process, and what else is known at its end."""
    here, there = multiprocessing.Pipe()
    for _ in range(SLICES + 1):
        here.send("go")
    time_to_error_worker.train(there, TINY, time_to_error_worker.CONTENDERS[contender], seed, data)
    return [here.recv() for _ in range(SLICES)], here.recv()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny dataset lies."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def pair(data: Path) -> dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Both packages after the same training; not with kept memory, which is for a whole process and for good."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_to_error_worker, "prepare_memory", lambda kind: True)
        return {name: trained(name, data) for name in ("neuraloperator", "rollwave")}


def test_both_packages_start_as_the_same_function_with_as_many_parameters(data: Path) -> None:
    cfg = TINY.config(data, 0)
    (ours, windows), (theirs, _) = (time_to_error_problems.build(cfg, ours=is_ours) for is_ours in (True, False))
    networks = [task.emulator.network for task in (ours, theirs)]
    assert [type(network).__name__ for network in networks] == ["FNO", "NeuralOperatorModel"]
    assert len({sum(parameter.numel() for parameter in network.parameters()) for network in networks}) == 1
    z = ours.emulator.encode(next(iter(windows.train_dataloader())))[:, 0]
    with torch.no_grad():
        first, second = (network(z) for network in networks)
    # The mean is not of the weights' making alone, so rounding is measured against what varies.
    assert (first - second).abs().max() <= 1e-4 * first.std()


@pytest.mark.parametrize("modes", [(3,), (3, 2)])
def test_any_fno_of_ours_is_the_same_map_in_neuraloperators_layers(modes: tuple[int, ...]) -> None:
    fno = time_to_error_problems.FNO(2, 1, width=4, modes=modes, depth=2, expansion=1.0, ratio=3)
    x = torch.randn(2, 2, *(16 for _ in modes))
    with torch.no_grad():
        expected, found = fno(x), time_to_error_problems.as_neuraloperator(fno)(x)
    assert (expected - found).abs().max() <= 1e-5 * expected.abs().max()


def test_both_packages_see_the_same_batches_and_take_the_same_steps(pair: dict[str, Any], data: Path) -> None:
    (curve, end), (other_curve, other_end) = pair["neuraloperator"], pair["rollwave"]
    assert [point["step"] for point in curve] == [4, 8, 12]
    assert len(end["losses"]) == time_to_error_worker.FIRST
    assert end["losses"] == pytest.approx(other_end["losses"], rel=1e-5)
    assert [p["error"] for p in curve] == pytest.approx([p["error"] for p in other_curve], rel=1e-5)
    # Another seed has other batches and other weights, and that is seen at this precision.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_to_error_worker, "prepare_memory", lambda kind: True)
        _, another = trained("rollwave", data, seed=1)
    assert another["losses"] != pytest.approx(other_end["losses"], rel=1e-3)


def test_seconds_grow_with_training_and_leave_validation_out(
    data: Path, pair: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [point["seconds"] for point in pair["rollwave"][0]]
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    clock = iter(range(1000))
    # A clock that ticks when it is read: twice a slice, around training alone.
    monkeypatch.setattr(time_to_error_worker.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(time_to_error_worker, "prepare_memory", lambda kind: True)
    curve, _ = trained("rollwave", data)
    assert [point["seconds"] for point in curve] == [1, 2, 3]


def test_persistence_is_the_error_of_predicting_no_change(data: Path) -> None:
    _, windows = time_to_error_problems.build(TINY.config(data, 0), ours=True)
    dataset = windows.val_dataloader().dataset
    frames = torch.stack([dataset[index][1] for index in range(len(dataset))]).double()
    errors = [(u - v).square().sum().sqrt() / v.square().sum().sqrt() for u, v in frames]
    assert time_to_error_problems.persistence(windows) == pytest.approx(float(sum(errors)) / len(errors), rel=1e-12)


def curve(rate: float, *, slices: int = 10, seconds: float = 2.0) -> list[dict[str, Any]]:
    """`e = exp(-rate t)`, validated every `seconds`."""
    times = [seconds * n for n in range(1, slices + 1)]
    return [{"step": 10 * n, "seconds": t, "error": math.exp(-rate * t)} for n, t in enumerate(times, start=1)]


@pytest.mark.parametrize("time", [3.0, 4.5, 19.9])
def test_an_exponential_curve_crosses_where_the_exponential_does(time: float) -> None:
    found = time_to_error_curves.crossing(curve(0.3), math.exp(-0.3 * time))
    assert found == pytest.approx({"seconds": time, "step": 5 * time})


def test_the_first_crossing_counts_and_none_is_invented() -> None:
    rising = curve(0.3)
    rising[4]["error"] = 1.0
    assert time_to_error_curves.crossing(rising, math.exp(-0.3 * 7)) == pytest.approx({"seconds": 7.0, "step": 35.0})
    assert time_to_error_curves.crossing(curve(0.3), math.exp(-0.3 * 20.1)) is None
    # Below from the first validation on: no earlier time is known.
    assert time_to_error_curves.crossing(curve(0.3), 1.0) == {"seconds": 2.0, "step": 10}


def run(factor: float) -> dict[str, Any]:
    """A run in which neuraloperator takes `factor` times as long as rollwave, and half of that with its memory kept."""
    factors = {"neuraloperator": factor, "neuraloperator, memory kept": factor / 2, "rollwave": 1.0}
    curves = {name: curve(0.3 / value, seconds=2 * value) for name, value in factors.items()}
    about = {"device": "a machine", "cores": 2, "versions": dict.fromkeys(("torch", "neuraloperator", "commit"), "1")}
    losses = {name: [1.0, 0.5 + 1e-7 * (name == "rollwave")] for name in factors}
    return {"about": about, "curves": curves, "losses": losses, "parameters": dict.fromkeys(factors, 7)}


def entry(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """A problem in the file of results: it reaches 0.1 but not 0.001."""
    return {
        "setting": {"name": "tiny", "label": "Tiny", "steps": 100, "every": 10},
        "interval": 1.0, "network": {"modes": [4]}, "windows": {"train": 9, "valid": 3}, "persistence": 0.1,
        "runs": dict(enumerate_as_text(runs)), "whole": time_to_error_curves.whole(runs),
        "thresholds": time_to_error_curves.summary("tiny", 0.1, runs),
    }  # fmt: skip


def enumerate_as_text(runs: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(str(seed), one) for seed, one in enumerate(runs)]


def test_ratios_are_those_of_each_seed_and_only_where_all_got_there() -> None:
    reached, missed = entry([run(2.0), run(3.0), run(6.0)])["thresholds"]
    assert reached["ratio"]["stock"] == pytest.approx({"median": 3.0, "first": 2.5, "third": 4.5})
    assert reached["ratio"]["kept"]["median"] == pytest.approx(1.5)
    assert missed["ratio"] is missed["seconds"] is None


def test_the_page_says_what_was_reached_and_what_was_not() -> None:
    (text,) = time_to_error_page.training({"problems": {"tiny": entry([run(2.0), run(3.0), run(6.0)])}})
    assert "| tiny | 0.1, 100 % | 38 / 38 | 23 | 11.5 | 7.68 | 3.00 [2.50, 4.50] | 1.50 [1.25, 2.25] |" in text
    assert "| tiny | 0.0001, 0.1 % | - | reached by 0 of 3 | reached by 0 of 3 | reached by 0 of 3 | - | - |" in text
    assert "differ by at most 2e-07" in text
    assert time_to_error_page.training(None) == []


def test_the_page_on_kernels_takes_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "time_to_error.json").write_text(json.dumps({"problems": {"tiny": entry([run(2.0)])}}))
    assert "## Training until an error is reached" in report.page(tmp_path)


@pytest.mark.slow
def test_a_seed_that_is_kept_is_not_run_again(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, str(root / "benchmarks" / "time_to_error.py"), "--quick", "--out", str(out)]
    command += ["--data", str(tmp_path), "--seeds", "3"]
    told = [subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout for _ in range(2)]
    assert told[0].startswith("tiny, seed 3")
    assert not told[1]
    (measured,) = json.loads(out.read_text())["problems"].values()
    assert measured["runs"].keys() == {"3"}
    assert measured["runs"]["3"]["curves"].keys() == time_to_error_worker.CONTENDERS.keys()
    assert measured["whole"]["first_losses_apart"] < 1e-5
    assert {"device", "cores", "versions"} <= measured["runs"]["3"]["about"].keys()

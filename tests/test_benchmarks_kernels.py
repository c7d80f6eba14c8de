"""What the measurements of kernels and training steps compare, count and tell. No time is asserted."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import crossover

from kernels import agreement, cases, contenders, counting, report, report_gpu, targets

TINY = cases.Case("model", (16,), 4, 4, batch=4)


@pytest.fixture(scope="module")
def measured(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run of the script on tiny sizes, from a folder that holds another package of the same name."""
    pytest.importorskip("neuralop", reason="needs neuraloperator")
    out = tmp_path_factory.mktemp("quick") / "out.json"
    command = [sys.executable, str(root / "benchmarks" / "training_step.py"), "--quick", "--threads", "1"]
    subprocess.run([*command, "--out", str(out)], check=True, capture_output=True, cwd=root)
    return json.loads(out.read_text())


def test_the_quick_path_writes_every_figure_of_every_row(measured: dict[str, Any]) -> None:
    assert {"device", "cores", "load", "libc", "versions", "quick", "rows"} == measured.keys()
    assert {"torch", "neuraloperator", "python", "commit"} == measured["versions"].keys()
    assert [row["part"] for row in measured["rows"]] == ["model", "blocks"]
    for row in measured["rows"]:
        assert row["agreement"]["agrees"]
        assert row["seconds"]["step"].keys() == row["seconds"]["inference"].keys() == contenders.CONTENDERS.keys()
        assert row["micro"].keys() == {"neuraloperator tuned", "rollwave tuned"}
        assert row["counted"].keys() == {"neuraloperator", "rollwave", "rollwave plain"}
        for counted in row["counted"].values():
            assert min(counted["flops"], counted["bytes"], counted["saved"]) > 0
        assert min(row["ceiling"].values()) > 0


def test_ratios_are_those_of_the_times_of_each_round(measured: dict[str, Any]) -> None:
    for row in measured["rows"]:
        for program in ("step", "inference"):
            for name, (theirs, ours) in contenders.RATIOS.items():
                first, second = (row["times"][program][contender] for contender in (theirs, ours))
                quotients = sorted(a / b for a, b in zip(first, second, strict=True))
                found = row["ratio"][program][name]
                assert quotients[0] <= found["first"] <= found["median"] <= found["third"] <= quotients[-1]
                assert found["median"] == pytest.approx(sum(quotients) / 2)


def test_both_packages_are_compared_in_every_parameter(measured: dict[str, Any]) -> None:
    model, blocks = (row["agreement"]["gradients"] for row in measured["rows"])
    _, ours = TINY.build()
    assert model.keys() == dict(ours.named_parameters()).keys()
    assert {name.split(".")[2] for name in blocks} == {"spectral", "local"}


@pytest.mark.parametrize("points", [(16,), (8, 8)])
def test_another_function_or_another_gradient_is_no_agreement(
    points: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("neuralop", reason="needs neuraloperator")
    case = cases.Case("model", points, 4, 4, batch=4)
    assert agreement.compare(case)["agrees"]
    build = cases.Case.build

    def changed(self: cases.Case) -> Any:
        theirs, ours = build(self)
        with torch.no_grad():
            ours.blocks[1].gate.mul_(1.01)
        return theirs, ours

    monkeypatch.setattr(cases.Case, "build", changed)
    assert not agreement.compare(case)["agrees"]


def test_accumulated_gradients_of_micro_batches_are_those_of_the_batch() -> None:
    pytest.importorskip("neuralop", reason="needs neuraloperator")
    found = []
    for micro in (4, 2):
        program = contenders.Program(TINY, contenders.CONTENDERS["rollwave plain"])
        program.micro = micro
        program.step()
        found.append([parameter.grad for parameter in program.model.parameters()])
    for whole, parts in zip(*found, strict=True):
        assert (whole - parts).abs().max() <= 1e-5 * whole.abs().max()


def test_what_is_kept_is_every_piece_of_memory_once_without_parameters() -> None:
    weight = torch.randn(8, 8, requires_grad=True)
    x, y = torch.randn(4, 8, requires_grad=True), torch.randn(4, 8)
    assert counting.saved_bytes(lambda: x @ weight, [weight]) == 4 * 8 * 4
    # The exponential keeps its result and the square keeps the same; a product keeps what the other factor is not.
    assert counting.saved_bytes(lambda: x.exp().square(), [weight]) == 4 * 8 * 4
    assert counting.saved_bytes(lambda: x.exp() * y, [weight]) == 2 * 4 * 8 * 4
    assert counting.saved_bytes(lambda: (x.exp() * y) @ weight + x[:2].sum(), [weight]) == 3 * 4 * 8 * 4


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: torch.randn(4, 8) @ torch.randn(8, 16), 2 * 4 * 8 * 16),
        (lambda: torch.zeros(4, 16).addmm_(torch.randn(4, 8), torch.randn(8, 16)), 2 * 4 * 8 * 16),
        (lambda: torch.zeros(3, 4, 16).baddbmm_(torch.randn(3, 4, 8), torch.randn(3, 8, 16)), 3 * 2 * 4 * 8 * 16),
        (lambda: torch.mm(torch.randn(4, 8), torch.randn(8, 16), out=torch.zeros(4, 16)), 2 * 4 * 8 * 16),
        (lambda: torch.randn(4, 8, dtype=torch.cfloat) @ torch.randn(8, 2, dtype=torch.cfloat), 8 * 4 * 8 * 2),
        (lambda: torch.fft.rfft(torch.randn(3, 16)), 3 * 2.5 * 16 * 4),
        (lambda: torch.fft.fft(torch.randn(3, 16, dtype=torch.cfloat)), 3 * 5 * 16 * 4),
        (lambda: torch.randn(8) + 1, 0),
    ],
)
def test_operations_are_those_of_products_and_transforms(call: Any, expected: float) -> None:
    assert counting.operations(call)["flops"] == expected


def line(label: str, value: float, agrees: bool = True) -> dict[str, Any]:
    """A row in which every ratio is the same."""
    one = {"median": value, "first": value, "third": value}
    part, n, width = label.split()
    points = tuple(int(size) for size in n.split("x"))
    case = cases.Case(part, points, 12, width=int(width))
    row = case.describe() | {"label": case.label, "saved": 0.5, "micro": {}, "agreement": {"agrees": agrees}}
    row["ratio"] = {program: dict.fromkeys(contenders.RATIOS, one) for program in ("step", "inference")}
    row["seconds"] = {program: dict.fromkeys(contenders.CONTENDERS, one) for program in ("step", "inference")}
    return row | {"targets": targets.verdicts(case, row)}


@pytest.mark.parametrize(
    ("label", "aims"),
    [
        ("model 128 32", {"stock": 2.0, "tuned": 1.6, "inference": 2.0}),
        ("model 1024 64", {"stock": 1.5, "inference": 2.0}),
        ("model 64x64 32", {"stock": 2.2, "tuned": 1.75, "inference": 2.0}),
        ("model 64x64 64", {"tuned": 1.75, "inference": 2.0}),
        ("model 128x128 32", {"stock": 5.0, "tuned": 1.75, "inference": 2.0, "memory": 0.6}),
        ("blocks 1024 64", {"blocks": 2.5}),
        ("blocks 64x64 32", {}),
    ],
)
def test_a_target_is_met_from_its_value_on_and_only_by_the_same_function(label: str, aims: dict[str, float]) -> None:
    assert {name: verdict["target"] for name, verdict in line(label, 2.0)["targets"].items()} == aims
    for name, aim in aims.items():
        if name != "memory":
            assert line(label, aim)["targets"][name]["met"]
            assert not line(label, math.nextafter(aim, 0))["targets"][name]["met"]
        assert not line(label, 10.0, agrees=False)["targets"][name]["met"]


def test_the_table_says_what_was_met_and_what_is_another_function() -> None:
    assert "2.00 [2.00, 2.00], 2 met" in report.steps("", [line("model 128 32", 2.0)])
    assert "1.90 [1.90, 1.90], 2 missed" in report.steps("", [line("model 128 32", 1.9)])
    assert "2.60 [2.60, 2.60], 2.5 met" in report.steps("", [line("blocks 1024 32", 2.6)])
    assert "not the same function" in report.steps("", [line("model 128 32", 3.0, agrees=False)])


@pytest.mark.parametrize("card", [None, {"dry_run": True}])
def test_a_card_that_was_not_there_is_said_to_be_not_yet_measured(card: dict[str, Any] | None) -> None:
    assert "not yet measured" in report.on_a_card(card)


def test_the_page_on_kernels_is_what_the_measurements_say(root: Path) -> None:
    assert (root / "kernels" / "README.md").read_text() == report.page(root / "benchmarks" / "results")


def test_the_dry_run_for_a_card_agrees_in_every_kernel_block_and_model_and_writes_nothing(
    root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("triton", reason="needs triton")
    out = tmp_path / "out.json"
    command = [sys.executable, str(root / "benchmarks" / "gpu.py"), "--dry-run", "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir())
    for title in ("Every kernel", "Weak modes", "forward and backward", "A training step"):
        assert title in result.stdout
    assert report_gpu.predicted() in result.stdout
    assert "failed" not in result.stdout


def test_what_a_card_had_no_time_for_stands_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="needs triton")
    import gpu

    row = {"label": "a row"}
    monkeypatch.setattr(gpu, "plan", lambda *_: iter([("kernels", "first", lambda: row)]))
    written: list[dict[str, Any]] = []
    gpu.run(torch.device("cpu"), True, -1.0, lambda measured: written.append(dict(measured)))
    assert written[-1]["left_out"] == ["kernels: first"]


def test_poisoned_memory_shows_what_a_kernel_leaves_unwritten() -> None:
    pytest.importorskip("triton", reason="needs triton")
    from kernels.gpu_check import poisoned, worst

    def half(x: Tensor) -> Tensor:
        out = x.new_empty(x.shape)
        out[: len(x) // 2] = x[: len(x) // 2]
        return out

    x = torch.randn(4)
    with poisoned():
        assert worst(half(x), x.double()) == math.inf
        assert worst(x.clone(), x.double()) == 0
    assert torch.empty(3, dtype=torch.int64).dtype == torch.int64
    assert worst(x[:3], x.double()[:3] + 1e-3 * x.double()[:3].abs().max()) == pytest.approx(1e-3, rel=0.2)


def test_a_crossing_is_measured_both_ways_and_told() -> None:
    row = crossover.measure((16,), 3, 0.0)
    assert row["ratio"] > 0
    assert min(row["dft"], row["fft"]) > 0
    measured = {"width": 32, "threads": 1, "versions": {"commit": "abc"}, "rows": [row | {"ratio": 1.25}]}
    (text,) = report.crossover(measured)
    assert "| 16 | 3 | 16 |" in text
    assert "| 1.25 |" in text
    assert report.crossover(None) == []

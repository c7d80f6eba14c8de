"""The measure of DyMixOp's source, and the page of the flows on which it is taken."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import own_flows


def test_the_error_is_relative_to_the_truth_over_everything_and_begins_behind_the_frames_that_are_seen() -> None:
    frames = own_flows.SEEN + own_flows.STEPS
    fields = torch.randn(3, frames + 1, 2, 8)
    truth = fields[:, own_flows.SEEN : frames]

    def forecast(start: Tensor, steps: int) -> Tensor:
        assert torch.equal(start, fields[: len(start), own_flows.SEEN - 1 : own_flows.SEEN])
        assert steps == own_flows.STEPS
        return 1.1 * truth

    found = own_flows.relative(forecast, fields)
    assert found["all"] == pytest.approx(0.01, rel=1e-5)
    assert found["steps"] == pytest.approx([0.01] * own_flows.STEPS, rel=1e-5)


def test_large_trajectories_count_more() -> None:
    fields = torch.ones(2, own_flows.SEEN + own_flows.STEPS, 1, 4)
    fields[0] *= 3

    def forecast(start: Tensor, steps: int) -> Tensor:
        small = (start == 1).all(dim=(1, 2, 3), keepdim=True)
        return (start + small).expand(-1, steps, -1, -1)

    assert own_flows.relative(forecast, fields)["all"] == pytest.approx(1 / (9 + 1))


def test_batches_change_nothing() -> None:
    fields = torch.randn(7, own_flows.SEEN + own_flows.STEPS, 1, 4)
    found = [
        torch.stack(own_flows.squares(lambda start, steps: start.expand(-1, steps, -1, -1), fields, batch=batch))
        for batch in (2, 7)
    ]
    torch.testing.assert_close(*found)


def record(seed: int, error: float) -> dict[str, Any]:
    figures = {name: {"all": 1.0, "steps": [1.0] * 10} for name in ("persistence", "climatology", "solver")}
    figures["model"] = {"all": error, "steps": [error / 10, error * 10]}
    training = {"parameters": 1234, "steps": 4000, "seconds": 90.0 * (seed + 1)}
    told = {"flow": "ks_tiny", "seed": seed, "device": "cpu", "commit": "abc", "overrides": ["data.batch_size=8"]}
    return told | {"training": training, "relative_mse": figures}


def test_a_row_holds_the_median_and_the_spread_over_seeds() -> None:
    page = own_flows.page([record(0, 2e-4), record(1, 4e-4), record(2, 3e-4)])
    *_, row, _, note = page.splitlines()
    assert note.endswith("operator.width=16 operator.depth=2 data.batch_size=8`, commit abc.")
    assert "| 3 | 0.0003 [0.0002, 0.0004] | 3e-05 [2e-05, 4e-05] | 0.003 [0.002, 0.004] |" in row
    assert "| 4,000 steps, up to 4 min on cpu |" in row
    assert "| 0.0003 [0.0003, 0.0003] |" in own_flows.page([record(0, 3e-4)])


def test_the_page_is_what_the_records_say() -> None:
    records = [json.loads(path.read_text()) for path in sorted(own_flows.RESULTS.glob("*.json"))]
    assert own_flows.PAGE.read_text() == own_flows.page(records)

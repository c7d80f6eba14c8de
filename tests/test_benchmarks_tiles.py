"""The search for tiles, on costs that are known."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import tune_tiles

from rollwave.kernels import triton_configs
from rollwave.kernels.triton_configs import Tiles

START = Tiles({"J": 128, "N": 64}, warps=4, stages=3)


def distance(tiles: Tiles) -> float:
    """Least, and 1, at tiles of 32 by 128, eight warps and two stages; a factor of two in one number costs a tenth."""
    there = math.log2(tiles.largest["J"] / 32), math.log2(tiles.largest["N"] / 128)
    return 1 + 0.1 * sum(map(abs, (*there, math.log2(tiles.warps / 8), tiles.stages - 2)))


def test_the_descent_finds_the_least_cost() -> None:
    best, least = tune_tiles.descend(START, distance, lambda: False)
    assert best == Tiles({"J": 32, "N": 128}, warps=8, stages=2)
    assert least == 1


def test_a_gain_within_the_noise_changes_nothing() -> None:
    best, _ = tune_tiles.descend(START, lambda tiles: 1 + tune_tiles.GAIN * distance(tiles) / 10, lambda: False)
    assert best == START


def test_what_fails_is_never_taken_and_no_time_is_the_table_itself() -> None:
    best, _ = tune_tiles.descend(
        START, lambda tiles: math.inf if tiles.largest["J"] < 128 else distance(tiles), lambda: False
    )
    assert best == Tiles({"J": 128, "N": 128}, warps=8, stages=2)
    assert tune_tiles.descend(START, distance, lambda: True) == (START, distance(START))


def test_tiles_that_compute_something_else_cost_infinitely_much() -> None:
    operands = torch.ones(4)

    def doubled(x: torch.Tensor) -> torch.Tensor:
        return 2 * x if triton_configs.table()["stage"].warps == 4 else 3 * x

    row = SimpleNamespace(call=doubled, definition=lambda x: 2 * x, operands=lambda: (operands,))
    cost = tune_tiles.costs("stage", [row], torch.device("cpu"))
    kept = triton_configs.table()["stage"]
    assert cost(Tiles({"K": 64}, warps=4, stages=1)) < math.inf
    assert cost(Tiles({"K": 64}, warps=8, stages=1)) == math.inf
    assert triton_configs.table()["stage"] == kept


def test_a_card_s_table_is_written_beside_the_others_and_read_for_that_card_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tiles.json"
    file.write_text(triton_configs.FILE.read_text())
    tuned = Tiles({"K": 256}, warps=2, stages=1)
    triton_configs.keep({"stage": tuned}, "7.5", file)
    before = json.loads(triton_configs.FILE.read_text())
    assert json.loads(file.read_text()) == before | {"7.5": {"stage": {"largest": {"K": 256}, "warps": 2, "stages": 1}}}
    monkeypatch.setattr(triton_configs, "FILE", file)
    for card, expected in (("7.5", tuned), ("none", Tiles(**before["default"]["stage"]))):
        monkeypatch.setattr(triton_configs, "architecture", lambda card=card: card)
        triton_configs.table.cache_clear()
        assert triton_configs.table()["stage"] == expected
        assert triton_configs.table()["mix"] == Tiles(**before["default"]["mix"])
    triton_configs.table.cache_clear()

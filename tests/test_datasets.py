"""Windows, statistics and memory of `TrajectoryDataset` on a generated dataset."""

import copy
import gc
import io
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import torch
import yaml
from torch.utils.data import DataLoader

from rollwave.datasets import (
    DatasetError,
    Recipe,
    TrajectoryDataset,
    compute_statistics,
    ensure_dataset,
    load_recipe,
    open_source,
)

# Seconds would be too long: the whole of it takes a few hundredths of one.
TINY = {
    "name": "tiny",
    "equation": {"_target_": "rollwave.solvers.KuramotoSivashinsky"},
    "points": [32],
    "lengths": [22.0],
    "dt": 0.1,
    "interval": 0.5,
    "warmup": 1.0,
    "frames": 12,
    "test_frames": 20,
    "train": 5,
    "valid": 2,
    "test": 3,
    "block": 2,
    "trajectories_per_file": 2,
    "certificate": {"samples": 0},
}


def tiny(**changes: object) -> Recipe:
    return Recipe.from_dict(copy.deepcopy(TINY) | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_dataset(tiny(), tmp_path_factory.mktemp("data"), workers=1)


def stored(folder: Path, split: str) -> np.ndarray:
    """All trajectories of a split, read with nothing but h5py."""
    parts = []
    for path in sorted((folder / "data" / split).glob("*.hdf5")):
        with h5py.File(path) as file:
            parts.append(file["t0_fields/u"][:])
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("frames", "time_stride", "window_stride"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (4, 3, 2), (12, 1, 5)]
)
def test_every_window_is_a_slice_of_one_trajectory(
    folder: Path, frames: int, time_stride: int, window_stride: int
) -> None:
    dataset = TrajectoryDataset(folder, "train", frames=frames, time_stride=time_stride, window_stride=window_stride)
    truth, span = stored(folder, "train"), (frames - 1) * time_stride + 1
    expected = [
        row[start : start + span : time_stride, None]
        for row in truth
        for start in range(0, truth.shape[1] - span + 1, window_stride)
    ]
    assert len(dataset) == len(expected)
    for index, window in enumerate(expected):
        item = dataset[index]
        assert item.dtype == torch.float32
        assert item.is_contiguous()
        np.testing.assert_array_equal(item.numpy(), window)
    np.testing.assert_array_equal(dataset[-1].numpy(), expected[-1])
    with pytest.raises(IndexError, match="window must lie in"):
        dataset[len(dataset)]


def test_full_trajectories_of_the_test_split_are_longer(folder: Path) -> None:
    dataset = TrajectoryDataset(folder, "test", frames=2)
    assert dataset.trajectories == 3
    for index, row in enumerate(stored(folder, "test")):
        np.testing.assert_array_equal(dataset.trajectory(index)[:, 0].numpy(), row)
    assert dataset.trajectory(0).shape == (20, 1, 32)


def test_a_window_longer_than_a_trajectory_is_refused_with_both_lengths(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"needs 13 stored frames, but the trajectories of split 'train' have 12"):
        TrajectoryDataset(folder, "train", frames=13)
    with pytest.raises(DatasetError, match="no split 'dev'"):
        TrajectoryDataset(folder, "dev", frames=1)


@pytest.mark.parametrize("stride", [1, 3])
def test_statistics_are_those_of_the_training_split_alone(folder: Path, stride: int) -> None:
    truth = stored(folder, "train").astype(np.float64)
    delta = truth[:, stride:] - truth[:, :-stride]
    found = TrajectoryDataset(folder, "test", frames=2, time_stride=stride).statistics
    expected = [truth.mean(), truth.std(), delta.mean(), delta.std(), truth.min(), truth.max()]
    for value, wanted in zip(found.to_dict().values(), expected, strict=True):
        assert value[0] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    other = stored(folder, "test").astype(np.float64)
    assert abs(found.std[0] - other.std()) > 1e-6


def test_statistics_do_not_depend_on_the_piece_that_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(folder)
    whole = compute_statistics(source, time_stride=2).to_dict()
    monkeypatch.setattr("rollwave.datasets.statistics.PIECE", 5 * 32)
    for key, value in compute_statistics(source, time_stride=2).to_dict().items():
        np.testing.assert_allclose(value, whole[key], rtol=1e-12, atol=1e-13)


def test_the_yaml_beside_the_data_has_the_wells_keys(folder: Path) -> None:
    table = yaml.safe_load((folder / "stats.yaml").read_text())
    assert set(table) >= {"mean", "std", "rms", "mean_delta", "std_delta", "rms_delta"}
    truth = stored(folder, "train").astype(np.float64)
    assert table["rms"]["u"] == pytest.approx(np.sqrt(np.square(truth).mean()), rel=1e-12)
    assert table["rms_delta"]["u"] == pytest.approx(np.sqrt(np.square(np.diff(truth, axis=1)).mean()), rel=1e-12)


def test_metadata_names_the_equation_and_rebuilds_it(folder: Path) -> None:
    metadata = TrajectoryDataset(folder, "train", frames=2).metadata
    assert (metadata.name, metadata.equation, metadata.channels) == ("tiny", "kuramoto_sivashinsky", ("u",))
    assert (metadata.points, metadata.lengths, metadata.interval) == ((32,), (22.0,), 0.5)
    assert metadata.trajectories == {"train": 5, "valid": 2, "test": 3}
    assert metadata.frames == {"train": 12, "valid": 12, "test": 20}
    recipe = load_recipe(folder)
    assert recipe.build_equation().name == metadata.equation
    assert recipe.equation == metadata.equation_config
    assert recipe.build_grid().points == (32,)
    assert recipe == tiny()
    buffer = io.BytesIO()
    torch.save(metadata.to_dict(), buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True) == metadata.to_dict()


@pytest.mark.parametrize(("context", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_read_what_the_process_reads(folder: Path, context: str, workers: int) -> None:
    dataset = TrajectoryDataset(folder, "train", frames=3)
    expected = torch.stack([dataset[index] for index in range(len(dataset))])
    loader = DataLoader(dataset, batch_size=7, num_workers=workers, multiprocessing_context=context)
    assert torch.equal(torch.cat(list(loader)), expected)


def test_a_pickled_dataset_carries_no_open_file(folder: Path) -> None:
    dataset = TrajectoryDataset(folder, "train", frames=3)
    first = dataset[0]
    assert len(dataset._pool) == 1
    again = pickle.loads(pickle.dumps(dataset))
    assert len(again._pool) == 0
    assert torch.equal(again[0], first)


def test_no_file_is_opened_before_it_is_read_and_few_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ensure_dataset(tiny(train=36, trajectories_per_file=1, block=36), tmp_path, workers=1)
    opened: list[str] = []
    original = h5py.File.__init__

    def spy(self: h5py.File, name: object, *args: object, **kwargs: object) -> None:
        opened.extend([name] if isinstance(name, str) else [])
        original(self, name, *args, **kwargs)

    monkeypatch.setattr(h5py.File, "__init__", spy)
    dataset = TrajectoryDataset(folder, "train", frames=12)
    assert opened == []
    for index in range(len(dataset)):
        assert dataset[index].shape == (12, 1, 32)
    assert len(opened) == 36
    assert len(dataset._pool) == dataset._pool.limit < 36


def test_memory_stays_flat_over_many_reads(tmp_path: Path) -> None:
    folder = ensure_dataset(tiny(train=40, block=40, trajectories_per_file=1), tmp_path, workers=1)
    dataset = TrajectoryDataset(folder, "train", frames=4)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()[:150]

    def sweep() -> int:
        for index in order:
            dataset[index]
        gc.collect()
        return psutil.Process(os.getpid()).memory_info().rss

    sweep()
    before = sweep()
    after = max(sweep() for _ in range(3))
    assert after - before < 3e6

"""Which windows a process sees, in which order, and where it goes on after an interruption."""

from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training_helpers import FRAMES, waves, write_waves

from rollwave.datasets import TrajectoryDataModule
from rollwave.datasets.sampler import GlobalBatchSampler, ResumableLoader, evaluation_batches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_waves(tmp_path_factory.mktemp("data") / "waves", {"train": 3, "valid": 2, "test": 1})


def order(sampler: GlobalBatchSampler, epoch: int) -> list[list[int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_an_epoch_visits_every_window_once_and_drops_the_rest() -> None:
    batches = order(GlobalBatchSampler(50, 8, seed=1), 0)
    seen = [index for batch in batches for index in batch]
    assert len(batches) == len(GlobalBatchSampler(50, 8)) == 6
    assert len(set(seen)) == len(seen) == 48
    assert set(seen) < set(range(50))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    first = order(GlobalBatchSampler(50, 8, seed=1), 3)
    torch.manual_seed(7)
    assert order(GlobalBatchSampler(50, 8, seed=1), 3) == first
    assert order(GlobalBatchSampler(50, 8, seed=2), 3) != first
    assert order(GlobalBatchSampler(50, 8, seed=1), 4) != first
    assert sorted(chain(*order(GlobalBatchSampler(48, 8, seed=1), 4))) == list(range(48))


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_processes_share_each_global_batch(world_size: int) -> None:
    whole = order(GlobalBatchSampler(50, 8, seed=1), 2)
    parts = [
        order(GlobalBatchSampler(50, 8, rank=rank, world_size=world_size, seed=1), 2) for rank in range(world_size)
    ]
    assert [list(chain(*pieces)) for pieces in zip(*parts, strict=True)] == whole


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of the number of processes, 3; got 8"):
        GlobalBatchSampler(50, 8, world_size=3)
    with pytest.raises(ValueError, match="fewer than one global batch"):
        GlobalBatchSampler(5, 8)


@pytest.mark.parametrize(
    ("length", "batch_size", "world_size"), [(10, 4, 2), (9, 4, 4), (1, 4, 2), (5, 6, 3), (12, 4, 1)]
)
def test_evaluation_sees_every_window_with_equal_work_for_each_process(
    length: int, batch_size: int, world_size: int
) -> None:
    parts = [evaluation_batches(length, batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert {index for part in parts for batch in part for index in batch} == set(range(length))
    shapes = [[len(batch) for batch in part] for part in parts]
    assert all(shape == shapes[0] and max(shape) <= batch_size // world_size for shape in shapes)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_after_the_batches_it_delivered(workers: int) -> None:
    def loader() -> ResumableLoader:
        sampler = GlobalBatchSampler(40, 8, seed=1)
        return ResumableLoader(torch.arange(40), batch_sampler=sampler, num_workers=workers)

    first = loader()
    first.batch_sampler.set_epoch(2)
    whole = [batch.tolist() for batch in first]
    iterator = iter(first)
    begun = [next(iterator).tolist() for _ in range(2)]
    state = first.state_dict()
    assert state == {"epoch": 2, "batches": 2}
    second = loader()
    second.load_state_dict(state)
    going = iter(second)
    second.batch_sampler.set_epoch(2)
    assert begun + [batch.tolist() for batch in going] == whole
    assert [batch.tolist() for batch in second] == whole


def test_a_position_counts_in_its_own_epoch_only() -> None:
    sampler = GlobalBatchSampler(40, 8)
    loader = ResumableLoader(torch.arange(40), batch_sampler=sampler)
    loader.load_state_dict({"epoch": 2, "batches": 3})
    sampler.set_epoch(3)
    assert len(list(loader)) == 5


def test_windows_are_as_long_as_history_and_horizon(folder: Path) -> None:
    data = TrajectoryDataModule(folder, history=2, horizon=3, validation_steps=5, batch_size=4)
    data.setup("fit")
    assert next(iter(data.train_dataloader())).shape == (4, 5, 1, 16)
    index, window = next(iter(data.val_dataloader()))
    assert index.tolist() == [0, 1, 2, 3]
    assert window.shape == (4, 7, 1, 16)
    truth = torch.from_numpy(waves(1, 2))[:, :, None]
    assert torch.equal(window, torch.stack([truth[0, :7], truth[0, 5:12], truth[1, :7], truth[1, 5:12]]))


def test_a_stride_widens_windows_and_deltas(folder: Path) -> None:
    data = TrajectoryDataModule(folder, horizon=2, validation_steps=3, batch_size=4, time_stride=3)
    data.setup()
    truth = torch.from_numpy(waves(0, 3))[:, :, None]
    windows = {tuple(window.flatten().tolist()) for batch in data.train_dataloader() for window in batch}
    expected = {tuple(truth[i, s : s + 7 : 3].flatten().tolist()) for i in range(3) for s in range(FRAMES - 6)}
    assert windows <= expected
    assert data.statistics.delta_std[0] == pytest.approx(
        float((truth[:, 3:] - truth[:, :-3]).double().std(correction=0)), rel=1e-5
    )


def test_the_test_split_stays_closed_while_fitting(folder: Path, tmp_path: Path) -> None:
    untested = write_waves(tmp_path / "untested", {"train": 3, "valid": 2})
    data = TrajectoryDataModule(untested, batch_size=4, validation_steps=5)
    data.setup("fit")
    assert data.metadata.channels == ("u",)
    with pytest.raises(ValueError, match="no split 'test'"):
        data.setup("test")
    tested = TrajectoryDataModule(folder, batch_size=4, validation_steps=5)
    tested.setup("test")
    assert [len(index) for index, _ in tested.test_dataloader()] == [2]


def test_workers_read_what_one_process_reads(folder: Path) -> None:
    read = []
    for workers in (0, 2):
        data = TrajectoryDataModule(folder, batch_size=4, validation_steps=5, workers=workers)
        data.setup()
        read.append(
            [torch.stack(list(data.train_dataloader())), torch.cat([window for _, window in data.val_dataloader()])]
        )
    assert all(torch.equal(a, b) for a, b in zip(*read, strict=True))


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_memory_is_pinned_where_the_trainer_runs_on_cuda(
    folder: Path, device: str, pinned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    data = TrajectoryDataModule(folder, batch_size=2, validation_steps=2)
    data.setup()
    assert not data.train_dataloader().pin_memory
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)  # type: ignore[assignment]
    assert data.train_dataloader().pin_memory is data.val_dataloader().pin_memory is pinned

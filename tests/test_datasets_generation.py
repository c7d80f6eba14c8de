"""Generation: the same bytes whatever happens on the way, and refusals that say what to do."""

import errno
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from test_datasets import TINY, stored, tiny

from rollwave.datasets import (
    GenerationError,
    Recipe,
    TrajectoryDataset,
    ensure_dataset,
    load_recipe,
)
from rollwave.datasets.blocks import compute_block, store_block
from rollwave.datasets.workplace import abandon, locked


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def in_child(task: object) -> int:
    """Run a function in a forked process; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        logging.disable()
        code = 1
        try:
            task()  # type: ignore[operator]
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture(scope="module", autouse=True)
def _fixed_versions() -> Iterator[None]:
    """A commit in the middle of the suite is another version."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rollwave.datasets.provenance.commit", lambda: "0" * 40)
        yield


@pytest.fixture(scope="module")
def undisturbed(_fixed_versions: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return contents(ensure_dataset(tiny(), tmp_path_factory.mktemp("undisturbed"), workers=1))


# Where a file appears, changes its name or goes.
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def generate_and_die(root: Path, moment: int, *, recipe: Recipe | None = None, overwrite: bool = False) -> None:
    """Generate, and be killed at the `moment`-th change of the file system. Only temporary files are written to."""
    seen = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in EVENTS and str(root) in str(arguments[0]):
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
                assert str(arguments[0]).endswith((".tmp", "/discard"))

    sys.addaudithook(count)
    ensure_dataset(recipe or tiny(), root, workers=1, overwrite=overwrite)


def test_a_kill_at_any_change_of_the_file_system_changes_no_byte(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    moment, died = 1, True
    while died:
        root = tmp_path / str(moment)
        died = in_child(lambda root=root, moment=moment: generate_and_die(root, moment)) == -signal.SIGKILL
        folder = root / "tiny"
        assert died or contents(folder) == undisturbed
        if died and moment % 2:
            # The run that repairs may be killed as well.
            in_child(lambda root=root: generate_and_die(root, 9))
        assert in_child(lambda root=root: ensure_dataset(tiny(), root, workers=1)) == 0
        assert contents(folder) == undisturbed
        assert sorted(path.name for path in folder.iterdir()) == ["data", "manifest.json", "stats.yaml"]
        shutil.rmtree(root)
        moment += 7
    assert moment > 60


def test_a_kill_while_overwriting_leaves_the_old_dataset_or_none(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    other = tiny(seed=3)
    for moment in range(1, 26, 4):
        root = tmp_path / str(moment)
        ensure_dataset(other, root, workers=1)
        died = in_child(lambda root=root, moment=moment: generate_and_die(root, moment, overwrite=True))
        assert died == -signal.SIGKILL
        if (root / "tiny/manifest.json").is_file():
            with pytest.raises(ValueError, match="seed: 3 there, 0 asked"):
                ensure_dataset(tiny(), root, workers=1)
            ensure_dataset(tiny(), root, workers=1, overwrite=True)
        else:
            ensure_dataset(tiny(), root, workers=1)
        assert contents(root / "tiny") == undisturbed


def test_an_interrupted_dataset_is_no_dataset(tmp_path: Path) -> None:
    assert in_child(lambda: generate_and_die(tmp_path, 60)) == -signal.SIGKILL
    with pytest.raises(ValueError, match=r"interrupted; run the same generate.py command again"):
        TrajectoryDataset(tmp_path / "tiny", "train", frames=2)


def test_finished_blocks_are_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, computed = tiny(trajectories_per_file=5), []

    def stop(recipe: Recipe, split: str, number: int) -> np.ndarray:
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append((split, number))
        return compute_block(recipe, split, number)

    monkeypatch.setattr("rollwave.datasets.blocks.compute_block", stop)
    with pytest.raises(KeyboardInterrupt):
        ensure_dataset(recipe, tmp_path, workers=1)
    damaged = next((tmp_path / "tiny/.partial").glob("train_00001_*.block"))
    damaged.write_bytes(b"\0" + damaged.read_bytes()[1:])
    assert computed == [("train", 0), ("train", 1)]
    computed.append(("", -1))
    ensure_dataset(recipe, tmp_path, workers=1)
    assert computed[3:] == [("train", 1), ("train", 2), ("valid", 0), ("test", 0), ("test", 1)]


def test_partial_work_of_other_code_is_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, undisturbed: dict[str, str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("rollwave.datasets.provenance.commit", lambda: "f" * 40)
        patch.setattr("rollwave.datasets.generation.write_manifest", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ensure_dataset(tiny(), tmp_path, workers=1)
    folder = ensure_dataset(tiny(), tmp_path, workers=1)
    assert "starting over" in caplog.text
    with h5py.File(folder / "data/train/tiny_0000.hdf5") as file:
        assert file["provenance"].attrs["commit"] == "0" * 40


@pytest.mark.parametrize(
    "change", [{"trajectories_per_file": 1}, {"trajectories_per_file": 3}, {"compression": "gzip"}]
)
def test_shards_and_compression_change_no_trajectory(tmp_path: Path, change: dict[str, object]) -> None:
    plain = ensure_dataset(tiny(), tmp_path / "plain", workers=1)
    other = ensure_dataset(tiny(**change), tmp_path / "other", workers=1)
    for split in ("train", "valid", "test"):
        assert stored(plain, split).tobytes() == stored(other, split).tobytes()
    a, b = (json.loads((folder / "manifest.json").read_text()) for folder in (plain, other))
    assert (a["data_hash"], a["statistics"]) == (b["data_hash"], b["statistics"])
    assert a["splits"] != b["splits"]


def test_a_longer_dataset_begins_with_the_shorter_one(tmp_path: Path) -> None:
    short = ensure_dataset(tiny(), tmp_path / "short", workers=1)
    longer = ensure_dataset(tiny(train=8, test=1), tmp_path / "longer", workers=1)
    assert stored(longer, "train")[:5].tobytes() == stored(short, "train").tobytes()
    assert stored(longer, "valid").tobytes() == stored(short, "valid").tobytes()
    assert len({row.tobytes() for split in ("train", "valid", "test") for row in stored(longer, split)}) == 11


def test_two_worker_processes_write_the_same_bytes(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    threads = torch.get_num_threads()
    assert contents(ensure_dataset(tiny(), tmp_path, workers=2)) == undisturbed
    assert torch.get_num_threads() == threads


def test_long_generations_move_to_other_processes_by_themselves(
    tmp_path: Path, undisturbed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[int] = []

    def store(*arguments: Any) -> Path:
        here.append(os.getpid())
        return store_block(*arguments)

    monkeypatch.setattr("rollwave.datasets.blocks.store_block", store)
    monkeypatch.setattr(
        "rollwave.datasets.blocks._store_elsewhere",
        lambda recipe, tasks, folder, workers: (store_block(recipe, *task, folder) for task in tasks),
    )
    assert contents(ensure_dataset(tiny(), tmp_path / "short")) == undisturbed
    assert len(here) == 6
    monkeypatch.setattr("rollwave.datasets.blocks.available_cores", lambda: 2)
    monkeypatch.setattr("rollwave.datasets.blocks.PATIENCE", 0.0)
    assert contents(ensure_dataset(tiny(), tmp_path / "long")) == undisturbed
    assert len(here) == 7


def test_processes_that_ask_at_the_same_time_wait_for_one_another(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            logging.disable()
            code = 1
            try:
                ensure_dataset(tiny(), tmp_path, workers=1)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert contents(tmp_path / "tiny") == undisturbed


def test_the_same_bytes_are_written_at_another_time(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    time.sleep(1.1)
    assert contents(ensure_dataset(tiny(), tmp_path, workers=1)) == undisturbed


def test_another_recipe_is_refused_with_the_keys_that_differ(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    folder = ensure_dataset(tiny(), tmp_path, workers=1)
    other = tiny(seed=3, lengths=[23.0])
    with pytest.raises(
        ValueError, match=r"(?s)lengths: \[22.0\] there, \[23.0\] asked.*seed: 0 there, 3 asked.*overwrite"
    ):
        ensure_dataset(other, tmp_path, workers=1)
    assert contents(folder) == undisturbed
    before = stored(folder, "train")
    ensure_dataset(other, tmp_path, workers=1, overwrite=True)
    assert not np.array_equal(stored(folder, "train"), before)
    ensure_dataset(tiny(), tmp_path, workers=1, overwrite=True)
    assert contents(folder) == undisturbed


def test_a_complete_dataset_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = ensure_dataset(tiny(), tmp_path, workers=1)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    caplog.clear()
    caplog.set_level(logging.INFO)
    assert ensure_dataset(tiny(), tmp_path, workers=1) == folder
    assert f"dataset {folder} is complete" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_a_folder_of_someone_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/thesis.tex").write_text("years")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"holds \['thesis.tex'\], but no dataset that we generated"):
            ensure_dataset(tiny(), tmp_path, workers=1, overwrite=overwrite)
    assert (tmp_path / "tiny/thesis.tex").read_text() == "years"


@pytest.mark.parametrize("failing", range(1, 14, 3))
def test_a_full_disk_loses_nothing(
    tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, str]
) -> None:
    count, original = 0, os.fsync

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count >= 2 * failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            OSError, match=r"no space left; finished blocks are kept in .*run the same command again"
        ) as e:
            ensure_dataset(tiny(), tmp_path, workers=1)
    assert e.value.errno == errno.ENOSPC
    assert str(tmp_path) in str(e.value.filename)
    assert not [name for name in contents(tmp_path) if name.endswith(".tmp")]
    assert contents(ensure_dataset(tiny(), tmp_path, workers=1)) == undisturbed


def test_a_file_larger_than_the_system_allows_is_a_full_disk(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    def limited() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))
        with pytest.raises(OSError, match="no space left"):
            ensure_dataset(tiny(), tmp_path, workers=1)

    assert in_child(limited) == 0
    assert [name for name in contents(tmp_path) if name.endswith(".block")]
    assert not [name for name in contents(tmp_path) if name.endswith(".tmp")]
    assert contents(ensure_dataset(tiny(), tmp_path, workers=1)) == undisturbed


def test_a_recipe_that_blows_up_leaves_the_name_free(tmp_path: Path) -> None:
    stiff = TINY | {
        "equation": {"_target_": "rollwave.solvers.Burgers", "viscosity": 1e-4},
        "initial_condition": {"_target_": "rollwave.solvers.RandomFourierSeries", "rms": 500.0},
    }
    with pytest.raises(GenerationError, match=r"split 'train', trajectory \d: .*; lower dataset.dt"):
        ensure_dataset(Recipe.from_dict(stiff), tmp_path, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_equal_trajectories_of_two_splits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recipe, "split_seed", lambda recipe, split: 7)
    equal = r"trajectory 0 of split 'valid' equals trajectory 0 of split 'train'.*dataset.seed"
    with pytest.raises(GenerationError, match=equal):
        ensure_dataset(tiny(), tmp_path, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("waiters", [1, 2])
def test_who_waited_for_a_folder_that_was_abandoned_holds_the_new_one(tmp_path: Path, waiters: int) -> None:
    folder, holders, ends = tmp_path / "tiny", [], []

    def wait() -> None:
        with locked(folder):
            holders.append(folder.stat().st_ino)
            (folder / "mine").touch(exist_ok=False)
            time.sleep(0.1)
            (folder / "mine").unlink()
        ends.append(None)

    threads = [threading.Thread(target=wait) for _ in range(waiters)]
    with locked(folder):
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        assert holders == []
        abandon(folder)
    for thread in threads:
        thread.join()
    assert len(ends) == waiters
    assert set(holders) == {folder.stat().st_ino}


def test_a_recipe_that_cannot_be_computed_leaves_the_name_free(tmp_path: Path) -> None:
    impossible = tiny(initial_condition={"_target_": "rollwave.solvers.RandomFourierSeries", "modes": 40})
    with pytest.raises(ValueError, match="40 modes need more than 80 points"):
        ensure_dataset(impossible, tmp_path, workers=1)
    folder = ensure_dataset(tiny(), tmp_path, workers=1)
    assert load_recipe(folder) == tiny()


def test_an_error_after_the_first_block_leaves_it_to_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, str]
) -> None:
    def fails(recipe: Recipe, split: str, number: int) -> np.ndarray:
        if number == 1:
            raise ValueError("cosmic ray")
        return compute_block(recipe, split, number)

    with monkeypatch.context() as patch:
        patch.setattr("rollwave.datasets.blocks.compute_block", fails)
        with pytest.raises(ValueError, match="cosmic ray"):
            ensure_dataset(tiny(trajectories_per_file=5), tmp_path, workers=1)
    with pytest.raises(ValueError, match="seed: 0 there, 3 asked"):
        ensure_dataset(tiny(trajectories_per_file=5, seed=3), tmp_path, workers=1)
    assert len(list((tmp_path / "tiny/.partial").glob("*.block"))) == 1
    ensure_dataset(tiny(), tmp_path, workers=1, overwrite=True)
    assert contents(tmp_path / "tiny") == undisturbed


def test_files_say_where_every_trajectory_came_from(tmp_path: Path) -> None:
    folder = ensure_dataset(tiny(), tmp_path, workers=1)
    with h5py.File(folder / "data/train/tiny_0001.hdf5") as file:
        provenance = file["provenance"]
        assert Recipe.from_dict(json.loads(provenance.attrs["recipe"])) == tiny()
        assert provenance["trajectory_seed"][:].tolist() == [[tiny().split_seed("train"), i] for i in (2, 3)]
        assert set(json.loads(provenance.attrs["versions"])) == {"rollwave", "commit", "torch", "processor"}
        assert list(provenance.attrs["units"]) == ["1"]
        values = file["t0_fields/u"][1][:, None]
        assert provenance["trajectory_hash"][1].decode() == hashlib.sha256(values.tobytes()).hexdigest()
        assert file["t0_fields/u"].chunks == (1, 8, 32)
        assert file["t0_fields/u"].compression is None


def test_words_about_a_dataset_are_stored_in_every_file_and_make_no_other_dataset(tmp_path: Path) -> None:
    words = {"source": "Kuramoto & Tsuzuki (1976)", "differences": "shorter box, \u03bb = 0.048"}
    plain = ensure_dataset(tiny(), tmp_path / "plain", workers=1)
    folder = ensure_dataset(tiny(**words), tmp_path, workers=1)
    assert load_recipe(folder).words() == words
    assert load_recipe(plain).words() == {"source": None, "differences": None}
    for path in folder.glob("data/*/*.hdf5"):
        with h5py.File(path) as file:
            assert {key: file["provenance"].attrs[key] for key in words} == words
    manifests = [json.loads((there / "manifest.json").read_text()) for there in (plain, folder)]
    assert [m["data_hash"] for m in manifests] == [manifests[0]["data_hash"]] * 2
    assert [m["recipe"] for m in manifests] == [manifests[0]["recipe"]] * 2
    before = contents(folder)
    ensure_dataset(tiny(source="someone else"), tmp_path, workers=1)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, r"unknown recipe keys \['colour'\]; legal ones are \['block'"),
        ({"dt": None}, r"the recipe lacks \['dt'\]"),
        ({"certificate": {"sample": 1}}, r"unknown recipe keys \['certificate.sample'\]"),
        ({"equation": {"_target_": "os.system"}}, "must be a class of rollwave.solvers"),
        ({"equation": {"_target_": "rollwave.solvers.grid.torch"}}, "must be a class of rollwave.solvers"),
        ({"equation": {"_target_": "rollwave.solvers.Bürgers"}}, r"it has .*Burgers"),
        (
            {"equation": {"_target_": "rollwave.solvers.Burgers", "nu": 1}},
            r"no argument \['nu'\]; it takes \['viscosity'\]",
        ),
        ({"equation": {"_target_": "rollwave.solvers.Linear"}}, "equation must be an Equation, got Linear"),
        ({"stepper": "rollwave.solvers.Grid"}, "stepper must be a Stepper"),
        ({"dt": 0.3}, "dt must divide interval = 0.5"),
        ({"space_stride": 3}, r"space_stride must divide points = \(32,\), got 3"),
        ({"dt": "small"}, "dt must be of type float, got 'small'"),
        ({"certificate": {"tail": 0}}, "certificate.tail must be positive or null, got 0.0"),
        ({"certificate": {"samples": -1}}, "certificate.samples must not be negative, got -1"),
        ({"certificate": {"horizon": 0.7}}, r"certificate.horizon must be a multiple of interval = 0.5.* is 0.5"),
        ({"source": 1976}, "source must be of type str, got 1976"),
        ({"train": 1.5}, "train must be of type int, got 1.5"),
        ({"frames": 0}, "frames must be at least 1, got 0"),
        ({"points": [8, 8], "lengths": [1.0, 1.0]}, "lives on"),
        ({"name": "../up"}, "name must be letters"),
    ],
)
def test_wrong_recipes_say_what_is_legal(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**change)


def test_space_is_stored_at_every_stride(tmp_path: Path) -> None:
    dense = ensure_dataset(tiny(), tmp_path / "dense", workers=1)
    sparse = ensure_dataset(tiny(space_stride=2), tmp_path / "sparse", workers=1)
    np.testing.assert_array_equal(stored(sparse, "train"), stored(dense, "train")[..., ::2])
    assert TrajectoryDataset(sparse, "train", frames=1).metadata.points == (16,)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Even one killed with SIGKILL, in the middle of a long block."""
    from rollwave.datasets.blocks import _start_worker

    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe()

    def parent() -> None:
        child = context.Process(target=_wait_as_worker, args=(send,))
        child.start()
        time.sleep(120)

    process = os.fork()
    if process == 0:
        try:
            parent()
        finally:
            os._exit(1)
    worker = receive.recv()
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and "Z" not in Path(f"/proc/{worker}/stat").read_text().split(")")[1][:3]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert _start_worker is not None


def _wait_as_worker(pipe: object) -> None:
    from rollwave.datasets.blocks import _start_worker

    _start_worker()
    pipe.send(os.getpid())  # type: ignore[attr-defined]
    time.sleep(120)

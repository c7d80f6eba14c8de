"""Files of others: PDEBench, The Well, and what is neither."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from test_datasets import tiny

from rollwave.datasets import DatasetError, TrajectoryDataset, ensure_dataset, open_source

RNG = np.random.default_rng(0)


def coordinates(file: h5py.File, frames: int, *points: int) -> None:
    file["t-coordinate"] = (np.arange(frames) * 0.05).astype("f4")
    for name, count in zip("xyz", points, strict=False):
        file[f"{name}-coordinate"] = ((np.arange(count) + 0.5) * 2 / count).astype("f4")


@pytest.mark.parametrize("surplus", [0, 1])
@pytest.mark.parametrize("points", [(16,), (6, 8)])
def test_pdebench_tensor_files_are_read(tmp_path: Path, points: tuple[int, ...], surplus: int) -> None:
    truth = RNG.standard_normal((10, 7, *points)).astype("f4")
    with h5py.File(tmp_path / "burgers.hdf5", "w") as file:
        file["tensor"] = truth
        coordinates(file, 7 + surplus, *points)
    dataset = TrajectoryDataset(tmp_path / "burgers.hdf5", "train", frames=3)
    metadata = dataset.metadata
    assert (metadata.points, metadata.interval) == (points, 0.05)
    assert metadata.lengths == pytest.approx((2.0,) * len(points), rel=1e-5)
    assert metadata.trajectories == {"train": 8, "valid": 1, "test": 1}
    np.testing.assert_array_equal(dataset[0].numpy(), truth[0, :3, None])
    np.testing.assert_array_equal(dataset[5].numpy(), truth[1, 0:3, None])
    test = TrajectoryDataset(tmp_path / "burgers.hdf5", "test", frames=7)
    np.testing.assert_array_equal(test[0].numpy(), truth[9, :, None])
    wide = truth[:8].astype(np.float64)
    assert test.statistics.std[0] == pytest.approx(wide.std(), rel=1e-10)


def test_pdebench_fluid_files_keep_their_channels_in_order(tmp_path: Path) -> None:
    truth = RNG.standard_normal((4, 5, 4, 6, 8)).astype("f4")
    with h5py.File(tmp_path / "flow.hdf5", "w") as file:
        for channel, name in enumerate(("density", "pressure", "Vx", "Vy")):
            file[name] = truth[:, :, channel]
        coordinates(file, 6, 6, 8)
    dataset = TrajectoryDataset(tmp_path / "flow.hdf5", "train", frames=2, time_stride=2)
    assert dataset.metadata.channels == ("density", "pressure", "Vx", "Vy")
    assert dataset.metadata.points == (6, 8)
    np.testing.assert_array_equal(dataset[1].numpy(), truth[0, 1:4:2])


def test_pdebench_groups_put_channels_first(tmp_path: Path) -> None:
    truth = RNG.standard_normal((5, 4, 6, 8, 2)).astype("f4")
    with h5py.File(tmp_path / "reaction.h5", "w") as file:
        for sample in range(5):
            file[f"{sample:04d}/data"] = truth[sample]
            file[f"{sample:04d}/grid/t"] = np.linspace(0, 1.5, 4, dtype="f4")
            file[f"{sample:04d}/grid/x"] = np.linspace(-1, 1, 6, dtype="f4")
            file[f"{sample:04d}/grid/y"] = np.linspace(-1, 1, 8, dtype="f4")
    dataset = TrajectoryDataset(tmp_path / "reaction.h5", "valid", frames=4)
    assert (dataset.metadata.interval, dataset.metadata.points) == (0.5, (6, 8))
    np.testing.assert_array_equal(dataset[0].numpy(), np.moveaxis(truth[3], -1, 1))


def well_file(path: Path, trajectories: int, *, points: int = 8, frames: int = 6) -> dict[str, np.ndarray]:
    """A two-dimensional file of The Well with a scalar, a vector, a constant field and a field constant along y."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (trajectories, frames, 6, points)
    fields = {
        "t0_fields/pressure": RNG.standard_normal(shape).astype("f4"),
        "t0_fields/profile": RNG.standard_normal(shape[:3]).astype("f4"),
        "t0_fields/mask": RNG.standard_normal((6, points)).astype("f4"),
        "t1_fields/velocity": RNG.standard_normal((*shape, 2)).astype("f4"),
    }
    with h5py.File(path, "w") as file:
        file.attrs.update(dataset_name="foreign", grid_type="cartesian", n_spatial_dims=2, n_trajectories=trajectories)
        for name, values in fields.items():
            field = file.create_dataset(name, data=values)
            constant = name.endswith("mask")
            field.attrs.update(sample_varying=not constant, time_varying=not constant)
            field.attrs["dim_varying"] = [True, not name.endswith("profile")]
        file.create_group("t2_fields").attrs["field_names"] = np.array([], dtype=h5py.string_dtype())
        file["t0_fields"].attrs["field_names"] = ["pressure", "profile", "mask"]
        file["t1_fields"].attrs["field_names"] = ["velocity"]
        file.create_group("scalars").attrs["field_names"] = np.array([], dtype=h5py.string_dtype())
        file["dimensions/time"] = np.arange(frames, dtype="f4") * 0.25
        file["dimensions/x"] = np.arange(6, dtype="f4")
        file["dimensions/y"] = np.linspace(0, 1, points, dtype="f4")
        file["dimensions"].attrs["spatial_dims"] = ["x", "y"]
        for name, kind in (("x", "PERIODIC"), ("y", "WALL")):
            boundary = file.create_group(f"boundary_conditions/{name}_{kind.lower()}")
            boundary.attrs["bc_type"], boundary.attrs["associated_dims"] = kind, [name]
    return fields


def test_files_of_the_well_are_read_with_vectors_as_channels(tmp_path: Path) -> None:
    fields = well_file(tmp_path / "data/train/a.hdf5", 2)
    more = well_file(tmp_path / "data/train/b.h5", 3)
    well_file(tmp_path / "data/valid/c.hdf5", 1)
    dataset = TrajectoryDataset(tmp_path, "train", frames=2)
    metadata = dataset.metadata
    assert metadata.channels == ("pressure", "profile", "velocity_x", "velocity_y")
    assert (metadata.points, metadata.interval, metadata.lengths) == ((6, 8), 0.25, (6.0, 1.0))
    assert metadata.trajectories == {"train": 5, "valid": 1, "test": 0}
    assert (metadata.equation, metadata.equation_config) == ("unknown", None)
    for index, (source, row, start) in {0: (fields, 0, 0), 7: (fields, 1, 2), 24: (more, 2, 4)}.items():
        item = dataset[index].numpy()
        window = slice(start, start + 2)
        np.testing.assert_array_equal(item[:, 0], source["t0_fields/pressure"][row, window])
        profile = np.repeat(source["t0_fields/profile"][row, window, :, None], 8, axis=-1)
        np.testing.assert_array_equal(item[:, 1], profile)
        np.testing.assert_array_equal(item[:, 2:], np.moveaxis(source["t1_fields/velocity"][row, window], -1, 1))


def test_our_files_are_files_of_the_well(tmp_path: Path) -> None:
    folder = ensure_dataset(tiny(), tmp_path, workers=1)
    ours = TrajectoryDataset(folder, "train", frames=2)
    (folder / "manifest.json").unlink()
    theirs = TrajectoryDataset(folder, "train", frames=2)
    assert type(theirs.source) is not type(ours.source)
    assert (theirs.metadata.points, theirs.metadata.lengths) == (ours.metadata.points, ours.metadata.lengths)
    assert theirs.metadata.interval == ours.metadata.interval
    assert len(theirs) == len(ours)
    np.testing.assert_array_equal(theirs[20].numpy(), ours[20].numpy())
    assert theirs.statistics == ours.statistics


def test_files_of_the_well_that_disagree_are_refused(tmp_path: Path) -> None:
    well_file(tmp_path / "data/train/a.hdf5", 2)
    well_file(tmp_path / "data/train/b.hdf5", 2, points=10)
    with pytest.raises(DatasetError, match=r"b\.hdf5: expected the channels, points.*\(6, 8\).*got.*\(6, 10\)"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.__delitem__("dimensions"), r"a\.hdf5: group '/' has no group 'dimensions'; found \["),
        (lambda f: f["t0_fields"].__delitem__("pressure"), r"group '/t0_fields' has no dataset 'pressure'"),
        (lambda f: f.attrs.__delitem__("n_trajectories"), r"'/' has no attribute 'n_trajectories'"),
        (
            lambda f: f.attrs.modify("n_trajectories", 3),
            r"'/t0_fields/pressure' has shape \(2, 6, 6, 8\), expected \(3, 6",
        ),
        (lambda f: f["dimensions/time"].write_direct(np.array([0, 1, 3, 4, 5, 6], "f4")), "expected a uniform"),
    ],
)
def test_damaged_files_of_the_well_are_named_with_group_and_expectation(
    tmp_path: Path, damage: object, message: str
) -> None:
    well_file(tmp_path / "data/train/a.hdf5", 2)
    with h5py.File(tmp_path / "data/train/a.hdf5", "r+") as file:
        damage(file)  # type: ignore[operator]
    with pytest.raises(DatasetError, match=message):
        open_source(tmp_path)


def test_foreign_paths_are_told_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder; expected a generated dataset"):
        open_source(tmp_path / "nothing")
    with pytest.raises(DatasetError, match=r"holds nothing; expected .*The Well's layout.*PDEBench"):
        open_source(tmp_path)
    (tmp_path / "text.hdf5").write_text("not HDF5")
    with pytest.raises(DatasetError, match=r"text\.hdf5: is no readable HDF5 file \(8 bytes"):
        open_source(tmp_path / "text.hdf5")
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["weights"] = [1.0]
    with pytest.raises(DatasetError, match=r"other\.hdf5: group '/' holds \['weights'\]; expected"):
        open_source(tmp_path / "other.hdf5")
    with h5py.File(tmp_path / "truncated.hdf5", "w") as file:
        file["tensor"] = np.zeros((10, 7, 64))
    whole = (tmp_path / "truncated.hdf5").read_bytes()
    (tmp_path / "truncated.hdf5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"truncated\.hdf5: is truncated"):
        open_source(tmp_path / "truncated.hdf5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t-coordinate": np.arange(5.0)}, r"time coordinate has 5 entries, expected 7 as saved \(or 8"),
        ({"x-coordinate": np.arange(9.0)}, r"'x-coordinate' has shape \(9,\), expected \(16,\)"),
        ({"tensor": np.zeros((4, 1, 16))}, "expected trajectories in time, got 1 frame"),
        ({"t-coordinate": None}, "has no dataset 't-coordinate'"),
    ],
)
def test_mismatched_pdebench_files_say_what_does_not_fit(
    tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    parts = {"tensor": np.zeros((4, 7, 16)), "t-coordinate": np.arange(7.0), "x-coordinate": np.arange(16.0)}
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name, values in (parts | change).items():
            if values is not None:
                file[name] = values
    with pytest.raises(DatasetError, match=message):
        open_source(tmp_path / "a.hdf5")


def test_a_shard_that_was_cut_removed_or_swapped_is_named(tmp_path: Path) -> None:
    folder = ensure_dataset(tiny(train=4), tmp_path, workers=1)
    first, second = folder / "data/train/tiny_0000.hdf5", folder / "data/train/tiny_0001.hdf5"
    image, other = first.read_bytes(), second.read_bytes()
    assert len(image) == len(other)
    first.write_bytes(image[:-1000])
    with pytest.raises(
        DatasetError, match=rf"tiny_0000\.hdf5: has {len(image) - 1000} bytes, the manifest says {len(image)}"
    ):
        TrajectoryDataset(folder, "train", frames=2)
    first.unlink()
    with pytest.raises(DatasetError, match=r"tiny_0000\.hdf5: is missing, the manifest says"):
        TrajectoryDataset(folder, "train", frames=2)
    first.write_bytes(other)
    with pytest.raises(
        DatasetError, match=r"tiny_0000\.hdf5: '/provenance' has content_hash .*another dataset or place"
    ):
        TrajectoryDataset(folder, "train", frames=2)[0]

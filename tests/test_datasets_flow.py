"""The flow of a dataset is the solver that made it, as a map of what it stores."""

from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import write_waves

from rollwave.datasets import DatasetError, Recipe, TrajectoryDataset, ensure_dataset, flow

RECIPE: dict[str, Any] = {
    "name": "burgers",
    "equation": {"_target_": "rollwave.solvers.Burgers", "viscosity": 0.1},
    "points": [64],
    "lengths": [6.283185307179586],
    "dt": 0.01,
    "interval": 0.05,
    "frames": 5,
    "train": 2,
    "valid": 1,
    "test": 1,
    "block": 2,
    "certificate": {"samples": 0, "tolerance": None},
}


def frames(root: Path, **changes: Any) -> tuple[Path, torch.Tensor]:
    """The folder of a dataset, and its training trajectories `[b, t, c, x]`."""
    folder = ensure_dataset(Recipe.from_dict(RECIPE | changes), root)
    dataset = TrajectoryDataset(folder, "train", frames=5)
    return folder, torch.stack([dataset[index] for index in range(len(dataset))])


@pytest.mark.parametrize("time_stride", [1, 2])
def test_the_flow_takes_a_frame_to_the_next_one(time_stride: int, tmp_path: Path) -> None:
    """What differs is the rounding of the stored frame to float32, and of the answer."""
    folder, u = frames(tmp_path)
    step = flow(folder, time_stride=time_stride)
    for n in (0, 2):
        difference = step(u[:, n]) - u[:, n + time_stride]
        assert difference.abs().max() < 1e-6 * u.abs().max()
    assert (u[:, time_stride] - u[:, 0]).abs().max() > 1e-2 * u.abs().max()


def test_frames_stored_on_a_part_of_the_grid_flow_on_all_of_it(tmp_path: Path) -> None:
    folder, u = frames(tmp_path, points=[128], space_stride=2)
    assert u.shape[-1] == 64
    assert (flow(folder)(u[:, 1]) - u[:, 2]).abs().max() < 1e-5 * u.abs().max()


def test_the_flow_keeps_the_precision_that_it_is_given(tmp_path: Path) -> None:
    folder, u = frames(tmp_path)
    step = flow(folder)
    single, double = step(u[:, 0]), step(u[:, 0].double())
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert torch.equal(single, double.float())


def test_the_flow_has_a_gradient(tmp_path: Path) -> None:
    """`<w, J v>` by a central difference and `<J^T w, v>` by the backward pass."""
    folder, u = frames(tmp_path)
    step, state = flow(folder), u[:, 0].double().requires_grad_()
    v, w = torch.randn(2, *state.shape, dtype=torch.float64)
    h = 1e-5
    forward = ((step(state + h * v) - step(state - h * v)) / (2 * h)).detach().flatten() @ w.flatten()
    (back,) = torch.autograd.grad(step(state), state, w)
    assert float(back.flatten() @ v.flatten()) == pytest.approx(float(forward), rel=1e-6)


def test_data_without_a_recipe_has_no_flow(tmp_path: Path) -> None:
    folder = write_waves(tmp_path / "waves", {"train": 1})
    with pytest.raises(DatasetError, match=r"holds no recipe.*generate\.py"):
        flow(folder)


def test_wrong_shapes_and_strides_are_explained(tmp_path: Path) -> None:
    folder, u = frames(tmp_path)
    with pytest.raises(ValueError, match=r"takes \('batch', 1, 64\), got \(2, 1, 32\)"):
        flow(folder)(u[:, 0, :, ::2])
    with pytest.raises(ValueError, match="time_stride of a flow must be at least 1 stored frame, got 0"):
        flow(folder, time_stride=0)

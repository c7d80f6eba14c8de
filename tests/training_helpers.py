"""A dataset of travelling waves in The Well's layout, and emulators small enough to train in a second."""

from pathlib import Path

import h5py
import numpy as np
import torch

from rollwave.datasets import TrajectoryDataModule
from rollwave.evaluation import ValidPredictionTime
from rollwave.operators import FNO, Emulator, EmulatorMetadata, Normalizer
from rollwave.training import ForecastTask, OneStep, RelativeL2, WarmupCosine

POINTS, FRAMES, INTERVAL = 16, 13, 0.5


def waves(seed: int, trajectories: int, frames: int = FRAMES) -> np.ndarray:
    """`sum_k a_k sin(k x - k^2 t / 4 + phi_k)`, `k = 1, 2, 3`: dispersive, smooth, periodic on `2 pi`."""
    rng = np.random.default_rng(seed)
    a, phi = rng.normal(size=(2, trajectories, 3, 1, 1))
    k = np.arange(1, 4)[:, None, None]
    t = INTERVAL * np.arange(frames)[:, None]
    x = 2 * np.pi * np.arange(POINTS) / POINTS
    return (a * np.sin(k * x - k**2 * t / 4 + phi)).sum(1).astype(np.float32)


def write_waves(folder: Path, counts: dict[str, int]) -> Path:
    """A dataset folder with `counts` trajectories of each split."""
    for seed, (split, count) in enumerate(counts.items()):
        path = folder / "data" / split / "waves.hdf5"
        path.parent.mkdir(parents=True)
        with h5py.File(path, "w") as file:
            file.attrs.update({"dataset_name": "waves", "n_trajectories": count, "n_spatial_dims": 1})
            file.attrs["grid_type"] = "cartesian"
            dimensions = file.create_group("dimensions")
            dimensions.attrs["spatial_dims"] = ["x"]
            dimensions["x"] = np.arange(POINTS, dtype=np.float32) * np.float32(2 * np.pi / POINTS)
            dimensions["time"] = np.arange(FRAMES, dtype=np.float32) * np.float32(INTERVAL)
            boundary = file.create_group("boundary_conditions/x_periodic")
            boundary.attrs.update({"associated_dims": ["x"], "bc_type": "periodic"})
            for group in ("scalars", "t0_fields", "t1_fields", "t2_fields"):
                file.create_group(group).attrs["field_names"] = ["u"] if group == "t0_fields" else []
            field = file["t0_fields"].create_dataset("u", data=waves(seed, count))
            field.attrs.update({"dim_varying": [True], "sample_varying": True, "time_varying": True})
    return folder


def small_emulator(data: TrajectoryDataModule, seed: int = 0) -> Emulator:
    torch.manual_seed(seed)
    statistics, metadata = data.statistics, data.metadata
    return Emulator(
        FNO(data.history * len(metadata.channels), len(metadata.channels), width=8, modes=(4,), depth=2),
        normalizer=Normalizer(statistics.mean, statistics.std, statistics.delta_std, statistics.low, statistics.high),
        metadata=EmulatorMetadata(
            metadata.equation,
            metadata.channels,
            metadata.points,
            metadata.lengths,
            metadata.interval,
            metadata.data_hash,
        ),
        history=data.history,
    )


def small_task(data: TrajectoryDataModule, **changes: object) -> ForecastTask:
    arguments = {
        "objective": OneStep(),
        "loss": RelativeL2(),
        "optimizer": lambda parameters: torch.optim.AdamW(parameters, lr=3e-3, fused=True),
        "schedule": WarmupCosine(warmup=0.2),
        "horizon_metric": ValidPredictionTime(0.3),
        "ema_decay": 0.9,
    } | changes
    return ForecastTask(small_emulator(data), **arguments)

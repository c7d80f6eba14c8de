"""Blocks: consecutive trajectories computed together, always the same ones, one thread each, in any process."""

import contextlib
import hashlib
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import SimulationError, sample, simulate

from .recipe import Recipe
from .writer import atomic_write

# Seconds of work that are not worth the start of other processes.
PATIENCE = 20.0


class GenerationError(RuntimeError):
    """A dataset could not be generated; says what to change."""


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """One thread for the mathematics: sums over several threads may differ in the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def compute_block(recipe: Recipe, split: str, number: int) -> np.ndarray:
    """Trajectories `number * block, ...` of a split, float32 `[block, frames, channel, *space]`, on the stored grid.

    A block is always computed in full, also where the split ends inside it, so that no trajectory depends on the count.

    Raises:
        GenerationError: a trajectory stopped being finite.
    """
    grid, equation = recipe.build_grid(), recipe.build_equation()
    first = number * recipe.block
    u0 = sample(recipe.build_initial_condition(), grid, batch=recipe.block, seed=recipe.split_seed(split), first=first)
    try:
        u = simulate(
            equation,
            grid,
            u0,
            interval=recipe.interval,
            frames=recipe.frames_of(split) - 1,
            stepper=recipe.stepper_class,
            dt=recipe.dt,
            warmup=recipe.warmup,
        )
    except SimulationError as error:
        raise GenerationError(
            f"dataset '{recipe.name}', split '{split}', trajectory {first + error.sample}: {error}; lower dataset.dt"
        ) from None
    return subsample(u, recipe.space_stride, grid.ndim).to(torch.float32).contiguous().numpy()


def subsample(u: Float[Tensor, "..."], stride: int, ndim: int) -> Float[Tensor, "..."]:
    """Every `stride`-th point along each of the last `ndim` axes."""
    index: list[Any] = [..., *[slice(None, None, stride)] * ndim]
    return u[tuple(index)]


def store_block(recipe: Recipe, split: str, number: int, folder: Path) -> Path:
    """Compute a block into a file whose name holds the hash of its bytes."""
    data = compute_block(recipe, split, number).data.cast("B")
    digest = hashlib.sha256(data).hexdigest()[:16]
    path = folder / f"{split}_{number:05d}_{digest}.block"
    atomic_write(path, data, folder / f"{split}_{number:05d}.{os.getpid()}.tmp")
    return path


def find_block(recipe: Recipe, split: str, number: int, folder: Path) -> Path | None:
    """The file of a finished block whose bytes have the hash in its name; others are removed."""
    for path in folder.glob(f"{split}_{number:05d}_*.block"):
        if hashlib.sha256(path.read_bytes()).hexdigest()[:16] == path.stem.rsplit("_", 1)[1]:
            return path
        path.unlink()
    return None


def load_block(recipe: Recipe, split: str, path: Path) -> np.ndarray:
    """A block as an array that is read from the disk where it is used."""
    shape = (recipe.block, recipe.frames_of(split), len(recipe.build_equation().channels), *recipe.stored_points)
    return np.memmap(path, dtype="<f4", mode="r", shape=shape)


def store_blocks(recipe: Recipe, tasks: list[tuple[str, int]], folder: Path, workers: int | None) -> Iterator[Path]:
    """Compute blocks `(split, number)` in this process or in `workers` others; yields their files in order.

    Without a number of workers, blocks are computed here for a while; if more than `PATIENCE` seconds of them are left
    after that, one process per core takes over.
    """
    begin, rest = time.monotonic(), list(tasks)
    while rest and (workers is None or workers <= 1):
        with single_thread():
            path = store_block(recipe, *rest.pop(0), folder)
        yield path
        spent = time.monotonic() - begin
        if workers is None and spent / (len(tasks) - len(rest)) * len(rest) > PATIENCE:
            workers = available_cores()
    if rest:
        yield from _store_elsewhere(recipe, rest, folder, workers or 1)


def _store_elsewhere(recipe: Recipe, tasks: list[tuple[str, int]], folder: Path, workers: int) -> Iterator[Path]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_start_worker) as pool:
        futures = [pool.submit(store_block, recipe, split, number, folder) for split, number in tasks]
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"a process that computed blocks of '{recipe.name}' was killed, perhaps for want of memory; "
                "run the same command again with fewer workers: finished blocks are kept"
            ) from error
        finally:
            for future in futures:
                future.cancel()


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker() -> None:
    """One thread, and an end when the parent ends, however it does."""
    torch.set_num_threads(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

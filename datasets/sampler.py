"""In which order windows are drawn, and by which process: pure functions of a seed and an epoch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler


class GlobalBatchSampler(Sampler[list[int]]):
    """The batches of one process: a permutation of `range(length)` cut into global batches, of each of which process
    `r` of `R` takes the `r`-th part.

    The permutation of an epoch depends on `(seed, epoch)` alone, so the windows that enter an optimiser step are the
    same for any number of processes. What is left over after the last whole global batch is dropped.

    Args:
        length: number of windows.
        batch_size: windows of a global batch, all processes together.
        rank: which process this is.
        world_size: how many there are.
        seed: of the permutations.
    """

    def __init__(self, length: int, batch_size: int, *, rank: int = 0, world_size: int = 1, seed: int = 0) -> None:
        check_batch_size(batch_size, world_size)
        if length < batch_size:
            raise ValueError(
                f"the training split holds {length} windows, fewer than one global batch of {batch_size}; "
                "lower data.batch_size or add trajectories"
            )
        self.length = length
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.seed = seed
        self.epoch = 0
        self.first = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation; the training loop calls this at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        share = self.batch_size // self.world_size
        for batch in range(self.first, len(self)):
            start = batch * self.batch_size + self.rank * share
            yield order[start : start + share].tolist()


class ResumableLoader(DataLoader[Any]):
    """A loader that knows how many batches of its epoch it has handed out, and continues after them.

    The count is of batches delivered, not of those that workers have read ahead. An iterator does nothing before its
    first batch is asked for, so an epoch that is set after `iter()` still counts.
    """

    batch_sampler: GlobalBatchSampler
    _delivered = 0
    _resumed: tuple[int, int] = (-1, 0)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        sampler = self.batch_sampler
        epoch, batches = self._resumed
        sampler.first = batches if sampler.epoch == epoch and batches < len(sampler) else 0
        self._resumed = (-1, 0)
        self._delivered = sampler.first
        for batch in super().__iter__():
            self._delivered += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch and number of batches delivered in it."""
        return {"epoch": self.batch_sampler.epoch, "batches": self._delivered}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Skip, in the epoch of `state` and there only, the batches that it counts."""
        self._resumed = (state["epoch"], state["batches"])


def evaluation_batches(length: int, batch_size: int, *, rank: int = 0, world_size: int = 1) -> list[list[int]]:
    """The batches of one process when every window is seen once: as many for each process, and as long.

    Where the windows do not divide evenly the last one is repeated; what is measured is told apart by the window's
    index.
    """
    check_batch_size(batch_size, world_size)
    batches = []
    for start in range(0, length, batch_size):
        size = min(batch_size, length - start)
        share = -(-size // world_size)
        own = range(start + rank * share, start + (rank + 1) * share)
        batches.append([min(index, length - 1) for index in own])
    return batches


def check_batch_size(batch_size: int, world_size: int) -> None:
    """Refuse a global batch that the processes cannot share evenly."""
    if batch_size < 1 or batch_size % world_size:
        raise ValueError(
            "data.batch_size is the global batch and must be a positive multiple of the number of processes, "
            f"{world_size}; got {batch_size}"
        )

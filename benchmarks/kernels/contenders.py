"""Who is timed: each is one way to train in a process of its own, because what the C library does with freed memory
belongs to a process, and half of a step may go into it.
"""

import ctypes
import importlib
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .cases import Case

MICRO = (16, 4, 2)
# Of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


@dataclass(frozen=True)
class Contender:
    """A package, and how it is run.

    Attributes:
        ours: rollwave or neuraloperator.
        memory: whose hint to the C library is given: none, `train.py`'s, or that of this file.
        search: whether the fastest of some micro-batches is taken, with accumulated gradients.
    """

    ours: bool
    memory: str = "none"
    search: bool = False


CONTENDERS = {
    "neuraloperator": Contender(ours=False),
    "neuraloperator tuned": Contender(ours=False, memory="tuned", search=True),
    "rollwave": Contender(ours=True, memory="train.py"),
    "rollwave plain": Contender(ours=True),
    "rollwave tuned": Contender(ours=True, memory="tuned", search=True),
}
# Time of the first over time of the second, taken within a round.
RATIOS = {
    "stock": ("neuraloperator", "rollwave"),
    "plain": ("neuraloperator", "rollwave plain"),
    "tuned": ("neuraloperator tuned", "rollwave tuned"),
}


def prepare_memory(kind: str) -> bool:
    """Give the hint, before anything large is made; whether it was taken."""
    if kind == "none":
        return True
    if kind == "train.py":
        try:
            allocation = importlib.import_module("rollwave.kernels.allocation")
        except ImportError:
            return False
        return bool(allocation.keep_freed_memory())
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


class Program:
    """A contender in a case: its model with its data, and what is timed of them."""

    def __init__(self, case: Case, contender: Contender) -> None:
        self.took = prepare_memory(contender.memory)
        theirs, ours = case.build()
        self.case, self.model = case, case.part_of(ours if contender.ours else theirs, contender.ours)
        self.x, self.y = case.data()
        self.micro = case.batch
        # Complex parameters, as neuraloperator has them, do not go into the fused optimiser.
        parameters = self.model.parameters()
        self.optimiser = torch.optim.Adam(parameters, lr=1e-3, fused=True if contender.ours else None)

    def step(self) -> None:
        """Forward, mean square, backward and Adam; of blocks, forward and backward with respect to everything."""
        self.optimiser.zero_grad(set_to_none=True)
        for x, y in zip(self.x.split(self.micro), self.y.split(self.micro), strict=True):
            backward(self.model, self.case.part, x, y, len(x) / len(self.x))
        if self.case.part == "model":
            self.optimiser.step()

    @torch.no_grad()
    def inference(self) -> None:
        """Forward alone."""
        self.model(self.x)

    def measure(self, program: str, steps: int) -> dict[str, float]:
        """Seconds that so many calls take, of the processor and on the wall."""
        call, processor, wall = getattr(self, program), time.process_time(), time.perf_counter()
        for _ in range(steps):
            call()
        return {"processor": time.process_time() - processor, "wall": time.perf_counter() - wall}

    def choose(self, clock: str, rounds: int) -> dict[str, Any]:
        """Take the fastest micro-batch: least time of some steps, in turns."""
        sizes = [size for size in MICRO if size <= self.case.batch] or [self.case.batch]
        least = dict.fromkeys(sizes, float("inf"))
        for turn in range(rounds + 1):
            for self.micro in sizes:
                seconds = self.measure("step", 1)[clock]
                if turn:
                    least[self.micro] = min(least[self.micro], seconds)
        self.micro = min(least, key=lambda size: least[size])
        return {"micro": self.micro}


def backward(model: nn.Module, part: str, x: Tensor, y: Tensor, share: float) -> Tensor:
    """Gradients of a step; returns the output."""
    if part == "blocks":
        x = x.detach().requires_grad_()
        out = model(x)
        out.backward(y)
    else:
        out = model(x)
        (F.mse_loss(out, y) * share).backward()
    return out

"""What a training step takes: memory, counted tensor by tensor, and time."""

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Steps whose time is measured; and where two take turns, steps of a turn and rounds of both.
TIMED = 12
TURN, ROUNDS = 6, 31


class LiveBytes(TorchDispatchMode):
    """The largest sum of bytes that operations made and that were held at one time, each storage once.

    What an operation needs inside itself is not seen; activations that a checkpoint computes again are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._see(tensor, given)
        return out

    def _see(self, tensor: Tensor, given: set[int]) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known or key in given:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def saved_bytes(loss: Callable[[], Tensor], module: nn.Module) -> int:
    """Bytes that a loss keeps for its gradient, each storage once, weights and buffers left out."""
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # A tangent that is zero has no memory.
        if not torch._is_zerotensor(tensor) and storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss()
    found = sum(kept.values())
    del value
    return found


@dataclass(frozen=True)
class Step:
    """A loss and its gradient, of a module and of further weights."""

    loss: Callable[[], Tensor]
    module: nn.Module
    extra: Sequence[nn.Parameter] = ()

    def __call__(self) -> None:
        self.module.zero_grad()
        for parameter in self.extra:
            parameter.grad = None
        self.loss().backward()

    def seconds(self, count: int) -> float:
        """Processor seconds, the mean of several: what a step draws at random may decide how much there is to do."""
        start = time.process_time()
        for _ in range(count):
            self()
        return (time.process_time() - start) / count


def step_cost(step: Step) -> dict[str, float]:
    """Peak and saved bytes of a loss and its gradient, and its processor seconds."""
    for _ in range(2):
        step()
    step.module.zero_grad()
    with LiveBytes() as live:
        step.loss().backward()
    seconds, kept = step.seconds(TIMED), saved_bytes(step.loss, step.module)
    step.module.zero_grad()
    return {"peak_bytes": live.peak, "saved_bytes": kept, "seconds_per_step": seconds}


def relative_time(step: Step, reference: Step) -> float:
    """What a step takes over what another takes, the median over rounds in which both take turns: other work on the
    machine slows both.
    """
    for warm in (step, reference):
        warm.seconds(2)
    return median(step.seconds(TURN) / reference.seconds(TURN) for _ in range(ROUNDS))

"""A step recorded once and replayed: on a GPU small fields wait for Python, which a CUDA graph leaves out.

On an H100 recorded steps are the plain ones; what they save is not yet measured. Recording follows the notes on CUDA
graphs in PyTorch's documentation: warm-up on a side stream, the same memory for every replay, nothing that waits for
the device in between.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

# cuFFT makes its plans, and the allocator finds its blocks, before anything is recorded.
WARM_UP = 3

Step = Callable[[Any], Any]


def parts(state: Any) -> tuple[Tensor, ...]:
    """The tensors of a state."""
    return state if isinstance(state, tuple) else (state,)


class Replayed:
    """Many steps by replaying one that was recorded from `memory`, which it reads and overwrites.

    Attributes:
        replay: makes one step in `memory`.
        memory: the state's tensors, at addresses that do not change.
    """

    def __init__(self, replay: Callable[[], None], memory: Any) -> None:
        self.replay, self.memory = replay, memory

    def __call__(self, state: Any, count: int) -> Any:
        """The state `count` steps later, in memory of its own."""
        overwrite(self.memory, state)
        for _ in range(count):
            self.replay()
        return copy(self.memory)


def recorded(step: Step, state: Any) -> Replayed | None:
    """The step as a CUDA graph; None where the state lives elsewhere, a gradient is wanted, or the step cannot be
    recorded, as when its course depends on values.

    Raises:
        torch.cuda.OutOfMemoryError: plain steps would not find the memory either.
    """
    if not all(part.is_cuda for part in parts(state)) or traced(state):
        return None
    with torch.cuda.device(parts(state)[0].device):
        memory, graph, aside = copy(state), torch.cuda.CUDAGraph(), torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP):
                    if traced(step(memory)):
                        return None
            # A tape, which nobody wants here, would outlive the recording.
            # Other threads, such as those that pin batches, may go on using the device meanwhile.
            with torch.no_grad(), torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
                overwrite(memory, step(memory))
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError:
            return None
        finally:
            torch.cuda.current_stream().wait_stream(aside)
    return Replayed(graph.replay, memory)


def traced(state: Any) -> bool:
    """Whether a derivative through the state is wanted, backwards or forwards."""
    return any(part.requires_grad or forward_ad.unpack_dual(part).tangent is not None for part in parts(state))


def copy(state: Any) -> Any:
    """The state in memory of its own."""
    return tuple(part.clone() for part in state) if isinstance(state, tuple) else state.clone()


def overwrite(memory: Any, state: Any) -> None:
    """Put a state into memory; parts of the state may lie in that memory, in any order."""
    held = {part.untyped_storage().data_ptr() for part in parts(memory)}
    sources = [part.clone() if part.untyped_storage().data_ptr() in held else part for part in parts(state)]
    for target, source in zip(parts(memory), sources, strict=True):
        target.copy_(source)

"""What a step takes from Python, for which a card would wait and which no CUDA graph would hold."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class FromHost(TorchDispatchMode):
    """Counts the tensors that are made of Python's numbers, which on a card are copies for which it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten.lift_fresh.default
        return func(*args, **(kwargs or {}))

"""Counts, not times: what a step keeps for its backward pass, and its operations and bytes."""

import math
from collections.abc import Callable
from typing import Any

import torch
from speed.counting import Tally
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import flop_registry

# In-place forms of what PyTorch's table of operations holds.
INPLACE = {torch.ops.aten.addmm_: torch.ops.aten.addmm, torch.ops.aten.baddbmm_: torch.ops.aten.baddbmm}


class Arithmetic(Tally):
    """A `Tally` that also counts floating-point operations: of products and convolutions two each, of transforms
    `5 N log2 N` and half of it where one side is real. Everything else only moves memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        packet = INPLACE.get(func.overloadpacket, func.overloadpacket)
        if packet in flop_registry:
            given = {key: value for key, value in (kwargs or {}).items() if key != "out"}
            first = result[0] if isinstance(result, tuple) else result
            # A product of two complex numbers is four real ones.
            complex_ = isinstance(first, Tensor) and first.is_complex()
            self.products += flop_registry[packet](*args, **given, out_val=result) * (4 if complex_ else 1)
        return result

    @property
    def flops(self) -> int:
        """Of all operators seen."""
        total = self.products
        for transform, calls in self.transforms.items():
            N = math.prod(max(transform.shape[axis], transform.output_shape[axis]) for axis in transform.axes)
            each = (2.5 if transform.kind.startswith("real") else 5) * N * math.log2(N)
            total += int(calls * transform.count * each)
        return total


def operations(call: Callable[[], Any]) -> dict[str, int]:
    """Operations and bytes of one call, after one that is not counted."""
    call()
    with Arithmetic() as counted:
        call()
    return {"flops": counted.flops, "bytes": counted.moved}


def saved_bytes(forward: Callable[[], Any], parameters: list[Tensor]) -> int:
    """Bytes that are kept for the backward pass at its beginning: every piece of memory once, parameters apart."""
    known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    forward()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        # What is saved stays alive as long as the output, so no piece of memory can stand for two.
        out = forward()
    del out
    return sum(found.values())

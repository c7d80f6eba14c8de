"""Counts, not times: the Fourier transforms that a program makes, and the bytes that its operators read and write.

Both are seen at PyTorch's dispatcher, so nothing is assumed about how a scheme calls its transforms.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

KINDS = {"aten::_fft_r2c": "real", "aten::_fft_c2r": "real", "aten::_fft_c2c": "complex"}


@dataclass(frozen=True)
class Transform:
    """One call of a transform over some axes of an array, with all that its speed depends on.

    Attributes:
        operator: the overload that was called, such as `aten._fft_r2c.default`.
        shape, stride, dtype: of the input.
        rest: the arguments after the input, axes first.
        output_shape, output_stride, output_dtype: of the output.
    """

    operator: Any
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    rest: tuple[Any, ...]
    output_shape: tuple[int, ...]
    output_stride: tuple[int, ...]
    output_dtype: torch.dtype

    @property
    def axes(self) -> set[int]:
        """The axes that are transformed."""
        return {axis % len(self.shape) for axis in self.rest[0]}

    @property
    def kind(self) -> str:
        """`real` or `complex`, and the points on each axis, such as `real 64x64`."""
        points = (max(self.shape[axis], self.output_shape[axis]) for axis in sorted(self.axes))
        return f"{KINDS[self.operator._schema.name]} {'x'.join(map(str, points))}"

    @property
    def count(self) -> int:
        """How many transforms over the axes the call makes."""
        return math.prod(n for axis, n in enumerate(self.shape) if axis not in self.axes)

    @property
    def nbytes(self) -> int:
        """The input read once and the output written once."""
        read, written = math.prod(self.shape) * self.dtype.itemsize, math.prod(self.output_shape)
        return read + written * self.output_dtype.itemsize

    def prepare(self, device: torch.device) -> Callable[[], Any]:
        """The same call again, on noise."""
        noise = torch.randn(self.shape, dtype=self.dtype, device=device)
        u = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=device).copy_(noise)
        named = {}
        if any(argument.name == "out" for argument in self.operator._schema.arguments):
            named["out"] = torch.empty_strided(
                self.output_shape, self.output_stride, dtype=self.output_dtype, device=device
            )
        return lambda: self.operator(u, *self.rest, **named)


class Tally(TorchDispatchMode):
    """Within the context: `transforms`, a counter of `Transform`s, and `moved`, the bytes of all operators' tensors.

    An operator is taken to read each of its inputs and to write each of its outputs once; views move nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transforms: Counter[Transform] = Counter()
        self.moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        aliases = [value.alias_info for value in func._schema.returns]
        if not any(alias is not None and not alias.is_write for alias in aliases):
            self.moved += sum(size(t) for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor))
        if func._schema.name in KINDS:
            u, rest = args[0], tuple(tuple(a) if isinstance(a, list) else a for a in args[1:])
            own = (tuple(u.shape), u.stride(), u.dtype)
            self.transforms[Transform(func, *own, rest, tuple(result.shape), result.stride(), result.dtype)] += 1
        return result


def size(u: Tensor) -> int:
    """Bytes of the elements that an operator can touch; an expanded axis holds each only once."""
    return math.prod(n for n, step in zip(u.shape, u.stride(), strict=True) if step) * u.element_size()


def per_step(advance: Callable[[int], Any], steps: int = 4) -> tuple[Counter[Transform], int]:
    """Transforms and bytes of one step: the difference of two runs, so that what happens once is not counted; what
    happens once in a process, before.
    """
    advance(steps)
    tallies = []
    for count in (steps, 2 * steps):
        with Tally() as tally:
            advance(count)
        tallies.append(tally)
    short, long = tallies
    transforms = Counter({t: n - short.transforms[t] for t, n in long.transforms.items() if n != short.transforms[t]})
    if any(n % steps for n in transforms.values()):
        raise ValueError(f"the transforms of {steps} steps are not {steps} times those of one: {transforms}")
    return Counter({t: n // steps for t, n in transforms.items()}), (long.moved - short.moved) // steps


def by_kind(transforms: Counter[Transform], batch: int) -> dict[str, float]:
    """Transforms of each trajectory, by kind."""
    totals: Counter[str] = Counter()
    for transform, calls in transforms.items():
        totals[transform.kind] += calls * transform.count
    return {kind: total / batch for kind, total in sorted(totals.items())}


def replay(transforms: Counter[Transform], device: torch.device) -> Callable[[int], None]:
    """The transforms of some steps and nothing else: the floor under any scheme that needs them."""
    calls = [call for t, count in transforms.items() for call in [t.prepare(device)] * count]

    def run(steps: int) -> None:
        for _ in range(steps):
            for call in calls:
                call()

    return run

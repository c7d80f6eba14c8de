"""Clocks of a card: calls one by one, and replayed from a graph, on inputs that the cache cannot hold together."""

import time
from collections.abc import Callable, Sequence
from itertools import cycle
from statistics import median
from typing import Any

import torch
from speed.timing import Spread, spread

Call = Callable[..., Any]
Sets = Sequence[tuple[Any, ...]]


def sets_needed(nbytes: int, device: torch.device) -> int:
    """How many inputs of a size are four times the second-level cache."""
    if device.type != "cuda":
        return 2
    cache = torch.cuda.get_device_properties(device).L2_cache_size
    return max(2, -(-4 * cache // max(nbytes, 1)))


def one_by_one(call: Call, sets: Sets, device: torch.device) -> Spread:
    """Seconds of a call that is launched as usual, the cache flushed before."""
    turns = cycle(sets)
    if device.type != "cuda":
        return spread([_wall(lambda: call(*next(turns)))])
    from triton.testing import do_bench

    values = do_bench(lambda: call(*next(turns)), warmup=5, rep=40, quantiles=[0.5, 0.25, 0.75])
    return dict(zip(("median", "first", "third"), (value / 1e3 for value in values), strict=True))


def replayed(call: Call, sets: Sets, device: torch.device, *, seconds: float = 0.02) -> Spread:
    """Seconds of a call that costs the host nothing: all sets once in a graph, the graph several times."""
    if device.type != "cuda":
        return one_by_one(call, sets, device)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for arguments in [*sets[:1], *sets[:1], *sets[:1]]:
            call(*arguments)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for arguments in sets:
            call(*arguments)
    once = max(_between(graph.replay, 2) / 2, 1e-7)
    count = max(1, round(seconds / once))
    return spread([_between(graph.replay, count) / count / len(sets) for _ in range(5)])


def copy_rate(device: torch.device) -> float:
    """Bytes a second, read and written, of a copy beyond any cache."""
    numbers = 2**28 if device.type == "cuda" else 2**16
    source, target = torch.zeros(2, numbers, device=device)
    seconds = median(one_by_one(target.copy_, [(source,)], device)["median"] for _ in range(3))
    return 2 * source.nbytes / seconds


def _between(call: Callable[[], Any], count: int) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    for _ in range(count):
        call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def _wall(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

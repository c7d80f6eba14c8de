"""Several programs timed side by side: round robin, medians and quartiles, ratios within a round."""

import math
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any, TypeAlias

import torch

# Seconds that a call takes.
Stopwatch: TypeAlias = Callable[[Callable[[], Any]], float]
Spread: TypeAlias = dict[str, float]


def processor_time(call: Callable[[], Any]) -> float:
    """Processor time of this process and its threads: what other programs do does not count."""
    start = time.process_time()
    call()
    return time.process_time() - start


def wall_time(call: Callable[[], Any]) -> float:
    """Time on the wall."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def device_time(call: Callable[[], Any]) -> float:
    """Time between two CUDA events around the call."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


def interleave(
    programs: dict[str, Callable[[int], Any]], stopwatch: Stopwatch, *, rounds: int, seconds: float, fewest: int
) -> dict[str, list[float]]:
    """Seconds per step of every program, `rounds` times each, in turn; every other round backwards.

    Each measurement lasts about `seconds`, and at least `fewest` steps.
    """
    counts = {}
    for name, program in programs.items():
        program(fewest)
        each = stopwatch(lambda program=program: program(fewest)) / fewest  # type: ignore[misc]
        counts[name] = max(fewest, min(10_000, math.ceil(seconds / max(each, 1e-9))))
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds):
        for name in list(programs)[:: 1 if turn % 2 == 0 else -1]:
            program, count = programs[name], counts[name]
            times[name].append(stopwatch(lambda program=program, count=count: program(count)) / count)  # type: ignore[misc]
    return times


def spread(values: list[float]) -> Spread:
    """Median and quartiles."""
    if len(values) < 2:
        return {"median": values[0], "first": values[0], "third": values[0]}
    first, median, third = quantiles(values, n=4, method="inclusive")
    return {"median": median, "first": first, "third": third}


def ratio(times: list[float], others: list[float]) -> Spread:
    """Spread of the quotients of two programs' times, each taken within one round."""
    return spread([a / b for a, b in zip(times, others, strict=True)])

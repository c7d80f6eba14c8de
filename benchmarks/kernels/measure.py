"""One row on a CPU: first whether both packages compute the same, then every contender in turn."""

from contextlib import ExitStack
from typing import Any

from speed.timing import interleave, ratio, spread

from .cases import Case
from .contenders import CONTENDERS, RATIOS
from .targets import verdicts
from .worker import Worker

PROGRAMS = ("step", "inference")


def measure(case: Case, *, cores: list[int], rounds: int, seconds: float, quick: bool) -> dict[str, Any]:
    """The row's differences, counts, times, ratios and verdicts."""
    clock = "processor" if len(cores) == 1 else "wall"
    row: dict[str, Any] = case.describe() | {"label": case.label, "threads": len(cores), "clock": clock}
    top = {"size": 256, "numbers": 2**20} if quick else {"size": 2048, "numbers": 2**26}
    with ExitStack() as stack:
        alone = stack.enter_context(Worker(cores, forked=quick))
        row["ceiling"] = alone.ask("ceiling", clock=clock, **top)
        row["agreement"] = alone.ask("compare", case=case)
        workers = {name: stack.enter_context(Worker(cores, forked=quick)) for name in CONTENDERS}
        row |= timed(case, workers, clock, rounds, seconds)
        # A second look at the ceiling: a machine that is not alone changes its speed.
        again = alone.ask("ceiling", clock=clock, **top)
        row["ceiling"] = {name: max(value, again[name]) for name, value in row["ceiling"].items()}
        # Last, because counting steps are slow, and change what the allocator holds.
        row["counted"] = {name: worker.ask("count") for name, worker in workers.items() if not CONTENDERS[name].search}
    row["saved"] = row["counted"]["rollwave"]["saved"] / row["counted"]["neuraloperator"]["saved"]
    row["targets"] = verdicts(case, row) if len(cores) == 1 and not quick else {}
    return row


def timed(case: Case, workers: dict[str, Worker], clock: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Times and ratios of every program, and the micro-batches and hints that belong to them."""
    hints, micro = {}, {}
    for name, worker in workers.items():
        hints[name] = worker.ask("build", contender=name, case=case)["memory_hint_taken"]
        if CONTENDERS[name].search:
            micro[name] = worker.ask("choose", clock=clock, rounds=max(2, rounds // 2))["micro"]
    found: dict[str, Any] = {"memory_hint_taken": hints, "micro": micro, "times": {}, "seconds": {}, "ratio": {}}
    for program in PROGRAMS:
        calls = {
            name: lambda steps, worker=worker, program=program: worker.ask("measure", program=program, steps=steps)[
                clock
            ]
            for name, worker in workers.items()
        }
        # A worker reads its own clock.
        times = interleave(calls, lambda call: call(), rounds=rounds, seconds=seconds, fewest=1)
        found["times"][program] = times
        found["seconds"][program] = {name: spread(values) for name, values in times.items()}
        found["ratio"][program] = {name: ratio(times[a], times[b]) for name, (a, b) in RATIOS.items()}
    return found

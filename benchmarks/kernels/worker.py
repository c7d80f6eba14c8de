"""A process that holds one contender and does what it is told.

Each is a new interpreter: one that is forked from another has a heap of another history, and steps that live on page
faults were a tenth faster in it. Quick runs fork nevertheless, since they measure nothing.
"""

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any

# Imported before a fork.
PACKAGES = [
    "neuralop.models",
    "rollwave.operators.neuraloperator",
    "kernels.agreement",
    "kernels.counting",
    "torch._dynamo",
]


class Worker:
    """A process of its own on some cores, alive until it is closed."""

    def __init__(self, cores: list[int], *, forked: bool = False) -> None:
        # What the C library does with freed memory is the contender's to say.
        for name in [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]:
            del os.environ[name]
        context: Any = multiprocessing.get_context("forkserver" if forked else "spawn")
        context.set_forkserver_preload(PACKAGES)
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, cores), daemon=True)
        self.process.start()
        other.close()

    def ask(self, order: str, **given: Any) -> Any:
        """Its answer to an order; an `EOFError` where it died."""
        self.connection.send((order, given))
        return self.connection.recv()

    def close(self) -> None:
        """End it."""
        self.connection.close()
        self.process.join()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Orders:
    """What a worker understands."""

    def build(self, contender: str, case: Any) -> dict[str, Any]:
        """Make the model, and count what a step keeps, does and moves."""
        from .contenders import CONTENDERS, Program

        self.program = Program(case, CONTENDERS[contender])
        return {"memory_hint_taken": self.program.took}

    def count(self) -> dict[str, int]:
        from .counting import operations, saved_bytes

        program = self.program
        x = program.x.clone().requires_grad_(program.case.part == "blocks")
        kept = saved_bytes(lambda: program.model(x), list(program.model.parameters()))
        return operations(program.step) | {"saved": kept}

    def choose(self, clock: str, rounds: int) -> dict[str, Any]:
        return self.program.choose(clock, rounds)

    def measure(self, program: str, steps: int) -> dict[str, float]:
        return self.program.measure(program, steps)

    def compare(self, case: Any) -> dict[str, Any]:
        from .agreement import compare

        return compare(case)

    def ceiling(self, size: int, numbers: int, clock: str) -> dict[str, float]:
        """What the cores reach: operations a second of a square product, bytes a second of a copy, best of three."""
        import torch

        now = time.process_time if clock == "processor" else time.perf_counter
        a, b, c = torch.randn(3, size, size)
        source, target = torch.zeros(2, numbers)
        least = {"flops": float("inf"), "bytes": float("inf")}
        for _ in range(4):
            for name, call in (("flops", lambda: torch.mm(a, b, out=c)), ("bytes", lambda: target.copy_(source))):
                start = now()
                call()
                least[name] = min(least[name], max(now() - start, 1e-9))
        return {"flops": 2 * size**3 / least["flops"], "bytes": 2 * source.nbytes / least["bytes"]}


def serve(connection: Connection, cores: list[int]) -> None:
    """Answer until there are no more orders."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    import torch

    torch.set_num_threads(len(cores))
    orders = Orders()
    while True:
        try:
            order, given = connection.recv()
        except EOFError:
            return
        connection.send(getattr(orders, order)(**given))

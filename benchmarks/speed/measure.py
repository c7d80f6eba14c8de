"""One row: first whether all programs solve the same problem, then how long each takes."""

import math
from collections.abc import Callable
from typing import Any

import peers
import torch
from torch import Tensor

from rollwave.solvers.run import run

from .cases import Case
from .counting import by_kind, per_step, replay
from .timing import Stopwatch, device_time, interleave, processor_time, ratio, spread, wall_time

# Steps before results are compared, and the largest difference of fields, relative to the largest value, at which two
# programs are said to agree. The fields must have moved by a hundred times that.
COMPARED = 20
TOLERANCE = {torch.float64: 1e-6, torch.float32: 2e-5}


def measure(case: Case, *, threads: int, rounds: int, seconds: float) -> dict[str, Any]:
    """The row's counts, times, ratios, and differences from the peers."""
    scheme, u = case.build(), case.initial()
    row = case.describe() | {"threads": threads, "clock": clock_of(case, threads)[0]}

    @torch.no_grad()
    def rollwave(steps: int) -> Tensor:
        return run(scheme, u, steps, 1)[:, -1]

    transforms, moved = count(case, rollwave)
    floor = replay(transforms, case.device)
    row["transforms"] = by_kind(transforms, case.batch)
    row["bytes"] = {"transforms": sum(t.nbytes * n for t, n in transforms.items()), "moved": moved}
    others = peers.candidates(case, u, threads)
    row["peers"] = {name: compare(case, rollwave, u, candidate) for name, candidate in others.items()}
    programs = {"transforms": captured(floor) if case.device.type == "cuda" else floor, "rollwave": rollwave}
    programs |= {name: candidate.advance for name, candidate in others.items() if row["peers"][name]["agrees"]}
    rounds = rounds if others else math.ceil(rounds / 2)
    times = interleave(programs, clock_of(case, threads)[1], rounds=rounds, seconds=seconds, fewest=4)
    each = {
        name: [t / (others[name].trajectories if name in others else case.batch) for t in times[name]] for name in times
    }
    row["seconds"] = {name: spread(values) for name, values in each.items()}
    row["ratio"] = {name: ratio(each["rollwave"], values) for name, values in each.items() if name != "rollwave"}
    return row


def clock_of(case: Case, threads: int) -> tuple[str, Stopwatch]:
    """What is read: events on a card, processor time of one thread, the wall where several threads share the work."""
    if case.device.type == "cuda":
        return "device", device_time
    return ("processor", processor_time) if threads == 1 else ("wall", wall_time)


def count(case: Case, advance: Callable[[int], Any]) -> tuple[Any, int]:
    """Transforms and bytes of a step. On a card steps may be replayed from a graph, so bare steps are counted there."""
    if not case.card:
        return per_step(advance)
    scheme = case.build()
    state = scheme.encode(case.initial())

    @torch.no_grad()
    def bare(steps: int) -> None:
        following = state
        for _ in range(steps):
            following = scheme.step(following)

    return per_step(bare)


def compare(case: Case, rollwave: Callable[[int], Tensor], u: Tensor, candidate: peers.Candidate) -> dict[str, Any]:
    """How far a peer's fields are from rollwave's, and whether that is agreement."""
    theirs = candidate.field(candidate.advance(COMPARED + candidate.lag)).to("cpu", torch.float64)
    part = slice(len(theirs)), slice(theirs.shape[1])
    start, ours = (v.to("cpu", torch.float64)[part] for v in (u, rollwave(COMPARED)))
    scale = ours.abs().max()
    difference, moved = ((ours - v).abs().max().div(scale).item() for v in (theirs, start))
    tolerance = TOLERANCE[case.dtype]
    agrees = difference < tolerance and moved > 100 * tolerance
    return {"way": candidate.way, "difference": difference, "moved": moved, "agrees": agrees}


def captured(floor: Callable[[int], None]) -> Callable[[int], None]:
    """The transforms of one step as a CUDA graph: launching them costs the host nothing."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        floor(2)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        floor(1)

    def replayed(steps: int) -> None:
        for _ in range(steps):
            graph.replay()

    return replayed

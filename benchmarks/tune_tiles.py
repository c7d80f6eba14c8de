"""Measure the tiles of the Triton kernels on the card at hand and write them into `kernels/triton_tiles.json`.

    python benchmarks/tune_tiles.py            descends from the present table; less than five minutes
    python benchmarks/tune_tiles.py --dry-run  tiny sizes in Triton's interpreter; writes nothing

Every extent is halved and doubled, and the numbers of warps and stages changed, one at a time; a change stays if the
geometric mean of the times of all sizes falls by more than `GAIN`. What does not compile, needs too much of the card or
gives a wrong result is never taken. Operators never tune: a table decides, so that every process adds in the same
order.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollwave.kernels.triton_configs import Tiles

# Less is within the noise.
GAIN = 0.02
LARGEST, SMALLEST = 256, 16


def neighbours(tiles: "Tiles") -> Iterator["Tiles"]:
    """The entry with one thing changed."""
    for name, size in tiles.largest.items():
        for other in (size // 2, 2 * size):
            if SMALLEST <= other <= (LARGEST if size <= LARGEST else 4096):
                yield replace(tiles, largest={**tiles.largest, name: other})
    yield from (replace(tiles, warps=warps) for warps in (2, 4, 8) if abs(math.log2(warps / tiles.warps)) == 1)
    yield from (replace(tiles, stages=stages) for stages in range(1, 6) if abs(stages - tiles.stages) == 1)


def descend(start: "Tiles", cost: Callable[["Tiles"], float], expired: Callable[[], bool]) -> tuple["Tiles", float]:
    """The best entry found and its cost, by steps that each gain `GAIN`; a cost is asked once for each entry."""
    best, least, seen = start, cost(start), [start]
    moved = True
    while moved:
        moved = False
        for other in neighbours(best):
            if other in seen or expired():
                continue
            seen.append(other)
            if (found := cost(other)) < (1 - GAIN) * least:
                best, least, moved = other, found, True
                break
    return best, least


def costs(kernel: str, rows: list[Any], device: Any) -> Callable[["Tiles"], float]:
    """Geometric mean of the seconds of all sizes at which a kernel runs; infinite where one fails."""
    from kernels.gpu_check import TOLERANCE, double, worst
    from kernels.gpu_kernels import touched
    from kernels.gpu_timing import replayed, sets_needed

    from rollwave.kernels import triton_configs

    prepared = []
    for row in rows:
        first = row.operands()
        # Together more than the cache holds, as in a network, where other layers run in between.
        others = min(sets_needed(touched(first), device), 4) - 1
        prepared.append((row, [first, *(row.operands() for _ in range(others))], row.definition(*double(first))))

    def cost(tiles: "Tiles") -> float:
        kept = triton_configs.table()[kernel]
        triton_configs.table()[kernel] = tiles
        try:
            total = 0.0
            for row, sets, exact in prepared:
                if not worst(row.call(*sets[0]), exact) < TOLERANCE:
                    return math.inf
                total += math.log(replayed(row.call, sets, device)["median"])
            return math.exp(total / len(prepared))
        # Too little shared memory, too many registers, a tile that the compiler refuses: Triton has a class for each.
        except Exception:
            return math.inf
        finally:
            triton_configs.table()[kernel] = kept

    return cost


def tune(device: Any, dry: bool, budget: float) -> "dict[str, Tiles]":
    """A table, every kernel given an equal share of the time that is left."""
    from kernels.gpu_cases import LINES, PLANES, TINY
    from kernels.gpu_kernels import kernels

    from rollwave.kernels.triton_configs import table

    everything = [kernel for layer in (TINY if dry else [LINES[0], LINES[2], *PLANES[:2]])
                  for kernel in kernels(layer, device)]  # fmt: skip
    tuned, end = {}, time.monotonic() + budget
    for done, (name, start) in enumerate(table().items()):
        until = time.monotonic() + (end - time.monotonic()) / (len(table()) - done)
        cost = costs(name, [kernel for kernel in everything if kernel.tiles == name], device)
        before = cost(start)
        tuned[name], after = descend(start, cost, lambda until=until: time.monotonic() > until)  # type: ignore[misc]
        print(f"{name}: {before * 1e6:.1f} -> {after * 1e6:.1f} us  {tuned[name]}", flush=True)
    return tuned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU; writes nothing")
    parser.add_argument("--budget", type=float, default=280.0, help="seconds for all kernels together")
    arguments = parser.parse_args()
    if arguments.dry_run:
        # Before Triton is imported.
        os.environ["TRITON_INTERPRET"] = "1"
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    from rollwave.kernels.triton_configs import FILE, architecture, keep

    if not arguments.dry_run and not torch.cuda.is_available():
        sys.exit("no CUDA device: without one there is only --dry-run")
    torch.manual_seed(0)
    tuned = tune(torch.device("cpu" if arguments.dry_run else "cuda"), arguments.dry_run, arguments.budget)
    if not arguments.dry_run:
        keep(tuned, architecture())
        print(f"written to {FILE}")


if __name__ == "__main__":
    main()

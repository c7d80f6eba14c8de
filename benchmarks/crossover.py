"""Where transforms by matrices and fast transforms cross on a CPU: what `kernels/choice.py` goes by.

    OMP_NUM_THREADS=1 python benchmarks/crossover.py       results/crossover_cpu.json; then training_step.py --report

A row is the forward and backward pass of one `spectral_conv` with skip, bias and GELU, both formulations in turns.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from training_step import RESULTS, about

from rollwave.kernels import keep_freed_memory, spectral_conv, weight_shape

WIDTH, BATCHES, ROUNDS = 32, {1: 16, 2: 2, 3: 1}, 5
SIZES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((256,), (33, 64, 100)), ((1024,), (33, 64, 128, 192, 256)), ((4096,), (64, 128, 192)),
    ((64,) * 2, (16, 31)), ((128,) * 2, (32, 62)), ((256,) * 2, (64, 127)), ((32,) * 3, (8, 15)), ((64,) * 3, (12, 24)),
]  # fmt: skip


def layer(points: tuple[int, ...], K: int) -> Callable[[str], None]:
    """A pass there and back through a layer, in a formulation."""
    torch.manual_seed(0)
    modes = (K,) * len(points)
    weight = torch.randn(weight_shape(WIDTH, WIDTH, modes)) / WIDTH
    skip, bias = torch.randn(WIDTH, WIDTH) / WIDTH, torch.zeros(WIDTH)
    x, gradient = torch.randn(2, BATCHES[len(points)], WIDTH, *points)
    wanted = [tensor.requires_grad_() for tensor in (x.clone(), weight, skip, bias)]

    def run(backend: str) -> None:
        v, w, s, b = wanted
        y = spectral_conv(v, w, modes, bias=b, skip=s, act="gelu", backend=backend)
        torch.autograd.grad(y, wanted, gradient)

    return run


def seconds(call: Callable[[], None], least: float) -> float:
    """Processor time of a call, over at least so many seconds."""
    start, count = time.process_time(), 0
    while count == 0 or time.process_time() - start < least:
        call()
        count += 1
    return (time.process_time() - start) / count


def measure(points: tuple[int, ...], K: int, least: float) -> dict[str, Any]:
    """Median times, and the median of the ratios within a round."""
    run = layer(points, K)
    run("dft"), run("fft")
    pairs = [(seconds(lambda: run("dft"), least), seconds(lambda: run("fft"), least)) for _ in range(ROUNDS)]
    dft, fft = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(b / a for a, b in pairs)
    return {"points": points, "modes": K, "batch": BATCHES[len(points)], "dft": dft, "fft": fft, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.1, help="of every measurement")
    arguments = parser.parse_args()
    keep_freed_memory()
    measured = about() | {"threads": torch.get_num_threads(), "width": WIDTH, "rows": []}
    for points, numbers in SIZES:
        for K in numbers:
            measured["rows"].append(row := measure(points, K, arguments.seconds))
            print(f"{points} {K}: dft {row['dft'] * 1e3:.2f} ms, fft {row['fft'] * 1e3:.2f} ms, {row['ratio']:.2f}")
    (RESULTS / "crossover_cpu.json").write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()

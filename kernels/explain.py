"""What `spectral_conv` would run, and what it costs.

python -m rollwave.kernels.explain 2 16 64 64 64 12 12      axes, batch, channels, points of each axis, modes of each
"""

import argparse
import math
import sys
from collections.abc import Sequence

import torch

from .choice import DFT_LIMIT, choose


def explain(batch: int, channels: int, points: Sequence[int], modes: Sequence[int], device: str | None = None) -> str:
    """The choice for float32 fields `[batch, channels, *points]`, why, and the operations and bytes of one pass.

    Without a device it is the card, where there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    choice = choose(torch.device(device), modes)
    grid, kept = math.prod(points), (modes[-1] + 1) * math.prod(2 * K + 1 for K in modes[:-1])
    field, weights = 4 * batch * channels * grid, 8 * kept * channels**2
    fast = 2 * 2.5 * batch * channels * grid * math.log2(max(grid, 2))
    lines = [
        f"{choice.backend} on {device}: {choice.reason}",
        f"  transforms by matrices {2 * _products(batch, channels, points, modes) / 1e9:.3g} GFLOP, fast ones about "
        f"{fast / 1e9:.3g}; mixing {8 * batch * channels**2 * kept / 1e9:.3g}, skip "
        f"{2 * batch * channels**2 * grid / 1e9:.3g}",
        f"  one field {field / 2**20:.3g} MiB, weights {weights / 2**20:.3g} MiB, coefficients "
        f"{8 * batch * channels * kept / 2**20:.3g} MiB; least traffic (field in, weights in, field out) "
        f"{(2 * field + weights) / 2**20:.3g} MiB",
        f"table: matrices up to {DFT_LIMIT['cpu']} wavenumbers an axis on a cpu and {DFT_LIMIT['cuda']} on cuda, "
        "fast transforms elsewhere; backend= and ROLLWAVE_BACKEND override it, also for Triton, not yet run on a card",
    ]
    return "\n".join(lines)


def _products(batch: int, channels: int, points: Sequence[int], modes: Sequence[int]) -> int:
    """Operations of one transform by matrices, axis after axis."""
    total, sizes = 0, list(points)
    for axis, K in enumerate(modes):
        rows = 2 * K + 2
        total += 2 * rows * math.prod(sizes) * batch * channels
        sizes[axis] = rows
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", type=int, choices=(1, 2, 3))
    parser.add_argument("numbers", type=int, nargs="+", help="batch, channels, points of each axis, modes of each axis")
    parser.add_argument("--device", default=None, help="cpu or cuda")
    given = parser.parse_args()
    if len(given.numbers) != 2 + 2 * given.axes:
        parser.error(f"expected {2 + 2 * given.axes} numbers after {given.axes}, got {len(given.numbers)}")
    batch, channels, *rest = given.numbers
    sys.stdout.write(explain(batch, channels, rest[: given.axes], rest[given.axes :], given.device) + "\n")


if __name__ == "__main__":
    main()

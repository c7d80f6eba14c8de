"""Kernels, blocks and whole training steps of an FNO on a card, in less than nine minutes.

    python benchmarks/gpu.py               everything: results/kernels_gpu.json
    python benchmarks/gpu.py --dry-run     every path on the CPU, in Triton's interpreter, at tiny sizes; writes nothing

First every Triton kernel is compared with its definition in float64, then the wavenumbers of a smooth field, then whole
blocks with their gradients. Then each is timed, launched one by one and replayed from a CUDA graph, on inputs that the
cache cannot hold. neuraloperator is a contender where it is installed. What fails is told in its row and the rest goes
on; what would begin after `--budget` seconds is left out by name. The file is written anew after every row.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from training_step import RESULTS, commit


def plan(device: Any, dry: bool, copied: float) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """Part, name and call of every row, correctness and what matters most first."""
    from kernels.gpu_cases import LINES, PLANES, TINY, layers

    from kernels import gpu_blocks, gpu_check, gpu_kernels, gpu_models

    for layer in TINY if dry else [LINES[0], LINES[2], PLANES[0], PLANES[4]]:
        for kernel in gpu_kernels.kernels(layer, device):
            call = lambda k=kernel, c=layer: gpu_kernels.measure(k, c, device, copied)  # noqa: E731
            yield "kernels", f"{layer.label}: {kernel.name}", call
    for layer in TINY if dry else [LINES[0], LINES[2], PLANES[1]]:
        yield "modes", layer.label, lambda c=layer: gpu_check.mode_errors(c, device)
    for layer in layers(dry):
        yield "blocks", layer.label, lambda c=layer: gpu_blocks.measure(c, device, dry)
        yield "models", layer.label, lambda c=layer: gpu_models.measure(c, device)


def run(device: Any, dry: bool, budget: float, write: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Every row until the time is up."""
    import torch
    from kernels.gpu_timing import copy_rate

    start = time.monotonic()
    copied = copy_rate(device)
    measured: dict[str, Any] = about(device) | {"dry_run": dry, "copy_rate": copied, "left_out": [], "failed": []}
    measured |= {part: [] for part in ("kernels", "modes", "blocks", "models")}
    for part, name, call in plan(device, dry, copied):
        if time.monotonic() - start > budget:
            measured["left_out"].append(f"{part}: {name}")
            continue
        torch.manual_seed(0)
        try:
            row = call()
        except Exception as error:
            measured["failed"].append({"part": part, "name": name, "error": f"{type(error).__name__}: {error}"[:300]})
        else:
            measured[part].append(row)
        measured["took"] = time.monotonic() - start
        write(measured)
        print(f"{measured['took']:6.1f} s  {part}: {name}", flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    write(measured)
    return measured


def about(device: Any) -> dict[str, Any]:
    """What it ran on, and with what."""
    import torch
    import triton
    from kernels.gpu_blocks import HAS_PEER

    versions = {"torch": torch.__version__, "triton": triton.__version__, "cuda": torch.version.cuda}
    versions |= {"python": platform.python_version(), "commit": commit()}
    if HAS_PEER:
        from importlib import metadata

        versions["neuraloperator"] = metadata.version("neuraloperator")
    card = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if card else platform.processor() or "cpu",
        "dtype": "float32",
        "tf32_in_products_of_pytorch": torch.backends.cuda.matmul.allow_tf32,
        "versions": versions,
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU; writes nothing")
    parser.add_argument("--budget", type=float, default=500.0, help="seconds after which no row begins")
    parser.add_argument("--out", type=Path, default=RESULTS / "kernels_gpu.json")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.dry_run:
        # Before Triton is imported.
        os.environ["TRITON_INTERPRET"] = "1"
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch
    from kernels.report_gpu import predicted, tables

    if not arguments.dry_run and not torch.cuda.is_available():
        sys.exit("no CUDA device: without one there is only --dry-run")
    device = torch.device("cpu" if arguments.dry_run else "cuda")

    def write(measured: dict[str, Any]) -> None:
        if not arguments.dry_run:
            arguments.out.write_text(json.dumps(measured, indent=1) + "\n")

    measured = run(device, arguments.dry_run, arguments.budget, write)
    print(f"\n{tables(measured)}\n\n{predicted()}")
    for name in measured["left_out"]:
        print(f"left out, time was up: {name}")
    for row in measured["failed"]:
        print(f"failed: {row['part']}: {row['name']}: {row['error']}")
    wrong = [row for part in ("kernels", "modes") for row in measured[part] if not row["agrees"]]
    wrong += [
        c for part in ("blocks", "models") for row in measured[part] for c in row["contenders"].values()
        if "failed" in c or not c["agrees"]
    ]  # fmt: skip
    wrong += measured["failed"]
    if wrong:
        sys.exit(f"{len(wrong)} results are wrong or failed")


if __name__ == "__main__":
    main()

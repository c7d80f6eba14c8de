"""Tiles of the Triton kernels: one static table, `triton_tiles.json`, so that every process and every run of a kernel
adds in the same order.

`python benchmarks/tune_tiles.py` measures a table for the card at hand and writes it, named by the card's compute
capability. The default is reasoned, not measured: an analysis keeps all coefficients of an axis in one tile where they
fit, so that the field is read once; the slope of the GELU takes the registers of half a tile; mixing has a whole batch
in one tile, so that the weights, which outweigh the coefficients, are read once; the product has two accumulators.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

# The least extent that a matrix product on tensor cores takes in every direction.
SMALLEST = 16
FILE = Path(__file__).with_name("triton_tiles.json")


@dataclass(frozen=True)
class Tiles:
    """Largest tile along each dimension of a kernel, and how it is run."""

    largest: dict[str, int]
    warps: int
    stages: int


@cache
def table() -> dict[str, Tiles]:
    """Of this process's card, or the default; read once."""
    tables = json.loads(FILE.read_text())
    tuned = tables.get(architecture(), {})
    return {kernel: Tiles(**tuned.get(kernel, entry)) for kernel, entry in tables["default"].items()}


def architecture() -> str:
    """Compute capability of the card, such as `9.0`."""
    return ".".join(map(str, torch.cuda.get_device_capability())) if torch.cuda.is_available() else "none"


def keep(tuned: dict[str, Tiles], card: str, file: Path = FILE) -> None:
    """Write the table of a card beside the others; it holds for processes that start from now on."""
    tables = json.loads(file.read_text()) | {card: {kernel: asdict(entry) for kernel, entry in tuned.items()}}
    rows = [
        f' "{name}": {{\n' + ",\n".join(f'  "{kernel}": {json.dumps(entry)}' for kernel, entry in of.items()) + "\n }"
        for name, of in tables.items()
    ]
    file.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def config(kernel: str, **dimensions: int) -> dict[str, int]:
    """Keyword arguments of a launch: `BLOCK_<dimension>`, powers of two no larger than the dimension needs, and the
    numbers of warps and stages.
    """
    entry = table()[kernel]
    if set(dimensions) != set(entry.largest):
        raise ValueError(f"{kernel} has dimensions {sorted(entry.largest)}, got {sorted(dimensions)}")
    blocks = {f"BLOCK_{name}": min(entry.largest[name], _power_of_two(size)) for name, size in dimensions.items()}
    return {**blocks, "num_warps": entry.warps, "num_stages": entry.stages}


def tiles(size: int, block: int) -> int:
    """How many blocks cover a dimension."""
    return -(-size // block)


def _power_of_two(size: int) -> int:
    return max(SMALLEST, 1 << (size - 1).bit_length())

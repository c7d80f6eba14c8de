"""Tiles of the Triton kernels: one static table, so that every process and every run of a kernel adds in the same
order.
"""

from dataclasses import dataclass

# The least extent that a matrix product on tensor cores takes in every direction.
SMALLEST = 16


@dataclass(frozen=True)
class Tiles:
    """Largest tile along each dimension of a kernel, and how it is run."""

    largest: dict[str, int]
    warps: int = 4
    stages: int = 3


_TABLE = {
    # All coefficients of an axis in one tile where they fit: the field is read once.
    "analysis": Tiles({"J": 128, "N": 64, "Q": 32}),
    # The slope of the GELU takes the registers of half a tile.
    "analysis_gelu": Tiles({"J": 128, "N": 32, "Q": 32}),
    "synthesis": Tiles({"O": 64, "N": 128, "J": 16, "I": 32}, warps=8),
    # A whole batch in one tile where it fits: the weights, which outweigh the coefficients, are read once.
    "mix": Tiles({"B": 64, "I": 32, "O": 16}),
    "mix_adjoint": Tiles({"B": 64, "I": 32, "O": 16}),
    "weight_gradient": Tiles({"B": 32, "I": 64, "O": 32}),
    # Two accumulators.
    "product": Tiles({"O": 32, "N": 128, "J": 16, "I": 32}, warps=8),
    "stage": Tiles({"K": 1024}),
}


def config(kernel: str, **dimensions: int) -> dict[str, int]:
    """Keyword arguments of a launch: `BLOCK_<dimension>`, powers of two no larger than the dimension needs, and the
    numbers of warps and stages.
    """
    tiles = _TABLE[kernel]
    if set(dimensions) != set(tiles.largest):
        raise ValueError(f"{kernel} has dimensions {sorted(tiles.largest)}, got {sorted(dimensions)}")
    blocks = {f"BLOCK_{name}": min(tiles.largest[name], _power_of_two(size)) for name, size in dimensions.items()}
    return {**blocks, "num_warps": tiles.warps, "num_stages": tiles.stages}


def tiles(size: int, block: int) -> int:
    """How many blocks cover a dimension."""
    return -(-size // block)


def _power_of_two(size: int) -> int:
    return max(SMALLEST, 1 << (size - 1).bit_length())

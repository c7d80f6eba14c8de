"""What is timed on a card, and what was predicted for it before there was one."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Layer:
    """A spectral block, or a model of four: batch, channels, points, and wavenumbers kept on every axis."""

    points: tuple[int, ...]
    modes: int
    batch: int
    width: int

    @property
    def label(self) -> str:
        """Such as `64^2, k 12, batch 16, 64 channels`."""
        size = f"{self.points[0]}^{len(self.points)}" if len(self.points) > 1 else f"{self.points[0]}"
        return f"{size}, k {self.modes}, batch {self.batch}, {self.width} channels"

    @property
    def all_modes(self) -> tuple[int, ...]:
        """One number for each axis."""
        return (self.modes,) * len(self.points)

    def describe(self) -> dict[str, Any]:
        """What stands in the row's file."""
        return asdict(self) | {"label": self.label}


TINY = [Layer((16,), 3, 2, 4), Layer((6, 6), 1, 1, 3)]
LINES = [Layer((1024,), k, 64, 64) for k in (16, 32, 64)]
# The widest rows come last: they are given up first where time runs out.
PLANES = [Layer((n, n), k, 16, 64) for k in (12, 32) for n in (64, 128, 256)]
# Rows whose formulation by matrices is also compiled, which takes a quarter of a minute each.
COMPILED = [LINES[0], *PLANES[:3]]


def layers(dry: bool) -> list[Layer]:
    """Blocks, one after another."""
    return TINY if dry else [LINES[0], PLANES[0], *LINES[1:], *PLANES[1:]]


def compiles(layer: Layer, dry: bool) -> bool:
    """Whether `torch.compile` is among the row's contenders."""
    return layer in (TINY if dry else COMPILED)


# Forward pass in microseconds, counted on a roofline of 4.3 TB/s copied: separate operations and their launches,
# fused with products in tf32x3, fused in tf32, and everything read and written once.
PREDICTED: dict[Layer, tuple[int, int, int, int, int]] = {
    Layer((1024,), 16, 64, 64): (71, 101, 18, 13, 8),
    Layer((1024,), 32, 64, 64): (72, 102, 28, 13, 8),
    Layer((1024,), 64, 64, 64): (74, 104, 47, 20, 8),
    Layer((64, 64), 12, 16, 64): (108, 148, 23, 17, 10),
    Layer((128, 128), 12, 16, 64): (412, 452, 74, 52, 34),
    Layer((128, 128), 32, 16, 64): (447, 487, 172, 83, 47),
    Layer((256, 256), 12, 16, 64): (1629, 1669, 275, 192, 127),
    Layer((256, 256), 32, 16, 64): (1664, 1704, 539, 230, 141),
}

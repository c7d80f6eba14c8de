"""What is timed on a CPU: whole models and bare blocks of both packages, with the same parameters."""

import contextlib
import io
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DEPTH = 4


@dataclass(frozen=True)
class Case:
    """One row of the tables, but for the threads.

    Attributes:
        part: `model` for a whole training step, `blocks` for forward and backward of four spectral blocks alone.
        points: of the grid.
        n_modes: as neuraloperator counts them, on every axis.
        width: hidden channels.
    """

    part: str
    points: tuple[int, ...]
    n_modes: int
    width: int
    batch: int = 16

    @property
    def label(self) -> str:
        """Such as `128^2, 12 modes, 32 channels`."""
        size = f"{self.points[0]}^{len(self.points)}" if len(self.points) > 1 else f"{self.points[0]}"
        return f"{size}, {self.n_modes} modes, {self.width} channels"

    def describe(self) -> dict[str, Any]:
        """What stands in the row's file."""
        return asdict(self)

    def data(self) -> tuple[Tensor, Tensor]:
        """Input and target of a step: noise, whose size alone matters to a time."""
        channels = 1 if self.part == "model" else self.width
        noise = torch.randn(2, self.batch, channels, *self.points, generator=torch.Generator().manual_seed(1))
        return noise[0].clone(), noise[1].clone()

    def build(self) -> tuple[nn.Module, nn.Module]:
        """neuraloperator's default FNO without positional embedding, and ours with its parameters."""
        from neuralop.models import FNO

        from rollwave.operators.neuraloperator_weights import fno_from_neuraloperator

        torch.manual_seed(0)
        # The package prints its arguments.
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = FNO(
                n_modes=(self.n_modes,) * len(self.points),
                in_channels=1,
                out_channels=1,
                hidden_channels=self.width,
                n_layers=DEPTH,
                positional_embedding=None,
            )
        return theirs, fno_from_neuraloperator(theirs)

    def part_of(self, model: nn.Module, ours: bool) -> nn.Module:
        """What the row is about: the model, or its blocks."""
        if self.part == "model":
            return model
        return OurBlocks(model) if ours else TheirBlocks(model)


class OurBlocks(nn.Module):
    """`v -> s(K v + W v)`, four times, of our FNO."""

    def __init__(self, fno: Any) -> None:
        super().__init__()
        self.spectral = nn.ModuleList(block.spectral for block in fno.blocks)
        self.local = nn.ModuleList(block.local for block in fno.blocks)

    def forward(self, v: Tensor) -> Tensor:
        for spectral, local in zip(self.spectral, self.local, strict=True):
            v = spectral(v, skip=local.weight, act="gelu")
        return v


class TheirBlocks(nn.Module):
    """The same of neuraloperator's layers, put together as its blocks do."""

    def __init__(self, fno: Any) -> None:
        super().__init__()
        self.convs, self.skips = fno.fno_blocks.convs, fno.fno_blocks.fno_skips

    def forward(self, v: Tensor) -> Tensor:
        for conv, skip in zip(self.convs, self.skips, strict=True):
            v = F.gelu(conv(v) + skip(v))
        return v


def cases(quick: bool = False) -> list[Case]:
    """Whole models, then blocks."""
    if quick:
        return [Case("model", (32,), 8, 8, batch=4), Case("blocks", (8, 8), 4, 4, batch=4)]
    lines = [Case("model", (N,), 16, C) for N in (128, 256, 512, 1024) for C in (32, 64)]
    planes = [Case("model", (N, N), 12, C) for N, C in ((64, 32), (64, 64), (128, 32))]
    blocks = [Case("blocks", (1024,), 16, 32), Case("blocks", (1024,), 16, 64), Case("blocks", (64, 64), 12, 32)]
    return [*lines, *planes, *blocks]

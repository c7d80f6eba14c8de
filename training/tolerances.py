"""Local tolerances of the Jacobian: what a state looks like says how much sensitivity is allowed there."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from rollwave.operators.layers import periodic_convolution

from .draws import Draws
from .jacobian import exact

PERMUTATION = 13


@dataclass(frozen=True)
class TolerancePrior:
    """What keeps log tolerances `s` near `s_0`, where they start: without it a map whose sensitivity `r` goes to zero
    would be worth `log r`, minus infinity.

    Attributes:
        strength: `eta` of `(eta / 2) (s - s_0)^2`.
        bound: largest `|s - s_0|`.
        floor: added to the energies, relative to their mean at the start.
    """

    strength: float = 1e-3
    bound: float = 6.0
    floor: float = 1e-2

    def __post_init__(self) -> None:
        if self.strength < 0 or self.floor < 0 or not self.bound > 0:
            raise ValueError(f"expected strength >= 0, floor >= 0 and bound > 0, got {self}")


class ToleranceHead(nn.Module):
    """`s = s_0 + S tanh(h(u, |D u|) / S)`, the log tolerance of every output of a step from the frame `u`.

    `h` is three periodic convolutions over the frame and its central differences along each axis, in units of their
    rms in the first batch. Its last layer starts at zero: the first tolerance is `s_0`, the same everywhere. `s_0` is
    the log of the mean energy in the first batch of the run, over all processes; it is kept in the checkpoint, and
    resuming finds it there.

    Args:
        channels: of a frame.
        dimensions: space axes.
        width: hidden channels.
        bound: `S`.
    """

    level: Tensor
    slopes: Tensor
    started: Tensor

    def __init__(self, channels: int, dimensions: int, *, width: int = 16, bound: float = 6.0) -> None:
        super().__init__()
        self.dimensions, self.bound = dimensions, bound
        first = periodic_convolution(dimensions, channels * (1 + dimensions), width, kernel=5)
        second = periodic_convolution(dimensions, width, width, kernel=5)
        last = periodic_convolution(dimensions, width, channels, kernel=5)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.layers = nn.Sequential(first, nn.GELU(), second, nn.GELU(), last)
        self.register_buffer("level", torch.zeros(()))
        self.register_buffer("slopes", torch.ones(dimensions * channels))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self._ready = False

    def forward(self, u: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        with exact(u):
            scale = self.slopes.reshape(-1, *[1] * self.dimensions)
            h = self.layers(torch.cat([u, slopes(u, self.dimensions) / scale], dim=1))
            s: Tensor = self.level + self.bound * torch.tanh(h / self.bound)
        return s

    @torch.no_grad()
    def start(self, u: Float[Tensor, "b c *space"], energies: Float[Tensor, "b c *space"]) -> None:
        """Take `s_0` and the units of the differences from the first batch; do nothing ever after.

        Every process takes the means over all of them, since each keeps a copy of the head.
        """
        # A look at the buffer waits for the device, so it is taken once.
        if not self._ready and not self.started:
            squares = slopes(u, self.dimensions).square().transpose(0, 1).flatten(1).mean(1)
            means = mean_of_processes(torch.cat([energies.mean()[None], squares]))
            if not (means[0] > 0 and means.isfinite().all()):
                raise ValueError(
                    f"expected a finite positive mean energy of the Jacobian's rows to start from, got {means[0]:.3g}; "
                    "a map that changes nothing has none when the identity is taken off: use identity=0"
                )
            self.level.copy_(means[0].log())
            self.slopes.copy_(means[1:].sqrt().clamp_min(torch.finfo(u.dtype).tiny))
            self.started.fill_(True)
        self._ready = True


def slopes(u: Float[Tensor, "b c *space"], dimensions: int) -> Float[Tensor, "b dc *space"]:
    """`|u_{i+1} - u_{i-1}| / 2` along each axis of a periodic box, per cell."""
    axes = range(-dimensions, 0)
    return torch.cat([(u.roll(-1, axis) - u.roll(1, axis)).abs() / 2 for axis in axes], dim=1)


def mean_of_processes(values: Tensor) -> Tensor:
    """The mean of `values` over all processes of the run, in each of them."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(values)
        values = values / distributed.get_world_size()
    return values


class Placement(Protocol):
    """Where the learned weights act: `[b, c, *space]`, any shape kept."""

    def __call__(self, weights: Tensor, draws: Draws) -> Tensor: ...


@dataclass(frozen=True)
class InPlace:
    """Each weight acts where it was learned."""

    def __call__(self, weights: Float[Tensor, "b c *space"], draws: Draws) -> Float[Tensor, "b c *space"]:
        return weights


@dataclass(frozen=True)
class Permuted:
    """Each weight acts at a random point, drawn anew every step: the same weights as often, tied to nothing.

    The control that tells what a learned penalty owes to where it is strong.
    """

    def __call__(self, weights: Float[Tensor, "b c *space"], draws: Draws) -> Float[Tensor, "b c *space"]:
        flat = weights.flatten(2)
        order = torch.randperm(flat.shape[2], generator=draws.generator(stream=PERMUTATION))
        return flat[..., order.to(flat.device)].reshape(weights.shape)

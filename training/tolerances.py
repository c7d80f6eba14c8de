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
    """`s = s_0 + S tanh(h(u, |D u|) / S)`, the log tolerance of every output of a step from the frame `u`: of its
    squared error, or of the energy of its row of the Jacobian.

    `h` is three periodic convolutions over the frame and its central differences along each axis, in units of their
    rms in the first batch. Its last layer starts at zero: the first tolerance is `s_0`, the same everywhere. `s_0` is
    the log of the mean of what is tolerated in the first batch of the run, over all processes; it is kept in the
    checkpoint, and resuming finds it there.

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
    def start(self, u: Float[Tensor, "b c *space"], tolerated: Float[Tensor, "b c *space"]) -> None:
        """Take `s_0` and the units of the differences from the first batch; do nothing ever after.

        Every process takes the means over all of them, since each keeps a copy of the head.
        """
        # A look at the buffer waits for the device, so it is taken once.
        if not self._ready and not self.started:
            squares = slopes(u, self.dimensions).square().transpose(0, 1).flatten(1).mean(1)
            means = mean_of_processes(torch.cat([tolerated.mean()[None], squares]))
            self.level.copy_(log_of_mean(means[0]))
            self.slopes.copy_(means[1:].sqrt().clamp_min(torch.finfo(u.dtype).tiny))
            self.started.fill_(True)
        self._ready = True


class SharedTolerances(nn.Module):
    """`s + c`, the tolerances `s` of another head with a constant of their own: what errors and a Jacobian have in
    common is where they are tolerated, not in what unit.

    `c` is learned; the first tolerance is the log of the mean of what is tolerated in the first batch.

    Args:
        head: the other head, which starts before this one.
    """

    level: Tensor
    started: Tensor

    def __init__(self, head: ToleranceHead) -> None:
        super().__init__()
        self.head = head
        self.constant = nn.Parameter(torch.zeros(()))
        self.register_buffer("level", torch.zeros(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self._ready = False

    def forward(self, u: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        s: Tensor = self.head(u) + self.constant
        return s

    @torch.no_grad()
    def start(self, u: Float[Tensor, "b c *space"], tolerated: Float[Tensor, "b c *space"]) -> None:
        """Take the first level from the first batch; do nothing ever after."""
        if not self._ready and not self.started:
            self.level.copy_(log_of_mean(mean_of_processes(tolerated.mean())))
            self.constant.copy_(self.level - self.head.level)
            self.started.fill_(True)
        self._ready = True


def log_of_mean(mean: Tensor) -> Tensor:
    """Where tolerances start; raise a `ValueError` unless there is something to tolerate."""
    if not (mean > 0 and mean.isfinite()):
        raise ValueError(
            f"expected a finite positive mean of the Jacobian's energies, or of squared errors, to start tolerances "
            f"from, got {mean:.3g}; a map that changes nothing has no energies when the identity is taken off: "
            "use identity=0"
        )
    return mean.log()


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


@dataclass(frozen=True)
class Averaged:
    """The mean over space of the weights acts at every point: one weight a sample and channel.

    The control that knows states and no places: beside weights in place it tells what a learned penalty owes to where
    in a state it is strong, beside a uniform one what it owes to which states.
    """

    def __call__(self, weights: Float[Tensor, "b c *space"], draws: Draws) -> Float[Tensor, "b c *space"]:
        return weights.mean(tuple(range(2, weights.ndim)), keepdim=True).expand_as(weights)

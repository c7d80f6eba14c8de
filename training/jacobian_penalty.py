"""Penalties on the Jacobian whose strength is not learned: what a learned one is measured against."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .jacobian_probe import JacobianProbe
from .regularizer import ramp
from .tolerances import slopes


class Weighting(Protocol):
    """What is made of the energies `r [b, c, *space]` of the Jacobian's rows at the history `u`."""

    def __call__(
        self, u: Float[Tensor, "b h c *space"], energies: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, " b"]: ...


@dataclass(frozen=True)
class UniformWeight:
    """`lambda mean_i r_i`, the Frobenius norm.

    Attributes:
        value: `lambda`; the mean of a learned weight, to spend what that one spends.
    """

    value: float = 1.0

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError(
                f"a uniform weight must not be negative, or sensitivity would be rewarded, got {self.value}"
            )

    def __call__(self, u: Tensor, energies: Tensor) -> Tensor:
        return self.value * energies.flatten(1).mean(1)


@dataclass(frozen=True)
class SlopeWeight:
    """`mean_i lambda_i r_i` with `lambda_i = 1 / (1 + kappa |D u|_i^2)`: weak where the last frame is steep.

    `|D u|^2` is the sum over axes and channels of squared central differences of the normalised frame, in units of
    its mean over the box: neither the mesh nor the length of the box counts.

    Attributes:
        kappa: where the slope is typical, the weight is `1 / (1 + kappa)`.
    """

    kappa: float = 1.0

    def __post_init__(self) -> None:
        if self.kappa < 0:
            raise ValueError(f"kappa must not be negative, or weights would be, got {self.kappa}")

    def __call__(self, u: Tensor, energies: Tensor) -> Tensor:
        return (self.weights(u) * energies).flatten(1).mean(1)

    def weights(self, u: Float[Tensor, "b h c *space"]) -> Float[Tensor, "b 1 *space"]:
        steepness = slopes(u[:, -1], u.ndim - 3).square().sum(1, keepdim=True)
        mean = steepness.mean(tuple(range(1, steepness.ndim)), keepdim=True)
        # A frame without slopes is smooth everywhere.
        return 1 / (1 + self.kappa * steepness / mean.clamp_min(torch.finfo(u.dtype).tiny))


@dataclass(frozen=True)
class OneSided:
    """`relu(||J v|| / ||v|| - 1)^2` with `v` the random signs of the probe: only a map that expands pays.

    Not linear in the energies, so its gradient depends on how many products it is taken from: one.
    """

    def __call__(self, u: Tensor, energies: Tensor) -> Tensor:
        squared = energies.flatten(1).sum(1) / u[0].numel()
        # Where the map contracts there is no penalty, and no derivative of a root at zero.
        return (squared.clamp_min(1.0).sqrt() - 1).square()


@dataclass(frozen=True)
class JacobianPenalty:
    """`alpha w(r)`, with `r` the energies of the rows of the emulator's Jacobian and `w` a weighting.

    Attributes:
        weight: `alpha`, reached by `ramp`.
        weighting: what is made of the energies.
        probe: where and how they are measured.

    Reference:
        Hoffman, Roberts and Yaida (2019), arXiv:1908.02729, for the Frobenius norm by random products.
    """

    weight: float
    weighting: Weighting = field(default_factory=UniformWeight)
    probe: JacobianProbe = field(default_factory=JacobianProbe)

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"weight of a Jacobian penalty must not be negative, got {self.weight}")

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws, progress: float
    ) -> Float[Tensor, " b"]:
        # Probed at weight zero too: what has no derivative says so at the first step.
        state, energies = self.probe(emulator, z, draws=draws)
        return self.weight * ramp(progress) * self.weighting(state, energies)

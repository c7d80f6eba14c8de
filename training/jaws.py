from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rollwave.operators import Emulator

from .compatibility import recipe_of
from .draws import Draws
from .jacobian_probe import JacobianProbe
from .regularizer import ramp
from .tolerances import InPlace, Placement, SharedTolerances, ToleranceHead, TolerancePrior


class JAWS(nn.Module):
    """`alpha mean_i [ exp(-s_i) r_i + s_i + (eta / 2) (s_i - s_0)^2 ]`: a penalty on the energies `r_i` of the rows of
    the emulator's Jacobian whose local strength `exp(-s_i)` is learned.

    It is the negative logarithm of a Gaussian prior of the rows, of variance `exp(s_i)`, and of one of `s`. `s` is a
    `ToleranceHead` of the state, so what looks alike is penalised alike: a steep place that needs its sensitivity may
    keep it while smooth ones are damped. Were `s` free at every point, it would be `log r_i`, and the penalty
    `alpha mean log r_i`, which pulls every row by the same share of its energy. It bounds no norm: a map may become
    unstable while its energies fall.

    The gradient of the emulator comes from `exp(-s_i) r_i` alone, with `s` held; that of the head from all of it, with
    `r` held. Both are unbiased for one product with the Jacobian a step. `eta` stands inside the bracket, so that the
    shape of `s` does not depend on `alpha`. The head is left behind with the training.

    Tolerances start at the first energies. An untrained residual emulator is nearly the identity, `r = 1`; with the
    identity taken off hardly anything is left, and a weight of one over that keeps it from learning.

    Args:
        channels: of a frame.
        dimensions: space axes.
        weight: `alpha`, reached by `ramp`.
        width: hidden channels of a head of its own.
        prior: of `s`: `eta`, the bounds of a head of its own, and the floor of `r`.
        probe: where and how `r` is measured.
        placement: where the learned weights act.
        tied_to: tolerances of errors, whose field `s` shares up to a constant; None for a head of its own.

    Reference:
        After Nie and Suzuki (2026), arXiv:2603.05538, whose abstract states the idea; head, coefficients and schedule
        are our own.
    """

    def __init__(
        self,
        channels: int,
        dimensions: int,
        *,
        weight: float,
        width: int = 16,
        prior: TolerancePrior | None = None,
        probe: JacobianProbe | None = None,
        placement: Placement | None = None,
        tied_to: ToleranceHead | None = None,
    ) -> None:
        super().__init__()
        if weight < 0:
            raise ValueError(f"weight of a Jacobian penalty must not be negative, got {weight}")
        self.weight, self.width = weight, width
        self.prior, self.probe = prior or TolerancePrior(), probe or JacobianProbe()
        self.placement = placement or InPlace()
        self.head: ToleranceHead | SharedTolerances = (
            ToleranceHead(channels, dimensions, width=width, bound=self.prior.bound)
            if tied_to is None
            else SharedTolerances(tied_to)
        )

    @property
    def config(self) -> dict[str, Any]:
        """What a resumed run is compared with."""
        return {
            "weight": self.weight,
            "width": self.width,
            "prior": recipe_of(self.prior),
            "probe": recipe_of(self.probe),
            "placement": recipe_of(self.placement),
            "tied": isinstance(self.head, SharedTolerances),
        }

    def forward(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, draws: Draws, progress: float
    ) -> Float[Tensor, " b"]:
        state, energies = self.probe(emulator, z, draws=draws)
        self.head.start(state[:, -1], energies.detach())
        s = self.head(state[:, -1])
        energies = energies + self.prior.floor * self.head.level.exp()
        # Computed at weight zero too: parameters without a gradient stop a run of several processes.
        return self.weight * ramp(progress) * self.penalty(s, energies, draws).flatten(1).mean(1)

    def penalty(
        self, s: Float[Tensor, "b c *space"], energies: Float[Tensor, "b c *space"], draws: Draws
    ) -> Float[Tensor, "b c *space"]:
        """The bracket, at every output."""
        weights = torch.exp(-s)
        # The head is taught by the energies where it looks, wherever its weights act; this term is zero in value.
        taught = (weights - weights.detach()) * energies.detach()
        anchored = self.prior.strength / 2 * (s - self.head.level).square()
        return self.placement(weights.detach(), draws) * energies + taught + s + anchored

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator, Refiner

from .draws import Draws
from .objective import Loss, history_of

LEVEL, NOISE = 0, 1


@dataclass(frozen=True)
class Refinement:
    """`l( N(u, 0, 0), y )` for `k = 0` and `l( N(u, y + s_k xi, k/K), xi )` for `k = 1, .., K`, one `k` for each
    sample, uniform: one call of a `Refiner`'s network, asked for the target or for the noise upon it.

    `y` is what the operator should give, `(z_{n+1} - z_n) std / delta_std` in residual form and `z_{n+1}` without it,
    `s_k^2 = min_noise^(k/K)`, `xi` white and standard normal. A squared loss of the noise is that of the denoised
    target divided by `s_k^2`: the last calls are paid for amplitudes that a one-step loss does not feel.

    The source trains 400 epochs with an averaged decay of 0.995, rate 1e-4 falling to 1e-6 by a cosine.

    Reference:
        Lippe et al. (2023), arXiv:2308.05732, section 3.1.
    """

    horizon: ClassVar[int] = 1

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        refiner = emulator.network
        if not isinstance(refiner, Refiner):
            raise ValueError(
                f"a refinement objective trains a Refiner, got {type(refiner).__name__}; use operator=refiner, with "
                "this network inside it, or another objective"
            )
        for name in ("symmetry", "conserve", "conditions"):
            if getattr(emulator, name) is not None:
                raise ValueError(f"a refinement objective calls the bare network of an emulator; set {name}=null")
        target = increment(emulator, z)
        level = levels(refiner, target, draws)
        first = (level == 0).reshape(-1, *[1] * (target.ndim - 1))
        share = (level / max(refiner.steps, 1)).reshape(first.shape)
        xi = draws.normal_like(target, stream=NOISE)
        noised = target + refiner.min_noise ** (share / 2) * xi
        answer = refiner.call(
            history_of(emulator, z).flatten(1, 2),
            torch.where(first, 0.0, noised),
            share.expand_as(target[:, :1]).contiguous(),
        )
        return loss(answer, torch.where(first, target, xi))


def increment(emulator: Emulator, z: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b c *space"]:
    """What the network should give after the window's history: the next frame, or the change to it in its own units."""
    after = z[:, emulator.history]
    if not emulator.residual:
        return after
    unit = emulator.normalizer.delta_std / emulator.normalizer.std
    change = after - z[:, emulator.history - 1]
    return change / emulator.normalizer.spread(unit, emulator.metadata.dimensions)


def levels(refiner: Refiner, like: Float[Tensor, "b c *space"], draws: Draws) -> Float[Tensor, " b"]:
    """The call that each sample trains, uniform in `0, .., K`."""
    share = torch.special.ndtr(draws.normal_like(like.flatten(1)[:, 0], stream=LEVEL))
    return (share * (refiner.steps + 1)).floor().clamp(max=refiner.steps)

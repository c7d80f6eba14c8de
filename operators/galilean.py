from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .configurable import configurable


@configurable
class Galilean(nn.Module):
    """A step that is taken in the frame in which the fluid is at rest,

        G(u) = shift(G_0(u - c), a c dt) + c,      c the mean of u over the box,

    for fields that carry themselves with the velocity `a u`: then `G(u + c) = shift(G(u), a c dt) + c` holds exactly,
    whatever `G_0` is, as it does for Burgers, Kuramoto-Sivashinsky and Korteweg-de Vries equations. Channel `i` is the
    velocity along axis `i`, so there are as many channels as axes. The vorticity of a flow does not know its mean
    velocity and has no such symmetry. Older frames of a history are moved to where the frame of rest has them.

    Shifts are spectral, exact for fields without a Nyquist mode; that mode, which has no phase, is dropped.

    Args:
        advection: `a`.
    """

    config: dict[str, Any]

    def __init__(self, *, advection: float = 1.0) -> None:
        super().__init__()
        self.advection = advection

    def check(self, channels: Sequence[str], dimensions: int) -> None:
        """Refuse fields that are no velocity."""
        if len(channels) != dimensions:
            raise ValueError(
                f"a Galilean symmetry needs one velocity channel for each of the {dimensions} axes, got {channels}"
            )

    def forward(
        self,
        step: Callable[[Tensor], Tensor],
        u: Float[Tensor, "b h c *space"],
        *,
        interval: float,
        lengths: Sequence[float],
        lead: int | Int[Tensor, " b"] = 1,
    ) -> Float[Tensor, "b c *space"]:
        """The frame `lead` intervals after the frames `u`, by `step: [b, h, c, *space] -> [b, c, *space]`; physical
        units.
        """
        space = tuple(range(-len(lengths), 0))
        mean = u[:, -1].mean(space, keepdim=True)
        velocity = self.advection * mean.flatten(1)
        still = u - mean[:, None]
        if u.shape[1] > 1:
            ages = interval * torch.arange(u.shape[1] - 1, -1, -1, dtype=u.dtype, device=u.device)
            distances = velocity[:, None] * ages[:, None]
            still = shift(still.flatten(0, 1), distances.flatten(0, 1), lengths).unflatten(0, u.shape[:2])
        times = interval * (lead.to(u).reshape(-1, 1) if isinstance(lead, Tensor) else lead)
        return shift(step(still), velocity * times, lengths) + mean


def shift(
    u: Float[Tensor, "b c *space"], distances: Float[Tensor, "b d"], lengths: Sequence[float]
) -> Float[Tensor, "b c *space"]:
    """`u(x - s)` for the distances `s` of each sample, by the phases `exp(-i k s)`; without the Nyquist modes."""
    dimensions = len(lengths)
    points, axes = u.shape[-dimensions:], tuple(range(-dimensions, 0))
    u_hat = torch.fft.rfftn(u, dim=axes)
    for axis, N, L, distance in zip(axes, points, lengths, distances.unbind(1), strict=True):
        frequencies = torch.fft.rfftfreq if axis == -1 else torch.fft.fftfreq
        m = frequencies(N, d=1 / N, dtype=u.dtype, device=u.device)
        angle = -2 * torch.pi / L * distance[:, None] * m
        phase = torch.where(2 * m.abs() == N, 0, torch.polar(torch.ones_like(angle), angle))
        u_hat = u_hat * phase.reshape(len(u), *[1] * (u.ndim - 1 + axis), -1, *[1] * (-1 - axis))
    return torch.fft.irfftn(u_hat, s=points, dim=axes)

"""Relative errors of a frame, one number for each sample. `e = p - u`, sums and norms over channels and space; computed
in float32 or wider.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class RelativeL2:
    """`||p - u|| / ||u||`, the norms over channels and space together."""

    def __call__(
        self, prediction: Float[Tensor, "b c *space"], target: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, " b"]:
        error, target = _wide(prediction) - _wide(target), _wide(target)
        return _ratio(error.square().flatten(1).sum(1), target.square().flatten(1).sum(1))


@dataclass(frozen=True)
class RelativeH1:
    """`||p - u||_{H1} / ||u||_{H1}` with `||e||_{H1}^2 = sum_k (1 + |k|^2) |e_k|^2 = ||e||^2 + ||grad e||^2`,
    derivatives spectral.

    Attributes:
        lengths: period of the box along each axis, `k_j = 2 pi n_j / L_j`. None scales every axis to `2 pi`, so that
            `k_j = n_j` are integers.

    Reference:
        Li et al. (2022), arXiv:2106.06898, section 3.3.
    """

    lengths: tuple[float, ...] | None = None

    def __call__(
        self, prediction: Float[Tensor, "b c *space"], target: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, " b"]:
        points = tuple(target.shape[2:])
        lengths = (2 * math.pi,) * len(points) if self.lengths is None else tuple(self.lengths)
        if len(lengths) != len(points):
            raise ValueError(f"the loss has lengths {lengths}, the field {len(points)} axes of space")
        squares = [(2 * math.pi * n / L) ** 2 for n, L in zip(_indices(target), lengths, strict=True)]
        weight = 1 + sum(squares, start=torch.zeros((), device=target.device))
        target = _wide(target)
        return _ratio(_weighted(_wide(prediction) - target, weight), _weighted(target, weight))


@dataclass(frozen=True)
class BandWeighted:
    """`sqrt( sum_b w_b ||e_b||^2 ) / ||u||` with `e_b` the part of the error in band `b` of its spectrum.

    A wavenumber lies in the low, middle or high band by the third of `[0, 1]` that `max_j |n_j| / (N_j / 2)` falls
    into. Equal weights of 1 are `RelativeL2`; heavier high bands make the loss see scales whose amplitude is small.

    Attributes:
        weights: `w_b` of the low, the middle and the high third.
    """

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.weights) != 3 or min(self.weights) < 0 or max(self.weights) <= 0:
            raise ValueError(f"weights must be three non-negative numbers, not all zero, got {tuple(self.weights)}")

    def __call__(
        self, prediction: Float[Tensor, "b c *space"], target: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, " b"]:
        indices = _indices(target)
        fractions = torch.zeros((), device=target.device)
        for n, N in zip(indices, target.shape[2:], strict=True):
            fractions = torch.maximum(fractions, n.abs() / (N / 2))
        band = (fractions * 3).floor().clamp(max=2).long()
        # No tensor of the three: it would be copied from the host in every step.
        weight = torch.zeros_like(fractions)
        for third, value in enumerate(self.weights):
            weight = weight.masked_fill(band == third, value)
        target = _wide(target)
        return _ratio(_weighted(_wide(prediction) - target, weight), target.square().flatten(1).sum(1))


def _wide(u: Tensor) -> Tensor:
    """At least float32: half the bits of a square are lost in anything shorter, and no FFT takes it."""
    return u if u.dtype == torch.float64 else u.float()


def _ratio(above: Float[Tensor, " b"], below: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Square root of the quotient; its slope stays finite where a prediction is exact."""
    tiny = torch.finfo(below.dtype).tiny
    return (above + tiny).sqrt() / below.clamp(min=tiny).sqrt()


def _indices(u: Tensor) -> Sequence[Tensor]:
    """Integer wavenumbers of the half spectrum of `u`, one tensor for each axis, ready to broadcast."""
    points, dimensions, dtype = u.shape[2:], u.ndim - 2, torch.promote_types(u.dtype, torch.float32)
    indices = []
    for axis, N in enumerate(points):
        frequencies = torch.fft.rfftfreq if axis == dimensions - 1 else torch.fft.fftfreq
        shape = [1] * dimensions
        shape[axis] = -1
        indices.append(frequencies(N, d=1 / N, device=u.device, dtype=dtype).reshape(shape))
    return indices


def _weighted(u: Float[Tensor, "b c *space"], weight: Tensor) -> Float[Tensor, " b"]:
    """`sum_k w_k |u_k|^2` over the full spectrum, scaled so that `w = 1` gives `sum_x u^2`.

    The last axis holds half of the wavenumbers: each but `0` and, for even `N`, `N/2` stands for its mirror image too.
    """
    axes = tuple(range(2, u.ndim))
    u_hat = torch.fft.rfftn(u, dim=axes, norm="ortho")
    N = u.shape[-1]
    twice = torch.full((u_hat.shape[-1],), 2.0, device=u.device)
    twice.narrow(0, 0, 1).fill_(1)
    if N % 2 == 0:
        twice.narrow(0, N // 2, 1).fill_(1)
    return ((u_hat.real.square() + u_hat.imag.square()) * (weight * twice)).flatten(1).sum(1)

"""Transforms that map solutions to solutions, each a family of which random numbers choose the member."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators.galilean import shift


class Symmetry(Protocol):
    """A family of transforms of frames `[b, t, c, *space]` in physical units, taken at the times `[t]`."""

    def __call__(
        self,
        u: Float[Tensor, "b t c *space"],
        chance: Float[Tensor, "b 3"],
        *,
        times: Float[Tensor, " t"],
        lengths: tuple[float, ...],
    ) -> Float[Tensor, "b t c *space"]:
        """The frames of each sample under the member that its numbers, uniform in `[0, 1)`, choose."""
        ...


@dataclass(frozen=True)
class Translation:
    """`u(x - s)` along one axis, `s` a whole number of points.

    Attributes:
        axis: of space.
        divisions: `s` is a multiple of `L / divisions`, as a force of that period allows; None for any point.
    """

    axis: int = 0
    divisions: int | None = None

    def __call__(self, u: Tensor, chance: Tensor, *, times: Tensor, lengths: tuple[float, ...]) -> Tensor:
        axis = self.axis + 3
        N = u.shape[axis]
        parts = self.divisions or N
        if N % parts:
            raise ValueError(f"divisions of a translation must divide the {N} points of its axis, got {parts}")
        moves = (chance[:, 0] * parts).long() % parts * (N // parts)
        index = ((torch.arange(N, device=u.device) - moves[:, None]) % N).reshape(
            [{0: len(u), axis: N}.get(place, 1) for place in range(u.ndim)]
        )
        return u.gather(axis, index.expand_as(u))


@dataclass(frozen=True)
class Flip:
    """`sigma_c u_c(.., -x_j + g_j, .., -t)`, in one of two samples: mirror images, signs, reversals of time and what is
    made of them.

    Attributes:
        axes: of space, that are mirrored about a point of the grid.
        signs: `sigma_c` of every channel, 1 or -1.
        reverse: whether time runs backward.
        glide: `g_j / L_j` of every axis, by which the image is moved on, in whole points; empty for none.
    """

    signs: tuple[int, ...]
    axes: tuple[int, ...] = ()
    reverse: bool = False
    glide: tuple[float, ...] = ()

    def __call__(self, u: Tensor, chance: Tensor, *, times: Tensor, lengths: tuple[float, ...]) -> Tensor:
        image = _mirror(u, tuple(axis + 3 for axis in self.axes))
        for axis, fraction in enumerate(self.glide, start=3):
            image = image.roll(round(fraction * u.shape[axis]), axis)
        image = image.flip(1) if self.reverse else image
        signs = torch.tensor(self.signs, dtype=u.dtype, device=u.device).reshape(-1, *[1] * len(lengths))
        return torch.where(_of_samples(chance[:, 0] < 0.5, u), signs * image, u)


@dataclass(frozen=True)
class QuarterTurn:
    """`u(R^-1 x)` with `R` a rotation of the plane by 0, 90, 180 or 270 degrees, on a square grid.

    Attributes:
        vector: whether the two channels are the components of a vector, which turns with the plane.
    """

    vector: bool = False

    def __call__(self, u: Tensor, chance: Tensor, *, times: Tensor, lengths: tuple[float, ...]) -> Tensor:
        if u.ndim != 5 or u.shape[-1] != u.shape[-2] or lengths[0] != lengths[1]:
            raise ValueError(f"quarter turns need a square, got {tuple(u.shape[3:])} points and lengths {lengths}")
        turns = (4 * chance[:, 0]).long()
        for turn in (1, 2, 3):
            image = _mirror(u, (4,)).mT
            if self.vector:
                image = torch.stack((-image[:, :, 1], image[:, :, 0]), dim=2)
            u = torch.where(_of_samples(turns >= turn, u), image, u)
        return u


@dataclass(frozen=True)
class Boost:
    """`u(x - a c t) + c`: the same flow seen by an observer of velocity `-c`, uniform in `[-maximum, maximum]` along
    each axis. Channel `i` is the velocity along axis `i`; shifts are spectral.

    Attributes:
        maximum: of the speed, in the units of `u`.
        advection: `a`, of `u_t + a u u_x`.
    """

    maximum: float
    advection: float = 1.0

    def __call__(self, u: Tensor, chance: Tensor, *, times: Tensor, lengths: tuple[float, ...]) -> Tensor:
        c = (self.maximum * (2 * chance[:, : len(lengths)] - 1)).to(u.dtype)
        distances = self.advection * c[:, None] * times.to(u)[:, None]
        moved = shift(u.flatten(0, 1), distances.flatten(0, 1), lengths).unflatten(0, u.shape[:2])
        return moved + c[(slice(None), None, slice(None), *[None] * len(lengths))]


@dataclass(frozen=True)
class Phase:
    """`e^{i theta} psi` for the channels `(re, im)` of `psi`, `theta` uniform on the circle."""

    def __call__(self, u: Tensor, chance: Tensor, *, times: Tensor, lengths: tuple[float, ...]) -> Tensor:
        theta = _of_samples(2 * math.pi * chance[:, 0], u)[:, :, 0]
        cos, sin = torch.cos(theta).to(u.dtype), torch.sin(theta).to(u.dtype)
        re, im = u.unbind(2)
        return torch.stack((cos * re - sin * im, sin * re + cos * im), dim=2)


def _mirror(u: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`u(-x)` along the axes: point 0 stays, point `j` goes to `N - j`."""
    return u.flip(axes).roll([1] * len(axes), axes) if axes else u


def _of_samples(values: Float[Tensor, " b"], u: Tensor) -> Tensor:
    """One value for each sample, ready to act on `u`."""
    return values.reshape(-1, *[1] * (u.ndim - 1))

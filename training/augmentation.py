"""More training data for nothing: each window under a random symmetry of its equation."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.datasets import DatasetMetadata, equation_of, is_symmetry
from rollwave.operators import EmulatorMetadata

from .draws import Draws
from .symmetries import Boost, Flip, Phase, QuarterTurn, Symmetry, Translation

# Of the random numbers, apart from those of objectives and penalties.
STREAM = 7101
# Numbers that show each kind of member, the identity and others.
CHANCES = ((0.3,) * 3, (0.7, 0.2, 0.6), (0.45, 0.9, 0.1), (0.9, 0.55, 0.8), (0.1, 0.05, 0.35), (0.6, 0.75, 0.95))


@dataclass(frozen=True)
class Augmentation:
    """Each window, whole, under a random member of each of some symmetries of the equation, one after the other.

    The image of a solution is a solution, so the emulator learns from it as from any other.

    Attributes:
        symmetries: in the order in which they act.

    Reference:
        Brandstetter, Welling & Worrall (2022), arXiv:2202.07643.
    """

    symmetries: tuple[Symmetry, ...]

    def __call__(
        self, window: Float[Tensor, "b t c *space"], metadata: EmulatorMetadata, *, draws: Draws
    ) -> Float[Tensor, "b t c *space"]:
        """The image of a window in physical units, with the interval and on the box of the metadata."""
        b = len(window)
        generator = draws.generator(stream=STREAM)
        everyone = torch.rand(draws.world_size * b, len(self.symmetries), 3, generator=generator, dtype=torch.float64)
        chances = everyone[draws.rank * b : (draws.rank + 1) * b].to(window.device)
        times = metadata.interval * torch.arange(window.shape[1], dtype=window.dtype, device=window.device)
        for number, symmetry in enumerate(self.symmetries):
            window = symmetry(window, chances[:, number], times=times, lengths=metadata.lengths)
        return window


def augmentation_for(
    metadata: DatasetMetadata, *, symmetries: Sequence[Symmetry] | None = None, boost: float = 0.4
) -> Augmentation:
    """The augmentation by `symmetries`, or by all that the equation of the dataset has among those known here.

    Args:
        metadata: of the dataset; says what it solves, and its tendency which symmetries that has.
        symmetries: None for all.
        boost: largest speed of a Galilean boost, in the units of the field, where the equation has one; 0 for none.

    Raises:
        ValueError: the equation lacks one of the symmetries.
    """
    if symmetries is None:
        return Augmentation(legal_symmetries(metadata, boost=boost))
    for symmetry in symmetries:
        if not keeps(metadata, symmetry):
            legal = "\n  ".join(map(str, legal_symmetries(metadata, boost=boost)))
            raise ValueError(f"{metadata.equation} does not have the symmetry {symmetry}; it has\n  {legal}")
    return Augmentation(tuple(symmetries))


def keeps(metadata: DatasetMetadata, symmetry: Symmetry, chances: Sequence[Sequence[float]] = CHANCES) -> bool:
    """Whether the equation of the dataset has the symmetry."""
    equation, grid = equation_of(metadata)
    chance = torch.tensor(chances, dtype=torch.float64)
    return is_symmetry(equation, grid, lambda u, times: symmetry(u, chance, times=times, lengths=grid.lengths))


def legal_symmetries(metadata: DatasetMetadata, *, boost: float = 0.4) -> tuple[Symmetry, ...]:
    """The translations, mirror images, signs, reversals, quarter turns, phases and boosts that the equation has.

    Of those that are products of others already found none is listed.
    """
    channels, dimensions = len(metadata.channels), metadata.dimensions
    translations = [_translation(metadata, axis) for axis in range(dimensions)]
    others: list[Any] = []
    if dimensions == 2 and len(set(metadata.points)) == len(set(metadata.lengths)) == 1:
        others += [QuarterTurn(), *([QuarterTurn(vector=True)] if channels == 2 else [])]
    if channels == 2:
        others.append(Phase())
    if boost and channels == dimensions:
        others.append(Boost(boost, advection=float(getattr(equation_of(metadata)[0], "advection", 1.0))))
    found = [translation for translation in translations if translation is not None]
    return (*found, *_flips(metadata, found), *(symmetry for symmetry in others if keeps(metadata, symmetry)))


def _translation(metadata: DatasetMetadata, axis: int) -> Translation | None:
    """By as few points of the axis as the equation allows; None where it allows none."""
    N = metadata.points[axis]
    for parts in (parts for parts in range(N, 1, -1) if N % parts == 0):
        # The smallest of the shifts makes all others.
        smallest = [(1.5 / parts, 0.0, 0.0)] * len(CHANCES)
        if keeps(metadata, Translation(axis, parts), smallest):
            return Translation(axis, None if parts == N else parts)
    return None


def _flips(metadata: DatasetMetadata, translations: Sequence[Translation]) -> list[Flip]:
    """Of two-element symmetries a set that generates the others."""
    dimensions, signs = metadata.dimensions, tuple(itertools.product((1, -1), repeat=len(metadata.channels)))
    subsets = [axes for count in range(dimensions + 1) for axes in itertools.combinations(range(dimensions), count)]
    flips: list[Flip] = []
    span = {(0,) * (dimensions + len(signs[0]) + 1)}
    glides = [(), *_glides(metadata, translations)]
    for reverse, axes, sigma, glide in itertools.product((False, True), subsets, signs, glides):
        flip = Flip(sigma, axes, reverse, glide)
        word = (*(int(axis in axes) for axis in range(dimensions)), *(int(s < 0) for s in sigma), int(reverse))
        if word not in span and keeps(metadata, flip):
            flips.append(flip)
            span |= {tuple(a ^ b for a, b in zip(word, other, strict=True)) for other in span}
    return flips


def _glides(metadata: DatasetMetadata, translations: Sequence[Translation]) -> list[tuple[float, ...]]:
    """Half the period of a force that restricts translations, where that is a whole number of points."""
    return [
        tuple(0.5 / move.divisions if axis == move.axis else 0.0 for axis in range(metadata.dimensions))
        for move in translations
        if move.divisions is not None and metadata.points[move.axis] % (2 * move.divisions) == 0
    ]

"""Structure of an emulator that its equation must have: what is left open is filled in, what is not is checked."""

from collections.abc import Sequence

from rollwave.datasets import DatasetMetadata, conserved_channels, equation_of
from rollwave.operators import Conserve, Galilean

from .augmentation import keeps
from .symmetries import Boost


def galilean_for(metadata: DatasetMetadata, *, advection: float | None = None) -> Galilean:
    """The frame of rest for the equation of the dataset.

    Args:
        metadata: of the dataset; says what it solves.
        advection: `a` of `u_t + a u u_x`; None for that of the equation. Where the dataset does not say what it solves,
            a number is believed.

    Raises:
        ValueError: the equation has no such symmetry.
    """
    if metadata.equation_config is None and advection is not None:
        return Galilean(advection=advection)
    if advection is None:
        advection = float(getattr(equation_of(metadata)[0], "advection", 1.0))
    if len(metadata.channels) != metadata.dimensions or not keeps(metadata, Boost(0.4, advection)):
        raise ValueError(
            f"symmetry=galilean: solutions of {metadata.equation} in {metadata.channels} do not stay solutions under "
            f"u(x - a c t) + c with a = {advection:g}; set symmetry=null"
        )
    return Galilean(advection=advection)


def conserve_for(
    metadata: DatasetMetadata, *, means: Sequence[str] | None = None, squares: Sequence[str] | None = None
) -> Conserve:
    """The projection onto what the equation of the dataset declares conserved.

    Args:
        metadata: of the dataset; says what it solves.
        means: channels whose mean is kept; None for all whose mean the equation conserves.
        squares: channels the sum of whose squares is kept; None for those of the equation.

    Raises:
        ValueError: the equation does not conserve it, or conserves nothing of the kind.
    """
    if metadata.equation_config is None and means is not None and squares is not None:
        return Conserve(means=means, squares=squares)
    legal_means, legal_squares = conserved_channels(*equation_of(metadata))
    means = legal_means if means is None else tuple(means)
    squares = legal_squares if squares is None else tuple(squares)
    wrong = not set(means) <= set(legal_means) or (squares and tuple(squares) != legal_squares)
    if wrong or not (means or squares):
        raise ValueError(
            f"conserve: {metadata.equation} conserves the means of {legal_means} and the sum of squares of "
            f"{legal_squares}, asked were {tuple(means)} and {tuple(squares)}; set conserve=null"
            + (" or less of it" if wrong else "")
        )
    return Conserve(means=means, squares=squares)

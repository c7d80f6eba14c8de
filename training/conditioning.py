"""Batches of windows, with or without the coefficients of the equations that made them."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from rollwave.operators import Emulator

from .augmentation import Augmentation
from .draws import Draws


def split_batch(emulator: Emulator, batch: Tensor | Sequence[Tensor]) -> tuple[Tensor, Mapping[str, Tensor] | None]:
    """The windows `[b, t, c, *space]`, and the coefficients by name for an emulator that is told them.

    A batch with coefficients is a pair with `[b, p]`, in the order of the emulator's conditions.
    """
    if isinstance(batch, Tensor):
        return batch, None
    window, values = batch
    names = () if emulator.conditions is None else tuple(emulator.conditions.ranges)
    if len(names) != values.shape[1]:
        raise ValueError(f"the data gives {values.shape[1]} parameters a window, the emulator is told {names}")
    return window, dict(zip(names, values.unbind(1), strict=True))


def prepared(
    emulator: Emulator, batch: Tensor | Sequence[Tensor], *, augmentation: Augmentation | None, draws: Draws
) -> tuple[Tensor, Mapping[str, Tensor] | None]:
    """A training batch as the objective sees it: windows augmented and normalised, and the coefficients by name."""
    window, parameters = split_batch(emulator, batch)
    if augmentation is not None:
        window = augmentation(window, emulator.metadata, draws=draws)
    return emulator.encode(window), parameters

"""Whether the parts of an emulator, and what it is given, fit each other."""

import warnings
from collections.abc import Sequence

from torch import Tensor, nn

from .metadata import EmulatorMetadata
from .normalizer import Normalizer


def check_network(
    network: nn.Module, normalizer: Normalizer, metadata: EmulatorMetadata, *, history: int, told: int
) -> None:
    """Refuse a normaliser or a network of other channels, of which `told` hold conditions."""
    channels = len(metadata.channels)
    if normalizer.channels != channels:
        raise ValueError(
            f"the normalizer has {normalizer.channels} channels, the metadata {channels}: {metadata.channels}"
        )
    conditions = f" and {told} conditions" if told else ""
    for name, needed in (("in_channels", history * channels + told), ("out_channels", channels)):
        given = getattr(network, "config", {}).get(name, getattr(network, name, needed))
        if given != needed:
            raise ValueError(
                f"{history} frames of {channels} channels{conditions} need {name} = {needed}, got a network of {given}"
            )


def as_history(u: Tensor, metadata: EmulatorMetadata, history: int) -> Tensor:
    """`u` as `[b, h, c, *space]`, or an error that says what was expected."""
    dimensions, channels = metadata.dimensions, len(metadata.channels)
    if history == 1 and u.ndim == dimensions + 2:
        u = u[:, None]
    if u.ndim != dimensions + 3 or u.shape[1] != history or u.shape[2] != channels:
        raise ValueError(
            f"expected [batch, history = {history}, channel = {channels}, {dimensions} space axes], channels "
            f"{metadata.channels}, got {tuple(u.shape)}"
        )
    return u


def check_data(
    metadata: EmulatorMetadata,
    *,
    equation: str,
    channels: Sequence[str],
    interval: float,
    lengths: Sequence[float] | None,
    data_hash: str,
) -> None:
    """See `Emulator.check_compatible`."""
    for name, ours, theirs in (
        ("equation", metadata.equation, equation),
        ("channels", metadata.channels, tuple(channels)),
    ):
        if ours != theirs:
            raise ValueError(f"the emulator was trained on {name} {ours!r}, the data has {theirs!r}")
    if abs(metadata.interval - interval) > 1e-6 * metadata.interval:
        raise ValueError(f"the emulator steps by an interval of {metadata.interval}, the data by {interval}")
    box, given = metadata.lengths, metadata.lengths if lengths is None else tuple(lengths)
    if len(box) != len(given) or any(abs(a - b) > 1e-6 * a for a, b in zip(box, given, strict=True)):
        raise ValueError(f"the emulator was trained on a box of lengths {box}, the data has {given}")
    if data_hash and metadata.data_hash and data_hash != metadata.data_hash:
        warnings.warn(
            f"data_hash: the emulator was trained on {metadata.data_hash}, this data set is {data_hash}",
            stacklevel=3,
        )

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

FIELDS = ("mean", "std", "delta_std", "low", "high")


class Normalizer(nn.Module):
    """`z = (u - mean) / std` for each channel, and what else the training data says about a channel.

    The numbers are buffers: they move with the module and are saved with it. The number of space axes is given at
    each call, because `[batch, time, channel, x]` and `[batch, channel, x, y]` look alike.

    Args:
        mean: mean of each channel over the training split.
        std: standard deviation of each channel.
        delta_std: standard deviation of the change of each channel in one step.
        low: smallest value of each channel.
        high: largest value of each channel.
    """

    mean: Tensor
    std: Tensor
    delta_std: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        delta_std: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
    ) -> None:
        super().__init__()
        for name, values in zip(FIELDS, (mean, std, delta_std, low, high), strict=True):
            tensor = torch.as_tensor(values, dtype=torch.float32).detach().clone()
            if tensor.ndim != 1 or len(tensor) != len(mean) or not len(tensor):
                raise ValueError(
                    f"{name} must hold one number for each of the {len(mean)} channels, got shape {tuple(tensor.shape)}"
                )
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{name} must be finite, got {tensor.tolist()}")
            self.register_buffer(name, tensor)
        for name in ("std", "delta_std"):
            if not (getattr(self, name) > 0).all():
                raise ValueError(
                    f"{name} must be positive, got {getattr(self, name).tolist()}; drop channels that never change"
                )
        if not (self.low <= self.high).all():
            raise ValueError(f"low must not exceed high, got {self.low.tolist()} and {self.high.tolist()}")

    @property
    def channels(self) -> int:
        return len(self.mean)

    def values(self) -> dict[str, list[float]]:
        """The constructor's arguments as plain numbers."""
        return {name: getattr(self, name).tolist() for name in FIELDS}

    def encode(self, u: Float[Tensor, "..."], dimensions: int) -> Float[Tensor, "..."]:
        """Physical to normalised units of `[..., c, *space]`, with `dimensions` space axes after the channel axis."""
        return (u - self.spread(self.mean, dimensions)) / self.spread(self.std, dimensions)

    def decode(self, z: Float[Tensor, "..."], dimensions: int) -> Float[Tensor, "..."]:
        """Normalised to physical units of `[..., c, *space]`, with `dimensions` space axes after the channel axis."""
        return z * self.spread(self.std, dimensions) + self.spread(self.mean, dimensions)

    def spread(self, values: Float[Tensor, " c"], dimensions: int) -> Tensor:
        """One number a channel as `[c, 1, .., 1]`, ready to act on fields."""
        return values.reshape(-1, *[1] * dimensions)

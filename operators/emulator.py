import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from . import pretrained
from .configurable import build, plain
from .metadata import EmulatorMetadata
from .normalizer import Normalizer
from .rollout import rollout


class Emulator(nn.Module):
    """A network as a time-stepper of a PDE, in physical units:

        z_n = (u_n - mean) / std,      z_{n+1} = z_n + (delta_std / std) network(z_{n-h+1}, .., z_n),

    and `z_{n+1} = network(..)` without the residual form. The network sees the `history` frames as channels, oldest
    frame first, and gives one frame; in residual form its output is a change of unit variance. Frames are `interval`
    apart, on the grid of the metadata or on any other that the network takes.

    Args:
        network: `[b, h * c, *space] -> [b, c, *space]`.
        normalizer: the training data's statistics.
        metadata: what the emulator is trained on.
        history: `h`, the number of frames that a step sees.
        residual: whether the network gives the change or the next state.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        normalizer: Normalizer,
        metadata: EmulatorMetadata,
        history: int = 1,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if history < 1:
            raise ValueError(f"history must be at least 1, got {history}")
        channels = len(metadata.channels)
        if normalizer.channels != channels:
            raise ValueError(
                f"the normalizer has {normalizer.channels} channels, the metadata {channels}: {metadata.channels}"
            )
        for name, needed in (("in_channels", history * channels), ("out_channels", channels)):
            given = getattr(network, "config", {}).get(name, needed)
            if given != needed:
                raise ValueError(
                    f"{history} frames of {channels} channels need {name} = {needed}, got a network of {given}"
                )
        self.network, self.normalizer, self.metadata = network, normalizer, metadata
        self.history, self.residual = history, residual

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the weights, as plain data; `Emulator.from_config` builds the same emulator, untrained."""
        if "config" not in vars(self.network):
            raise TypeError(
                f"only operators of rollwave.operators record how to rebuild them, got {type(self.network).__name__}"
            )
        return {
            "network": plain(self.network),
            "normalizer": self.normalizer.values(),
            "metadata": self.metadata.to_dict(),
            "history": self.history,
            "residual": self.residual,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Emulator":
        legal = {"network", "normalizer", "metadata", "history", "residual"}
        if set(config) != legal:
            raise ValueError(f"an emulator's config holds {sorted(legal)}, got {sorted(config)}")
        return cls(
            build(config["network"]),
            normalizer=Normalizer(**config["normalizer"]),
            metadata=EmulatorMetadata.from_dict(config["metadata"]),
            history=config["history"],
            residual=config["residual"],
        )

    def encode(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Physical to normalised units, `[..., c, *space]` with any leading axes."""
        return self.normalizer.encode(u, self.metadata.dimensions)

    def decode(self, z: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Normalised to physical units, `[..., c, *space]` with any leading axes."""
        return self.normalizer.decode(z, self.metadata.dimensions)

    def advance(self, z: Float[Tensor, "b h c *space"]) -> Float[Tensor, "b c *space"]:
        """The next normalised frame after `history` normalised frames: the map that training sees."""
        y: Tensor = self.network(z.flatten(1, 2))
        if not self.residual:
            return y
        return z[:, -1] + y * self.normalizer.spread(
            self.normalizer.delta_std / self.normalizer.std, self.metadata.dimensions
        )

    def forward(self, u: Float[Tensor, "b h c *space"]) -> Float[Tensor, "b c *space"]:
        """The next frame, in physical units."""
        return self.decode(self.advance(self.encode(self.as_history(u))))

    def unroll(self, z: Float[Tensor, "b h c *space"], steps: int) -> Float[Tensor, "b t c *space"]:
        """`steps` frames, each from the ones before it, in normalised units and differentiable."""
        frames = []
        for _ in range(steps):
            frames.append(self.advance(z))
            z = torch.cat([z[:, 1:], frames[-1][:, None]], dim=1)
        return torch.stack(frames, dim=1)

    def rollout(self, u_history: Float[Tensor, "b h c *space"], steps: int) -> Float[Tensor, "b t c *space"]:
        """`steps` frames in physical units, without gradient, in evaluation mode, on the emulator's device.

        Warns once, naming step, sample and channel, when a state leaves the range of the training data by more than a
        fifth of its width. A sample that stops being finite is NaN from then on, with a warning; the other samples go
        on as if it were not there.

        Args:
            u_history: the last `history` frames, oldest first; `[b, c, *space]` if the history is a single frame.
            steps: number of frames to compute.
        """
        return rollout(self, self.as_history(u_history), steps)

    def as_history(self, u: Tensor) -> Tensor:
        """`u` as `[b, h, c, *space]` in the emulator's precision and place, or an error that says what was expected."""
        dimensions, channels = self.metadata.dimensions, len(self.metadata.channels)
        if self.history == 1 and u.ndim == dimensions + 2:
            u = u[:, None]
        if u.ndim != dimensions + 3 or u.shape[1] != self.history or u.shape[2] != channels:
            raise ValueError(
                f"expected [batch, history = {self.history}, channel = {channels}, {dimensions} space axes], channels "
                f"{self.metadata.channels}, "
                f"got {tuple(u.shape)}"
            )
        return u.to(self.normalizer.mean)

    def check_compatible(
        self,
        *,
        equation: str,
        channels: Sequence[str],
        interval: float,
        lengths: Sequence[float] | None = None,
        data_hash: str = "",
    ) -> None:
        """Raise a `ValueError` unless the emulator steps such data; warn if it was trained on another set of it.

        A network sees points, not lengths: on a box of another length it is another map. None where that is unknown.
        """
        for name, ours, theirs in (
            ("equation", self.metadata.equation, equation),
            ("channels", self.metadata.channels, tuple(channels)),
        ):
            if ours != theirs:
                raise ValueError(f"the emulator was trained on {name} {ours!r}, the data has {theirs!r}")
        if abs(self.metadata.interval - interval) > 1e-6 * self.metadata.interval:
            raise ValueError(f"the emulator steps by an interval of {self.metadata.interval}, the data by {interval}")
        box, given = self.metadata.lengths, self.metadata.lengths if lengths is None else tuple(lengths)
        if len(box) != len(given) or any(abs(a - b) > 1e-6 * a for a, b in zip(box, given, strict=True)):
            raise ValueError(f"the emulator was trained on a box of lengths {box}, the data has {given}")
        if data_hash and self.metadata.data_hash and data_hash != self.metadata.data_hash:
            warnings.warn(
                f"data_hash: the emulator was trained on {self.metadata.data_hash}, this data set is {data_hash}",
                stacklevel=2,
            )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `model.safetensors`, `config.json` and a card; an interrupted save leaves the old emulator valid."""
        pretrained.save(folder, self.config, self.state_dict())

    @classmethod
    def from_pretrained(cls, name: str | Path) -> "Emulator":
        """The emulator in a local folder or, if there is none, in the Hugging Face repository of that name."""
        config, state = pretrained.load(name)
        return cls._restore(config, state, str(name))

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> "Emulator":
        """The emulator inside a checkpoint of `train.py`; its averaged weights if the run kept any."""
        config, state = pretrained.load_checkpoint(path)
        return cls._restore(config, state, str(path))

    @classmethod
    def _restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor], source: str) -> "Emulator":
        emulator = cls.from_config(config)
        try:
            # Copied, in the precision that they were saved in: assigned, parameters that modules share would part.
            for name, tensor in (*emulator.named_parameters(), *emulator.named_buffers()):
                tensor.data = tensor.data.to(state.get(name, tensor).dtype)
            emulator.load_state_dict(state)
        except RuntimeError as error:
            first, *others = str(error).split("\n\t")[1:]
            raise ValueError(f"the weights in {source} do not fit its config ({len(others)} more): {first}") from None
        pretrained.warn_about_versions(config, source)
        return emulator.eval()

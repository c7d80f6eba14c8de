import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from . import pretrained
from .agreement import as_history, check_data, check_network
from .conditions import Conditions
from .configurable import build, plain
from .conservation import Conserve
from .galilean import Galilean
from .metadata import EmulatorMetadata
from .normalizer import Normalizer
from .rollout import rollout

REQUIRED = {"network", "normalizer", "metadata", "history", "residual"}
STRUCTURE = ("symmetry", "conserve", "conditions")


class Emulator(nn.Module):
    """A network as a time-stepper of a PDE, in physical units:

        z_n = (u_n - mean) / std,      z_{n+1} = z_n + (delta_std / std) network(z_{n-h+1}, .., z_n),

    and `z_{n+1} = network(..)` without the residual form. The network sees the `history` frames as channels, oldest
    frame first, and gives one frame; in residual form its output is a change of unit variance. Frames are `interval`
    apart, on the grid of the metadata or on any other that the network takes. Structure around that step costs next to
    nothing and holds for every network. That the equation has it is the caller's claim, which `train.py` checks.

    Args:
        network: `[b, h * c + k, *space] -> [b, c, *space]`, with `k` channels of conditions, if any, the last ones.
        normalizer: the training data's statistics.
        metadata: what the emulator is trained on.
        history: `h`, the number of frames that a step sees.
        residual: whether the network gives the change or the next state.
        symmetry: the frame of reference in which the step is taken.
        conserve: what a frame holds of what the frame before it held.
        conditions: what the network sees besides the fields: coefficients of the equation, the lead time.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        normalizer: Normalizer,
        metadata: EmulatorMetadata,
        history: int = 1,
        residual: bool = True,
        symmetry: Galilean | None = None,
        conserve: Conserve | None = None,
        conditions: Conditions | None = None,
    ) -> None:
        super().__init__()
        if history < 1:
            raise ValueError(f"history must be at least 1, got {history}")
        told = 0 if conditions is None else conditions.count
        check_network(network, normalizer, metadata, history=history, told=told)
        for part in (symmetry, conserve):
            if part is not None:
                part.check(metadata.channels, metadata.dimensions)
        self.network, self.normalizer, self.metadata = network, normalizer, metadata
        self.history, self.residual = history, residual
        self.symmetry, self.conserve, self.conditions = symmetry, conserve, conditions
        self._given: Tensor | None = None

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
            **{name: plain(part) for name in STRUCTURE if (part := getattr(self, name)) is not None},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Emulator":
        if not REQUIRED <= set(config) <= REQUIRED | set(STRUCTURE):
            raise ValueError(
                f"an emulator's config holds {sorted(REQUIRED)} and may hold {list(STRUCTURE)}, got {sorted(config)}"
            )
        structure: dict[str, Any] = {name: build(config[name]) for name in STRUCTURE if config.get(name) is not None}
        return cls(
            build(config["network"]),
            normalizer=Normalizer(**config["normalizer"]),
            metadata=EmulatorMetadata.from_dict(config["metadata"]),
            history=config["history"],
            residual=config["residual"],
            **structure,
        )

    def encode(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Physical to normalised units, `[..., c, *space]` with any leading axes."""
        return self.normalizer.encode(u, self.metadata.dimensions)

    def decode(self, z: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Normalised to physical units, `[..., c, *space]` with any leading axes."""
        return self.normalizer.decode(z, self.metadata.dimensions)

    def advance(
        self, z: Float[Tensor, "b h c *space"], *, lead: int | Int[Tensor, " b"] = 1
    ) -> Float[Tensor, "b c *space"]:
        """The normalised frame `lead` intervals after `history` normalised frames: the map that training sees.

        A lead time other than 1 needs `conditions` that take it; with `parameters` there, see `given`.
        """
        if self.symmetry is None and self.conserve is None:
            return self._step(z, lead)
        u, step = self.decode(z), lambda v: self.decode(self._step(self.encode(v), lead))
        if self.symmetry is None:
            frame = step(u)
        else:
            interval, lengths = self.metadata.interval, self.metadata.lengths
            frame = self.symmetry(step, u, interval=interval, lengths=lengths, lead=lead)
        if self.conserve is not None:
            frame = self.conserve(frame, u[:, -1], channels=self.metadata.channels)
        return self.encode(frame)

    def _step(self, z: Float[Tensor, "b h c *space"], lead: int | Int[Tensor, " b"]) -> Float[Tensor, "b c *space"]:
        """`advance` without symmetry and conservation."""
        seen = z.flatten(1, 2)
        if self.conditions is not None:
            seen = torch.cat([seen, self.conditions(seen, self._given, lead)], dim=1)
        if self.longest_lead == 1 and not (isinstance(lead, int) and lead == 1):
            raise ValueError("this emulator takes single steps, lead = 1; conditions with a longer lead take others")
        y: Tensor = self.network(seen)
        if not self.residual:
            return y
        return z[:, -1] + y * self.normalizer.spread(
            self.normalizer.delta_std / self.normalizer.std, self.metadata.dimensions
        )

    @property
    def longest_lead(self) -> int:
        """The longest lead time of a step, in intervals."""
        return 1 if self.conditions is None else self.conditions.lead

    @contextlib.contextmanager
    def given(self, parameters: Mapping[str, float | Tensor] | None) -> Iterator[None]:
        """Within it, steps are those of the equation with these coefficients, one number for all samples or one for
        each; None leaves things as they are. A batch that holds each sample `r` times, one after the other, shares its
        number.
        """
        before = self._given
        if parameters:
            if self.conditions is None:
                raise ValueError(f"this emulator takes no parameters, got {sorted(parameters)}")
            self._given = self.conditions.table(parameters, self.normalizer.mean.device).to(self.normalizer.mean)
        try:
            yield
        finally:
            self._given = before

    def as_given(self) -> Callable[[Tensor], Tensor]:
        """`advance` with the coefficients that are given now, also after `given` has ended: a checkpoint computes its
        step again in the backward pass.
        """
        rows = self._given

        def advance(z: Float[Tensor, "b h c *space"]) -> Float[Tensor, "b c *space"]:
            before, self._given = self._given, rows
            try:
                return self.advance(z)
            finally:
                self._given = before

        return advance

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

    def rollout(
        self,
        u_history: Float[Tensor, "b h c *space"],
        steps: int,
        *,
        parameters: Mapping[str, float | Tensor] | None = None,
    ) -> Float[Tensor, "b t c *space"]:
        """`steps` frames in physical units, without gradient, in evaluation mode, on the emulator's device.

        Warns once, naming step, sample and channel, when a state leaves the range of the training data by more than a
        fifth of its width. A sample that stops being finite is NaN from then on, with a warning; the other samples go
        on as if it were not there.

        Args:
            u_history: the last `history` frames, oldest first; `[b, c, *space]` if the history is a single frame.
            steps: number of frames to compute.
            parameters: coefficients of the equation, for an emulator that is conditioned on them; see `given`.
        """
        with self.given(parameters):
            return rollout(self, self.as_history(u_history), steps)

    def as_history(self, u: Tensor) -> Tensor:
        """`u` as `[b, h, c, *space]` in the emulator's precision and place, or an error that says what was expected."""
        return as_history(u, self.metadata, self.history).to(self.normalizer.mean)

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
        check_data(
            self.metadata,
            equation=equation,
            channels=channels,
            interval=interval,
            lengths=lengths,
            data_hash=data_hash,
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `model.safetensors`, `config.json` and a card; an interrupted save leaves the old emulator valid."""
        pretrained.save(folder, self.config, self.state_dict())

    @classmethod
    def from_pretrained(cls, name: str | Path) -> "Emulator":
        """The emulator in a local folder or, if there is none, in the Hugging Face repository of that name."""
        config, state = pretrained.load(name)
        return pretrained.filled(cls.from_config(config), config, state, source=str(name))

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> "Emulator":
        """The emulator inside a checkpoint of `train.py`; its averaged weights if the run kept any."""
        config, state = pretrained.load_checkpoint(path)
        return pretrained.filled(cls.from_config(config), config, state, source=str(path))

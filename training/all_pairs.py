import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .draws import Draws
from .objective import Loss

# Of the random numbers, apart from those of other parts of a step.
STREAM = 7102


@dataclass(frozen=True)
class AllPairs:
    """The mean over pairs `i < j` of `frames` frames of `l( f(u_i, j - i), u_j )`: each true state to every later one,
    by a network that is told the lead time.

    By the semigroup property each of the `frames (frames - 1) / 2` pairs is a true one. With `frames = 2` it is
    `OneStep`; with more the emulator needs `conditions` with a lead of `frames - 1`. Where the dynamics are chaotic,
    lead times beyond a Lyapunov time teach the mean state instead.

    Attributes:
        frames: of a window, of which the first has the history before it.
        pairs: how many pairs a step takes, drawn at random, the same ones for each sample of a batch; None for all.

    Reference:
        Herde et al. (2024), arXiv:2405.19101.
    """

    frames: int
    pairs: int | None = None

    def __post_init__(self) -> None:
        most = self.frames * (self.frames - 1) // 2
        if self.frames < 2:
            raise ValueError(f"frames of all pairs must be at least 2, got {self.frames}")
        if self.pairs is not None and not 1 <= self.pairs <= most:
            raise ValueError(f"pairs must be in 1 .. {most} for {self.frames} frames, got {self.pairs}")

    @property
    def horizon(self) -> int:
        return self.frames - 1

    def __call__(
        self, emulator: Emulator, z: Float[Tensor, "b t c *space"], *, loss: Loss, draws: Draws
    ) -> Float[Tensor, " b"]:
        if emulator.longest_lead < self.horizon:
            raise ValueError(
                f"all pairs of {self.frames} frames need an emulator with conditions of lead {self.horizon} or more, "
                f"got {emulator.longest_lead}; set conditions.lead={self.horizon}"
            )
        starts, ends = self._chosen(draws, z.device)
        h, b = emulator.history, len(z)
        histories = torch.stack([z[:, age : age + self.frames - 1] for age in range(h)], dim=2)
        # The pairs of a sample lie next to each other, as parameters of samples expect it.
        given, target = histories[:, starts].flatten(0, 1), z[:, h - 1 + ends].flatten(0, 1)
        lead = 1 if self.frames == 2 else (ends - starts).repeat(b)
        return loss(emulator.advance(given, lead=lead), target).reshape(b, -1).mean(1)

    def _chosen(self, draws: Draws, device: torch.device) -> tuple[Tensor, Tensor]:
        """First and last frames of the pairs."""
        every = torch.tensor(list(itertools.combinations(range(self.frames), 2)))
        if self.pairs is not None:
            every = every[torch.randperm(len(every), generator=draws.generator(stream=STREAM))[: self.pairs]]
        starts, ends = every.to(device).unbind(1)
        return starts, ends

"""The random numbers of a training step."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Random numbers that are a pure function of `(seed, step, stream)`, whatever happened before and however many
    processes share the step.

    A field of noise is drawn for the whole global batch, and each process keeps its part; so a run that is resumed, or
    spread over processes, meets the same numbers. Consumers inside one step use different streams.

    Attributes:
        seed: of the run.
        step: number of the batch, counted from the beginning of the run.
        rank: which process this is.
        world_size: how many there are.
    """

    seed: int
    step: int
    rank: int = 0
    world_size: int = 1

    def generator(self, device: torch.device | str = "cpu", *, stream: int = 0) -> torch.Generator:
        """A fresh generator for `stream`, the same in every process."""
        word = np.random.SeedSequence([self.seed, self.step, stream]).generate_state(2)
        return torch.Generator(device).manual_seed(int(word[0]) << 31 ^ int(word[1]))

    def normal_like(self, z: Tensor, *, stream: int = 0) -> Tensor:
        """Standard normal numbers of the shape of `z [b, ..]`: this process's rows of the global batch's."""
        generator = self.generator(z.device, stream=stream)
        shape = (self.world_size * len(z), *z.shape[1:])
        everyone = torch.randn(shape, generator=generator, device=z.device, dtype=z.dtype)
        return everyone[self.rank * len(z) : (self.rank + 1) * len(z)]

    def rademacher_like(self, z: Tensor, *, stream: int = 0) -> Tensor:
        """Random signs of the shape of `z [b, ..]`: this process's rows of the global batch's."""
        generator = self.generator(z.device, stream=stream)
        shape = (self.world_size * len(z), *z.shape[1:])
        everyone = torch.randint(2, shape, generator=generator, device=z.device, dtype=torch.int8)
        return everyone[self.rank * len(z) : (self.rank + 1) * len(z)].to(z.dtype).mul_(2).sub_(1)

    def integer(self, high: int, *, stream: int = 0) -> int:
        """One integer, uniform in `0, .., high - 1`, the same in every process."""
        return int(torch.randint(high, (1,), generator=self.generator(stream=stream)))

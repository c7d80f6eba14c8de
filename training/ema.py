"""Averages of the weights over the steps of a run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from .sharding import gathered


class ExponentialAverage:
    """`a_t = d_t a_{t-1} + (1 - d_t) w_t` with `d_t = min(d, t / (t + 9))`, for each parameter `w`; `a` starts as the
    first weights.

    The smaller `d_t` of the first steps lets the average forget the initial weights in a short run. Buffers are not
    averaged. Sharded parameters have sharded averages.

    Args:
        module: whose parameters are averaged.
        decay: `d`.
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of the averaged weights must lie in [0, 1), got {decay}")
        self.module = module
        self.decay = decay
        self.updates = 0
        self._averages = {name: value.detach().clone() for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimiser step."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 9))
        weights = [value.detach() for value in self.module.parameters()]
        torch._foreach_lerp_(list(self._averages.values()), weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module with the averages as its weights, for as long as the context lasts."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange weights and averages in place."""
        for name, weight in self.module.named_parameters():
            average = self._averages[name]
            held = weight.detach().clone()
            weight.copy_(average)
            average.copy_(held)

    def state_dict(self) -> dict[str, Tensor]:
        """A state dict of the module with the averages in the place of the weights, whole even where the weights are
        sharded.
        """
        averages = {id(weight): self._averages[name] for name, weight in self.module.named_parameters()}
        # A parameter that two modules share has one average and two names.
        averaged = {name: averages[id(w)] for name, w in self.module.named_parameters(remove_duplicate=False)}
        return gathered(self.module.state_dict() | averaged)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor], *, updates: int) -> None:
        """Go on from a saved average."""
        self.updates = updates
        for name, average in self._averages.items():
            saved = state[name].to(average.device)
            average.copy_(
                distribute_tensor(saved, average.device_mesh, average.placements)
                if isinstance(average, DTensor)
                else saved
            )

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .configurable import configurable


@configurable
class Connection(nn.Module):
    """How layers `F_l` make a field out of a field, as explicit steps whose slopes are summed:

        c_l = c_{l-1} + g_l F_l(c_{l-1}),      c_0 -> c_0 + sum_l a_l F_l(c_{l-1}) + b.

    Each gate is `g_l = sigmoid(change theta_l)`. A recipe without weights; `chain` makes them.

    Args:
        sequential: whether a layer sees the stage that the one before it made; otherwise all see `c_0`.
        parallel: whether the slopes are summed; otherwise the result is the last stage, `c_L`.
        gate: what the `theta_l` start from; None makes every `g_l` one.
        shared: whether all layers have one `theta`.
        change: a number that says how much the data change from frame to frame. At one, only `theta_l` acts.
        offset: whether there is a `b`, and `a` and `b` start as random numbers; otherwise `a_l` starts at `1 / L`.

    Reference:
        Lai et al. (2025), arXiv:2508.13490. Theirs is one shared gate that starts at the width, `change` one minus the
        mean cosine between successive frames of the data, and an offset. With `change` at one, as in their code, a
        gate that starts so high is stuck.
    """

    def __init__(
        self,
        *,
        sequential: bool = True,
        parallel: bool = True,
        gate: float | None = 0.0,
        shared: bool = False,
        change: float = 1.0,
        offset: bool = False,
    ) -> None:
        super().__init__()
        if not (sequential or parallel):
            raise ValueError("sequential and parallel are both false: then only the last layer would act")
        self.sequential, self.parallel = sequential, parallel
        self.gate, self.shared, self.change, self.offset = gate, shared, change, offset

    def chain(self, depth: int) -> "Chain":
        """The weights for so many layers."""
        return Chain(self, depth)


class Chain(nn.Module):
    """The numbers `theta`, `a` and `b` of a `Connection`."""

    def __init__(self, connection: Connection, depth: int) -> None:
        super().__init__()
        self.connection, bound = connection, 1 / math.sqrt(depth)
        # The last slope makes no further stage where slopes are summed.
        steps = (depth - connection.parallel) * connection.sequential
        gated = steps > 0 and connection.gate is not None
        size = 1 if connection.shared else steps
        self.theta = nn.Parameter(torch.full((size,), float(connection.gate or 0.0))) if gated else None
        share = torch.empty(depth).uniform_(-bound, bound) if connection.offset else torch.full((depth,), 1 / depth)
        self.share = nn.Parameter(share) if connection.parallel else None
        offset = connection.offset and connection.parallel
        self.offset = nn.Parameter(torch.empty(1).uniform_(-bound, bound)) if offset else None
        self.steps = steps

    def forward(self, start: Float[Tensor, "b c *space"], layers: Iterable[nn.Module]) -> Float[Tensor, "b c *space"]:
        state, total = start, start
        for index, layer in enumerate(layers):
            slope = layer(state)
            if self.share is not None:
                total = total + self.share[index] * slope
            if index < self.steps:
                state = state + self.step(index) * slope
        if self.share is None:
            return state
        return total if self.offset is None else total + self.offset

    def step(self, index: int) -> Tensor | float:
        """`g_l` of one layer."""
        if self.theta is None:
            return 1.0
        return torch.sigmoid(self.connection.change * self.theta[0 if self.connection.shared else index])

"""How good rollouts are, while training goes on."""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rollwave.operators import Emulator

from .objective import Loss, history_of

LARGEST_ERROR = 100.0
"""What a diverged frame counts in a mean of relative errors."""


class HorizonMetric(Protocol):
    """For how many steps a prediction stays good; `sigma` is the standard deviation of each channel."""

    def __call__(
        self,
        prediction: Float[Tensor, "b t c *space"],
        truth: Float[Tensor, "b t c *space"],
        sigma: Float[Tensor, " c"],
    ) -> Float[Tensor, " b"]: ...


@torch.no_grad()
def window_errors(
    emulator: Emulator,
    window: Float[Tensor, "b t c *space"],
    index: Int[Tensor, " b"],
    *,
    loss: Loss,
    horizon_metric: HorizonMetric,
) -> Float[Tensor, "b 4"]:
    """For each window its index, the loss of one step, the mean over the rollout of `||p - u|| / ||u||`, and the
    horizon in steps.
    """
    z = emulator.encode(window)
    truth = z[:, emulator.history :]
    rolled = emulator.unroll(history_of(emulator, z), truth.shape[1]).to(z.dtype)
    prediction, target = emulator.decode(rolled).double(), window[:, emulator.history :].double()
    relative = (prediction - target).flatten(2).norm(dim=2) / target.flatten(2).norm(dim=2)
    nrmse = relative.nan_to_num(nan=LARGEST_ERROR).clamp(max=LARGEST_ERROR).mean(1)
    columns = [
        index,
        loss(rolled[:, 0], truth[:, 0]),
        nrmse,
        horizon_metric(prediction, target, emulator.normalizer.std.double()),
    ]
    return torch.stack([column.double() for column in columns], dim=1)


def summarize(rows: Float[Tensor, "n 4"], interval: float, lyapunov_exponent: float | None = None) -> dict[str, Tensor]:
    """Mean loss and nRMSE and median horizon over windows, each counted once, whichever process saw it.

    The horizon is in physical time and, where the leading exponent is known, in Lyapunov times too.
    """
    _, loss, nrmse, steps = _each_once(rows).unbind(1)
    horizon = steps.quantile(0.5) * interval
    summary = {"loss": loss.mean(), "nrmse": nrmse.mean(), "horizon": horizon}
    return summary if lyapunov_exponent is None else {**summary, "lyapunov_times": horizon * lyapunov_exponent}


def _each_once(rows: Float[Tensor, "n 4"]) -> Float[Tensor, "m 4"]:
    """The rows ordered by index, repeated ones dropped."""
    rows = rows[rows[:, 0].argsort(stable=True)]
    first = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    first[1:] = rows[1:, 0] != rows[:-1, 0]
    return rows[first]

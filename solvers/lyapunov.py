"""Lyapunov exponents: the rates at which neighbouring solutions part.

With `M(t)` the linearised flow over one interval, and `Q` orthonormal,

    M(t_n) Q_{n-1} = Q_n R_n,    lambda_i = lim 1/T sum_n log (R_n)_ii,

from the largest down. `M q` is the difference of two solutions that start `d q` apart, over `d`: Benettin's twins, who
ask nothing of a scheme but its steps. With `d = 1e-7` of the field's norm, curvature and rounding change an exponent
in the seventh digit; how long the average runs decides about the second. Everything is computed in float64: rounding
of float32 is as large as `d`.

Reference:
    Benettin, Galgani, Giorgilli & Strelcyn (1980), Meccanica 15, 9-20, doi:10.1007/BF02128236.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_field
from .equation import Equation
from .grid import Grid, Number
from .run import SimulationError, advance
from .shapes import Float
from .stepper import Stepper
from .steps import steps_in

# Of the field's norm: far above rounding, far below where the difference ceases to be linear.
DISTANCE = 1e-7


@dataclass(frozen=True)
class LyapunovExponents:
    """Exponents of independent trajectories of one flow, in 1 / time.

    Attributes:
        each: of every trajectory, from the largest down.
        log_growth: `log (R_n)_ii` of every interval.
    """

    each: Float[Tensor, "b i"]
    log_growth: Float[Tensor, "n b i"]

    @property
    def mean(self) -> Float[Tensor, " i"]:
        """The exponents: means over trajectories."""
        return self.each.mean(0)

    @property
    def standard_error(self) -> Float[Tensor, " i"]:
        """Of the means, from the spread of trajectories, which are independent."""
        return self.each.std(0) / math.sqrt(len(self.each))

    def chaotic(self, intervals: int) -> "LyapunovExponents":
        """Without the trajectories that settled: whose first perturbation hardly grew over the last `intervals`.

        Chaos may be a transient: Kuramoto-Sivashinsky fields on boxes of 32 or 64 end, soon or after 1e4 to 1e5 units
        of time, on steady cells of length 8. The limit is a tenth of the median growth; take `intervals` long enough
        for four standard deviations of the average over them to stay above it.
        """
        first = self.log_growth[..., 0]
        kept = first[-intervals:].mean(0) > 0.1 * first.mean(0).median()
        return LyapunovExponents(self.each[kept], self.log_growth[:, kept])

    def dimension(self) -> float:
        """Kaplan-Yorke: `j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|`, `j` the last at which the sum is positive.

        Raises:
            ValueError: the sum of all exponents known is still positive; ask for more of them.
        """
        sums = self.mean.cumsum(0)
        negative = (sums < 0).nonzero()
        if not len(negative):
            raise ValueError(f"the sum of {len(sums)} exponents is {sums[-1]:.3g}, not negative; count more of them")
        last = int(negative[0])
        before = sums[last - 1].item() if last else 0.0
        return last + before / abs(self.mean[last].item())


@torch.no_grad()
def lyapunov_exponents(
    equation: Equation,
    grid: Grid,
    u: Float[Tensor, "b c *space"],
    *,
    dt: Number,
    time: Number,
    interval: Number = 1.0,
    transient: Number = 0.0,
    count: int = 1,
    zero_mean: bool = False,
    stepper: type[Stepper] | None = None,
    seed: int = 0,
) -> LyapunovExponents:
    """The leading exponents of trajectories from fields on the attractor.

    Perturbations start as white noise.

    Args:
        dt: step; must divide `interval`.
        time: average over this time; a multiple of `interval`.
        interval: between two orthonormalisations; short against the inverse of the steepest exponent.
        transient: time for the perturbations to find their directions, left out of the average; a multiple too.
        count: number of exponents, at most that of a sample's values (less one a channel with `zero_mean`).
        zero_mean: hold the mean of perturbations at zero; where the equation conserves it, it is a direction of its own
            that adds an exponent of zero.
        stepper: scheme, by default the equation's own.
        seed: of the perturbations.

    Raises:
        ValueError: `u` does not fit the grid, `dt` does not divide `interval`, `interval` not the other times, or
            `count` is out of range.
        SimulationError: a trajectory or the growth of a perturbation stopped being finite.
    """
    check_field(equation, grid, u)
    steps, before, kept = _numbers(dt, time, interval, transient)
    largest = u[0].numel() - zero_mean * u.shape[1]
    if not 1 <= count <= largest:
        raise ValueError(f"count must be between 1 and the {largest} directions of a sample, got {count}")
    u = u.to(torch.float64)
    scheme = (stepper or equation.default_stepper)(equation, grid.to(u), interval / steps)
    noise = torch.randn((*u.shape, count), generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(u)
    q, logs = torch.linalg.qr(noise.flatten(1, -2))[0], []
    for number in range(before + kept):
        if zero_mean:
            q = without_mean(q, u)
        u, q, growth = push(scheme, u, q, steps)
        _refuse_infinite(growth, number * interval)
        logs.append(growth)
    log_growth = torch.stack(logs[before:])
    return LyapunovExponents(log_growth.mean(0) / interval, log_growth)


def _numbers(dt: Number, time: Number, interval: Number, transient: Number) -> tuple[int, int, int]:
    """Steps of an interval, intervals before the average, and intervals of it."""
    if not (interval > 0 and math.isfinite(interval)):
        raise ValueError(f"interval must be positive and finite, got {interval}")
    if not (0 <= transient < math.inf and interval / 2 < time < math.inf):
        raise ValueError(f"transient must not be negative and time at least one interval, got {transient} and {time}")
    before, kept = steps_in(transient, interval, "transient"), steps_in(time, interval, "time")
    return steps_in(interval, dt, "interval"), before, kept


def _refuse_infinite(growth: Float[Tensor, "b i"], time: Number) -> None:
    """Name the sample whose perturbations did not grow by a finite factor over the interval from a time on."""
    sound = torch.isfinite(growth).all(1)
    if not bool(sound.all()):
        sample = int((~sound).nonzero()[0])
        raise SimulationError(
            f"sample {sample}: the growth of its perturbations is not finite over the interval from t = {time:.6g} on; "
            "the trajectory blew up or vanished, or perturbations were damped below rounding: halve dt or the interval",
            time=float(time),
            sample=sample,
        )


def without_mean(q: Float[Tensor, "b d i"], u: Float[Tensor, "b c *space"]) -> Float[Tensor, "b d i"]:
    """Perturbations of fields like `u` less their mean in every channel, orthonormal again."""
    fields = q.unflatten(1, (u.shape[1], -1))
    return torch.linalg.qr((fields - fields.mean(2, keepdim=True)).flatten(1, 2))[0]


def push(
    scheme: Stepper, u: Float[Tensor, "b c *space"], q: Float[Tensor, "b d i"], steps: int
) -> tuple[Float[Tensor, "b c *space"], Float[Tensor, "b d i"], Float[Tensor, "b i"]]:
    """Fields and orthonormal perturbations some steps later, and the logarithms of the perturbations' growth."""
    batch, count = len(u), q.shape[-1]
    distance = DISTANCE * u.flatten(1).norm(dim=1).reshape(-1, 1, *[1] * (u.ndim - 1))
    twins = u[:, None] + distance * q.mT.unflatten(-1, u.shape[1:])
    moved = advance(scheme, torch.cat((u[:, None], twins), dim=1).flatten(0, 1), steps).unflatten(0, (batch, 1 + count))
    u, twins = moved[:, 0], moved[:, 1:]
    q, r = torch.linalg.qr(((twins - u[:, None]) / distance).flatten(2).mT)
    return u, q, torch.diagonal(r, dim1=-2, dim2=-1).abs().log()

"""How wrong a simulation is, measured after it ran: half the step, twice the grid, budgets, the tail of the spectrum.

    error(t) = max |u(t) - v(t)|_2 / max_t |u|_2    over channels and samples,

with `|.|_2` the root mean square over the box and `v` the solution of the same initial function with half the step, or
of that one on twice the points. For a scheme of order `p` the first is `1 - 2^-p` times the error of the step.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from .budget import budget_errors, invariant_drifts
from .checks import check_field, check_samples, check_shape, check_times
from .equation import Equation
from .grid import Grid, Number
from .resolution import UNRESOLVED, highest_modes, spectral_tail
from .run import SimulationError, run
from .shapes import Float
from .stepper import Stepper
from .steps import ROUNDINGS, steps_in

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Knobs:
    """What a complaint asks the reader to do."""

    step: str = "give a smaller dt="
    grid: str = "give the grid more points=, or a smoother u0"


@dataclass(frozen=True)
class Certificate:
    """Measured errors of a simulation. Infinite ones say that the finer solution stopped being finite.

    Attributes:
        samples: trajectories measured.
        horizon: time over which they were followed.
        step_error: largest relative difference from the solution with half the step.
        grid_error: the same, at half the step, from the solution on twice the points.
        invariant_drift: largest change of each invariant, see `relative_drift`; only what the equation conserves should
            be small.
        spectral_tail: largest share of the squared field in the highest quarter of the modes that the scheme keeps,
            after the first frame.
        budget_error: what is missing in the balance of each invariant: of its budget where it has one (see
            `budget.py`; steps must be short enough to integrate its terms), else of zero, its drift, where the equation
            conserves it.
        dt: step of the scheme.
        tolerance: of `predictable`.
        predictable: time until which both differences stay below the tolerance in every sample, at most the horizon.
            In a chaotic system errors grow like `e^{lambda t}`, and beyond it only statistics are certified.
    """

    samples: int
    horizon: float
    step_error: float
    grid_error: float
    invariant_drift: dict[str, float]
    spectral_tail: float
    budget_error: dict[str, float] = field(default_factory=dict)
    dt: float | None = None
    tolerance: float | None = None
    predictable: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Certificate":
        """From what `to_dict` gave, in this version or one that measured less."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def complaints(
        self,
        tolerance: float = TOLERANCE,
        *,
        budget: float | None = TOLERANCE,
        tail: float | None = UNRESOLVED,
        knobs: Knobs = Knobs(),
    ) -> list[str]:
        """What misses a tolerance, each with the knob to turn; `budget` and `tail` may be None for any value."""
        found = []
        if not self.step_error <= tolerance:
            found.append(f"half the step moves the solution by {self._over(self.step_error, tolerance)}: {knobs.step}")
        if not self.grid_error <= tolerance:
            found.append(f"twice the grid moves the solution by {self._over(self.grid_error, tolerance)}: {knobs.grid}")
        for name, error in self.budget_error.items():
            if budget is not None and not error <= budget:
                found.append(f"the budget of {name} is off by {error:.1e} > {budget:.0e}: {knobs.step}")
        if tail is not None and not self.spectral_tail <= tail:
            share = f"{self.spectral_tail:.1e} > {tail:.0e} of the squared field"
            found.append(f"the highest quarter of the modes holds {share}: {knobs.grid}")
        return found

    def _over(self, error: float, tolerance: float) -> str:
        when = "" if self.predictable is None else f", by {self.tolerance:.0e} after {self.predictable:g} of them"
        return f"{error:.1e} > {tolerance:.0e} in {self.horizon:g} time units{when}"


@torch.no_grad()
def certify(
    equation: Equation,
    grid: Grid,
    u0: Float[Tensor, "b c *space"],
    *,
    interval: Number,
    frames: int,
    dt: Number,
    stepper: type[Stepper] | None = None,
    fine_u0: Float[Tensor, "b c *fine"] | None = None,
    trajectory: Float[Tensor, "b t c *space"] | None = None,
    tolerance: float = TOLERANCE,
) -> Certificate:
    """Measure the certificate of the runs from all of `u0` with the step `dt`.

    The finer solutions are computed in float64, so that the rounding of a float32 run counts as its error. They cost
    `2 + 2^(d+1)` times the run, budgets two more.

    Args:
        stepper: scheme, by default the equation's own.
        fine_u0: the initial function on twice the points; the trigonometric interpolant of `u0` where it is not given.
        trajectory: the run itself, where it has been done.
        tolerance: of `Certificate.predictable`.

    Raises:
        SimulationError: `u0` is not, or the run itself stopped being, finite.
        ValueError, TypeError: a field, or a time, does not fit the others; nothing has run.
    """
    check_field(equation, grid, u0)
    check_times(interval, frames, certify=True)
    _check_given(grid, u0, frames, fine_u0, trajectory)
    steps, scheme = steps_in(interval, dt), stepper or equation.default_stepper
    grid = grid.to(u0)
    coarse = scheme(equation, grid, interval / steps)
    u = run(coarse, u0, steps, frames) if trajectory is None else trajectory
    half, double = _finer_solutions(scheme, coarse, u0, fine_u0, 2 * steps, frames)
    eps, u = torch.finfo(u0.dtype).eps, u.to(torch.float64)
    step_error, grid_error = error_curve(u, half, eps), error_curve(half, double, eps)
    # What the scheme leaves out of the first frame, a mean or high modes, has not drifted.
    kept = coarse.decode(coarse.encode(u0)).to(u)
    drifts = invariant_drifts(equation, grid, torch.cat((kept[:, None], u[:, 1:]), dim=1), eps)
    conserved = {name: drifts[name] for name in equation.conserved if name in drifts}
    return Certificate(
        samples=len(u0),
        horizon=float(frames * interval),
        step_error=float(step_error.max()),
        grid_error=float(grid_error.max()),
        invariant_drift=drifts,
        spectral_tail=float(spectral_tail(u[:, 1:], highest_modes(coarse), eps).max()),
        budget_error=conserved | budget_errors(coarse, u0, frames * steps),
        dt=coarse.dt,
        tolerance=tolerance,
        predictable=interval * frames_below(tolerance, step_error, grid_error),
    )


def _check_given(grid: Grid, u0: Tensor, frames: int, fine_u0: Tensor | None, trajectory: Tensor | None) -> None:
    """Refuse fields that do not belong to `u0`."""
    fine, channels = tuple(2 * n for n in grid.points), u0.shape[1]
    for name, u, shape, words in (
        ("fine_u0", fine_u0, (channels, *fine), "(channels, *fine points)"),
        ("trajectory", trajectory, (frames + 1, channels, *grid.points), "(frames + 1, channels, *points)"),
    ):
        if u is not None:
            check_shape(name, u, shape, words)
            check_samples(name, u, u0)


def _finer_solutions(
    scheme: type[Stepper], coarse: Stepper, u0: Tensor, fine_u0: Tensor | None, steps: int, frames: int
) -> list[Tensor]:
    """With half the step, and on twice the points too, at those of the grid; infinite if it stopped being finite."""
    grid, u0 = coarse.grid.to(torch.float64), u0.to(torch.float64)
    fine = Grid(tuple(2 * n for n in grid.points), grid.lengths, grid.dtype, grid.device)
    fine_u0 = grid.interpolate(u0, fine.points) if fine_u0 is None else fine_u0.to(u0)
    solutions = []
    for at, start, stride in ((grid, u0, 1), (fine, fine_u0, 2)):
        shared: list[Any] = [..., *[slice(None, None, stride)] * grid.ndim]
        try:
            solution = run(scheme(coarse.equation, at, coarse.dt / 2), start, steps, frames)
            solutions.append(solution[tuple(shared)])
        except (SimulationError, ArithmeticError):
            # An adaptive scheme finds no step.
            solutions.append(torch.full_like(u0, math.inf)[:, None].expand(-1, frames + 1, *u0.shape[1:]))
    return solutions


def error_curve(u: Float[Tensor, "b t c *space"], v: Float[Tensor, "b t c *space"], eps: float) -> Float[Tensor, " t"]:
    """The error at every frame. That of a channel which is rounding of the largest is far below a tolerance."""
    difference, size = (x.flatten(3).norm(dim=3) for x in (u - v, u))
    size = size.amax(dim=1, keepdim=True)
    floor = max(math.sqrt(eps), ROUNDINGS * eps / TOLERANCE) * size.amax(dim=2, keepdim=True)
    size = torch.maximum(size, floor).clamp(min=torch.finfo(u.dtype).tiny)
    return (difference / size).amax(dim=(0, 2)).nan_to_num(nan=math.inf, posinf=math.inf)


def frames_below(tolerance: float, *curves: Float[Tensor, " t"]) -> int:
    """The number of frames after the first until one of the curves exceeds the tolerance."""
    below = torch.stack([curve <= tolerance for curve in curves]).all(dim=0)
    return max(0, int(below.to(torch.int64).cumprod(0).sum()) - 1)

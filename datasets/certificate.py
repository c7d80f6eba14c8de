"""How wrong the truth is: half the step, twice the grid, invariants, the tail of the spectrum, on a few trajectories.

Errors are relative, in the root mean square over the box, of the worst channel, frame and sample within the horizon:

    error = max |u - v|_2 / max_t |u|_2 .
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Grid, SimulationError, relative_drift, sample, simulate
from rollwave.solvers.simulate import steps_in

from .blocks import GenerationError, subsample
from .recipe import Recipe

WARNING = 1e-3


class CertificateError(ValueError):
    """The truth misses the tolerance of its recipe."""


@dataclass(frozen=True)
class Certificate:
    """Measured errors of the reference solution.

    Attributes:
        samples: trajectories measured, the first ones of the training split.
        horizon: time over which they were followed, after the warm-up.
        step_error: relative difference from the solution with half the step.
        grid_error: relative difference, at half the step, from the solution on twice the points.
        invariant_drift: largest change of each invariant, see `relative_drift`; only what the equation conserves should
            be small.
        spectral_tail: largest share of the squared field in the highest quarter of the modes that the scheme keeps.
    """

    samples: int
    horizon: float
    step_error: float
    grid_error: float
    invariant_drift: dict[str, float]
    spectral_tail: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes."""
        return asdict(self)

    def complaints(self, tolerance: float) -> list[str]:
        """What misses the tolerance, each with the knob to turn."""
        found = []
        if not self.step_error <= tolerance:
            found.append(
                f"half the step moves the solution by {self.step_error:.1e} > {tolerance:.0e}: lower dataset.dt"
            )
        if not self.grid_error <= tolerance:
            found.append(
                f"twice the grid moves the solution by {self.grid_error:.1e} > {tolerance:.0e}: raise dataset.points "
                "(and dataset.space_stride, to store as many points as before), or smooth the initial condition"
            )
        return found


@torch.no_grad()
def certify(recipe: Recipe) -> Certificate | None:
    """Measure the certificate that a recipe asks for; None if it asks for no samples.

    After a warm-up the state is carried to the finer grid by its trigonometric interpolant; without one the initial
    condition, which is a function, is sampled there.
    """
    wanted = recipe.certificate
    if not wanted.samples:
        return None
    equation, coarse, fine = recipe.build_equation(), recipe.build_grid(), recipe.build_grid(2)
    horizon = wanted.horizon if wanted.horizon is not None else 10 * recipe.interval
    frames = steps_in(horizon, recipe.interval, "certificate.horizon")
    initial = recipe.build_initial_condition()
    seed = recipe.split_seed("train")
    start = sample(initial, coarse, batch=wanted.samples, seed=seed)
    if recipe.warmup:
        start = _follow(recipe, start, coarse, recipe.dt, recipe.warmup, 1)[:, -1]
        start_fine = coarse.interpolate(start, fine.points)
    else:
        start_fine = sample(initial, fine, batch=wanted.samples, seed=seed)
    u = _follow(recipe, start, coarse, recipe.dt, recipe.interval, frames)
    half = _follow(recipe, start, coarse, recipe.dt / 2, recipe.interval, frames)
    sizes = equation.invariant_sizes(u, coarse)
    double = _follow(recipe, start_fine, fine, recipe.dt / 2, recipe.interval, frames)
    return Certificate(
        samples=wanted.samples,
        horizon=float(horizon),
        step_error=relative_error(u, half),
        grid_error=relative_error(half, subsample(double, 2, coarse.ndim)),
        invariant_drift={name: drift(value, sizes[name]) for name, value in equation.invariants(u, coarse).items()},
        spectral_tail=spectral_tail(u, highest_modes(recipe)),
    )


def _follow(recipe: Recipe, u0: Tensor, grid: Grid, dt: float, interval: float, frames: int) -> Tensor:
    equation, scheme = recipe.build_equation(), recipe.stepper_class
    try:
        return simulate(equation, grid, u0, interval=interval, frames=frames, dt=dt, stepper=scheme)
    except SimulationError as error:
        raise GenerationError(f"dataset '{recipe.name}', while measuring its certificate: {error}") from None


def relative_error(u: Float[Tensor, "b t c *space"], v: Float[Tensor, "b t c *space"]) -> float:
    """`max |u - v|_2 / max_t |u|_2` over samples, frames and channels."""
    difference, size = (x.flatten(3).norm(dim=3) for x in (u - v, u))
    tiny = torch.finfo(u.dtype).tiny
    return float((difference / size.amax(dim=1, keepdim=True).clamp(min=tiny)).max())


def drift(invariant: Float[Tensor, "b t"], sizes: Float[Tensor, "b t"]) -> float:
    """Largest change of an invariant from its first value, over the size of its density."""
    return float(relative_drift((invariant - invariant[:, :1]).abs(), sizes).max())


def spectral_tail(u: Float[Tensor, "b t c *space"], highest: tuple[int, ...]) -> float:
    """Largest share of the squared field, of any sample, frame and channel, above 3/4 of an axis's `highest` mode."""
    axes = tuple(range(3, u.ndim))
    power = torch.fft.fftn(u, dim=axes).abs().square()
    beyond = torch.zeros(u.shape[3:], dtype=torch.bool)
    for axis, mode in enumerate(highest):
        modes = torch.fft.fftfreq(u.shape[3 + axis], d=1 / u.shape[3 + axis]).abs()
        beyond |= (4 * modes > 3 * mode).reshape([-1 if i == axis else 1 for i in range(len(highest))])
    tail = (power * beyond).flatten(3).sum(dim=3)
    return float((tail / power.flatten(3).sum(dim=3).clamp(min=torch.finfo(u.dtype).tiny)).max())


def highest_modes(recipe: Recipe) -> tuple[int, ...]:
    """The highest mode on each axis that the scheme keeps, seen on a field that has them all."""
    grid, equation = recipe.build_grid(), recipe.build_equation()
    spike = torch.zeros((1, len(equation.channels), *grid.points), dtype=grid.dtype)
    spike.flatten(2)[..., 0] = 1.0
    scheme = recipe.stepper_class(equation, grid, recipe.dt)
    kept = torch.fft.fftn(scheme.decode(scheme.encode(spike)), dim=grid.axes).abs().sum(dim=(0, 1)) > 1e-6
    indices = (grid.indices(axis, full=True).abs().expand(grid.points) for axis in range(grid.ndim))
    return tuple(int((index * kept).max()) for index in indices)


def accept(certificate: Certificate | None, recipe: Recipe) -> list[str]:
    """Warnings about a certificate.

    Raises:
        CertificateError: it misses the tolerance that the recipe sets; says which knob to turn.
    """
    if certificate is None:
        return [f"dataset '{recipe.name}' carries no certificate; set dataset.certificate.samples to measure one"]
    tolerance = recipe.certificate.tolerance
    complaints = certificate.complaints(WARNING if tolerance is None else tolerance)
    if complaints and tolerance is not None:
        reasons = "\n  ".join(complaints)
        raise CertificateError(
            f"dataset '{recipe.name}' was not written, its truth misses certificate.tolerance = {tolerance:.0e} over "
            f"{certificate.horizon:g} time units:\n  {reasons}\n  or, for a chaotic system, shorten "
            "dataset.certificate.horizon to a few Lyapunov times"
        )
    return complaints

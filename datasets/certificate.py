"""The certificate that a recipe asks for: how wrong its truth may be, and which of its keys to turn if it is worse."""

import torch
from torch import Tensor

from rollwave.solvers import Certificate, Grid, SimulationError, certify, sample, simulate
from rollwave.solvers.certificate import TOLERANCE, Knobs
from rollwave.solvers.steps import steps_in

from .blocks import GenerationError
from .recipe import Recipe

KNOBS = Knobs(
    step="lower dataset.dt",
    grid=(
        "raise dataset.points (and dataset.space_stride, to store as many points as before), or smooth the initial "
        "condition"
    ),
)


class CertificateError(ValueError):
    """The truth misses the tolerance of its recipe."""


@torch.no_grad()
def certify_recipe(recipe: Recipe) -> Certificate | None:
    """Measure the certificate that a recipe asks for, on the first trajectories of the training split; None if it asks
    for no samples.

    After a warm-up the state is carried to the finer grid by its trigonometric interpolant; without one the initial
    condition, which is a function, is sampled there.
    """
    wanted = recipe.certificate
    if not wanted.samples:
        return None
    horizon = wanted.horizon if wanted.horizon is not None else 10 * recipe.interval
    grid, fine_u0 = recipe.build_grid(), None
    try:
        if recipe.warmup:
            start = _settled(recipe, grid)
        else:
            start, fine_u0 = _initial(recipe, grid), _initial(recipe, recipe.build_grid(2))
        return certify(
            recipe.build_equation(),
            grid,
            start,
            interval=recipe.interval,
            frames=steps_in(horizon, recipe.interval, "certificate.horizon"),
            dt=recipe.dt,
            stepper=recipe.stepper_class,
            fine_u0=fine_u0,
            tolerance=TOLERANCE if wanted.tolerance is None else wanted.tolerance,
        )
    except SimulationError as error:
        raise GenerationError(
            f"dataset '{recipe.name}', while measuring its certificate: {error}; {KNOBS.step}"
        ) from None


def _initial(recipe: Recipe, grid: Grid) -> Tensor:
    initial, seed = recipe.build_initial_condition(), recipe.split_seed("train")
    return sample(initial, grid, batch=recipe.certificate.samples, seed=seed)


def _settled(recipe: Recipe, grid: Grid) -> Tensor:
    """The fields after the warm-up."""
    return simulate(
        recipe.build_equation(),
        grid,
        _initial(recipe, grid),
        interval=recipe.interval,
        frames=0,
        dt=recipe.dt,
        stepper=recipe.stepper_class,
        warmup=recipe.warmup,
    )[:, 0]


def accept(certificate: Certificate | None, recipe: Recipe) -> list[str]:
    """Warnings about a certificate.

    Raises:
        CertificateError: it misses a tolerance that the recipe sets; says which knob to turn.
    """
    if certificate is None:
        return [f"dataset '{recipe.name}' carries no certificate; set dataset.certificate.samples to measure one"]
    wanted = recipe.certificate
    complaints = certificate.complaints(
        TOLERANCE if wanted.tolerance is None else wanted.tolerance, budget=wanted.budget, tail=wanted.tail, knobs=KNOBS
    )
    if complaints and wanted.tolerance is not None:
        reasons = "\n  ".join(complaints)
        raise CertificateError(
            f"dataset '{recipe.name}' was not written, its truth misses the limits of dataset.certificate:\n  "
            f"{reasons}\n  or, for a chaotic system, shorten dataset.certificate.horizon to a few Lyapunov times"
        )
    return complaints


def summary(certificate: Certificate) -> str:
    """One line."""
    found = f"step error {certificate.step_error:.1e}, grid error {certificate.grid_error:.1e}"
    if certificate.budget_error:
        found += f", budgets within {max(certificate.budget_error.values()):.1e}"
    found += f", spectral tail {certificate.spectral_tail:.1e}, over {certificate.horizon:g} time units"
    if certificate.predictable is not None and certificate.predictable < certificate.horizon:
        found += f", {certificate.tolerance:.0e} kept until {certificate.predictable:g}"
    return found

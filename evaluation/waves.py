"""Wave diagnostics: how a conserved, non-negative density is spread, frame by frame, for a prediction and the truth."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Equation, Grid, Split

from . import entropies, ordinal
from .effect_size import cliffs_delta

TRIAL_POINTS = 32
TRIAL_SIZES = (0.1, 1.0, 10.0)

SERIES = ("entropy", "renyi", "tsallis", "spectral_entropy", "complexity", "peak")
"""What is measured of every frame (see `Waves.series`)."""


@dataclass(frozen=True)
class Waves:
    """Diagnostics of an equation that conserves something of which there cannot be less than nothing.

    Attributes:
        equation: the equation.
        grid: the grid of the fields.
        density: name of the density, one of `equation.densities`.
    """

    equation: Equation
    grid: Grid
    density: str

    @classmethod
    def of(cls, equation: Equation, grid: Grid) -> "Waves | None":
        """The diagnostics with the first of the conserved densities that is never negative; None where there is none.

        The mass of the nonlinear Schroedinger equation and the energy of a Klein-Gordon field are such densities. Flows
        with dissipation conserve only what has both signs: they have a budget instead.
        """
        found = non_negative(equation, grid)
        return cls(equation, grid, found[0]) if found else None

    def series(self, u: Float[Tensor, "b t c *space"]) -> dict[str, Float[Tensor, "b t"]]:
        """What is measured of every frame, by name; NaN in frames that are not finite.

        `entropy`: `S + ln dV` of the density, dV the volume of a cell; `renyi`: the same of order 2, which sees the
        peaks; `tsallis`: of order 1/2, which sees the tails, over that of a uniform field; `spectral_entropy`: of the
        modes of the field, of the complex one where the equation has one; `complexity`; `peak`: the largest density;
        `probe`: the first channel in the middle of the box.
        """
        u, grid = u.to(torch.float64), self.grid.to(u.device).to(torch.float64)
        rho = self.equation.densities(u, grid)[self.density].unsqueeze(2)
        rho = torch.where(rho.isfinite(), rho, torch.nan)
        cell, points = math.log(math.prod(grid.spacing)), math.prod(grid.points)
        state = self.equation.pack(u) if isinstance(self.equation, Split) else u
        return {
            "entropy": entropies.shannon(rho) + cell,
            "renyi": entropies.renyi(rho, 2) + cell,
            "tsallis": entropies.tsallis(rho, 0.5) / entropies.tsallis_uniform(points, 0.5),
            "spectral_entropy": entropies.spectral_entropy(state),
            "complexity": entropies.complexity(rho),
            "peak": rho.flatten(2).amax(-1),
            "probe": probe(u)[:, :, 0],
        }


def compare(
    prediction: Mapping[str, Float[Tensor, "b t"]], truth: Mapping[str, Float[Tensor, "b t"]]
) -> dict[str, Float[Tensor, " b"]]:
    """One number a rollout from the `series` of a prediction and of the truth.

    `<name>_error`: mean over the rollout of `|p - u|`, of the peak relative to the truth's mean; infinite where a frame
    is not finite. `<name>_delta`: `cliffs_delta` of the prediction's values over the truth's, NaN there. For the probe
    `|H_p - H_u|` of its permutation entropy and `|C_p - C_u|` of its complexity, with the largest order that the
    rollout can afford; left out where it is too short for any.
    """
    scalars = {}
    for name in SERIES:
        error = (prediction[name] - truth[name]).abs().mean(1)
        scale = truth["peak"].mean(1) if name == "peak" else torch.ones_like(error)
        scalars[f"{name}_error"] = _or_infinite(torch.where(error == 0, 0.0, error / scale))
        scalars[f"{name}_delta"] = cliffs_delta(prediction[name], truth[name])
    order = ordinal.affordable_order(truth["probe"].shape[1])
    if order is not None:
        for name, measure in (
            ("permutation_entropy", ordinal.permutation_entropy),
            ("ordinal_complexity", ordinal.jensen_shannon_complexity),
        ):
            difference = measure(prediction["probe"], order) - measure(truth["probe"], order)
            scalars[f"{name}_error"] = _or_infinite(difference.abs())
    return scalars


def non_negative(equation: Equation, grid: Grid) -> list[str]:
    """The conserved integrals whose densities are negative nowhere, for white noise and constants of three sizes."""
    small = Grid((TRIAL_POINTS,) * grid.ndim, grid.lengths)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4, len(equation.channels), *small.points, generator=generator, dtype=torch.float64)
    fields = torch.cat([noise, noise.sign()[..., :1].expand_as(noise), torch.ones_like(noise), -torch.ones_like(noise)])
    densities = equation.densities(torch.cat([size * fields for size in TRIAL_SIZES]), small)
    return [name for name in equation.conserved if not bool((densities[name] < 0).any())]


def probe(u: Float[Tensor, "b t c *space"]) -> Float[Tensor, "b t c"]:
    """The field in the middle of the box."""
    for points in reversed(u.shape[3:]):
        u = u.select(-1, points // 2)
    return u


def _or_infinite(error: Tensor) -> Tensor:
    return torch.where(error.isnan(), torch.inf, error)

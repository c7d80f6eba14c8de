"""Every scheme against the adaptive Dormand-Prince pair, on random fields that have no exact solution."""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import TypeAlias

from torch import Tensor

from rollwave.solvers.burgers import Burgers
from rollwave.solvers.dormand_prince import DormandPrince853
from rollwave.solvers.equation import Equation
from rollwave.solvers.etdrk import ETDRK2, ETDRK4
from rollwave.solvers.exact import bright_soliton, cole_hopf_wave, korteweg_de_vries_soliton, sine_gordon_kink_antikink
from rollwave.solvers.grid import Grid
from rollwave.solvers.klein_gordon import KleinGordon, Phi4, SineGordon
from rollwave.solvers.korteweg_de_vries import KortewegDeVries
from rollwave.solvers.kuramoto_sivashinsky import KuramotoSivashinsky
from rollwave.solvers.navier_stokes import KolmogorovForcing, NavierStokes
from rollwave.solvers.nonlinear_schrodinger import NonlinearSchrodinger
from rollwave.solvers.splitting import BlanesMoan4, BlanesMoan6, Strang, Yoshida4
from rollwave.solvers.stepper import Stepper
from rollwave.solvers.symplectic import StoermerVerlet, SymplecticRKN4, SymplecticRKN6
from rollwave.solvers.vector_burgers import VectorBurgers

from .case import Case, Result, described, largest, rate, solve, stepped

CIRCLE = 2 * math.pi
# Equation, grid and time of each comparison.
SYSTEMS: dict[str, tuple[Equation, Grid, float]] = {
    "burgers": (Burgers(0.05), Grid((128,), (CIRCLE,)), 1.0),
    "kuramoto_sivashinsky": (KuramotoSivashinsky(), Grid((64,), (22.0,)), 2.0),
    "navier_stokes": (NavierStokes(0.01, drag=0.1, forcing=KolmogorovForcing()), Grid((48, 48), (CIRCLE, CIRCLE)), 0.5),
    "korteweg_de_vries": (KortewegDeVries(), Grid((96,), (20.0,)), 0.5),
    "vector_burgers": (VectorBurgers(0.1), Grid((48, 48), (CIRCLE, CIRCLE)), 0.5),
    "focusing": (NonlinearSchrodinger(), Grid((256,), (20.0,)), 1.0),
    "defocusing": (NonlinearSchrodinger(focusing=False), Grid((256,), (20.0,)), 1.0),
    "phi4": (KleinGordon(Phi4()), Grid((128,), (40.0,)), 4.0),
}

# Half the stages of the compositions whose steps are mostly forward.
SUBSTEPS: dict[type[Stepper], float] = {BlanesMoan4: 3, SymplecticRKN4: 3, BlanesMoan6: 5.5, SymplecticRKN6: 5.5}


@cache
def start(name: str) -> Tensor:
    """A random field on the modes that the equation keeps, of half the usual size so that the grid resolves it."""
    equation, grid, _ = SYSTEMS[name]
    u = equation.initial_condition(grid, batch=1, seed=12)[0] / 2
    return solve(equation, grid, u, DormandPrince853, time=0.1, dt=0.1)


@cache
def reference(name: str) -> Tensor:
    """The adaptive pair's solution, its local errors kept below 1e-12."""
    equation, grid, time = SYSTEMS[name]
    return solve(equation, grid, start(name), DormandPrince853, time=time, dt=time)


def agreement(name: str, scheme: type[Stepper], *, steps: int) -> Result:
    (equation, grid, time), end = SYSTEMS[name], reference(name)
    counts = (steps // 2, steps)
    errors = [largest(solve(equation, grid, start(name), scheme, time=time, dt=time / n) - end) for n in counts]
    return Result(
        f"{name}: a random field, t = {time:g}, against DormandPrince853",
        described(grid),
        stepped(scheme, time / steps),
        errors[-1] / largest(end),
        "relative difference",
        (0, (1.2 * time / steps / SUBSTEPS.get(scheme, 1.0)) ** scheme.order),
        "(w dt)^order with w = 1.2, dt over half the stages of a composition; the adaptive pair is good to 1e-11",
        rate(errors),
        (scheme.order - 0.35, 9.0 if scheme.order > 4 or scheme is BlanesMoan4 else scheme.order + 0.6),
    )


def adaptive(name: str) -> Result:
    equation, grid, (first, last), exact = EXACT[name]
    end = solve(equation, grid, exact(grid, first), DormandPrince853, time=last - first, dt=last - first)
    return Result(
        f"the adaptive pair on {name}, t = {first:g} .. {last:g}",
        described(grid),
        "DormandPrince853, tolerance 1e-12",
        largest(end - exact(grid, last)),
        "largest error",
        (0, 1e-10),
        "tolerance times the number of internal steps, below a hundred",
    )


Exact: TypeAlias = Callable[[Grid, float], Tensor]
EXACT: dict[str, tuple[Equation, Grid, tuple[float, float], Exact]] = {
    "Cole-Hopf wave": (
        Burgers(0.05),
        Grid((128,), (CIRCLE,)),
        (0.0, 2.0),
        partial(cole_hopf_wave, viscosity=0.05, amplitude=0.7),
    ),
    "Korteweg-de Vries soliton": (
        KortewegDeVries(),
        Grid((256,), (40.0,)),
        (0.0, 2.0),
        partial(korteweg_de_vries_soliton, speed=1.0),
    ),
    "bright soliton": (
        NonlinearSchrodinger(),
        Grid((768,), (50.0,)),
        (0.0, 2.0),
        partial(bright_soliton, turns=3, position=25.0),
    ),
    "sine-Gordon collision": (
        KleinGordon(SineGordon()),
        Grid((512,), (80.0,)),
        (-5.0, 5.0),
        partial(sine_gordon_kink_antikink, speed=0.5),
    ),
}
QUICK: list[Case] = [
    *(partial(adaptive, name) for name in EXACT),
    partial(agreement, "burgers", ETDRK2, steps=80),
    partial(agreement, "burgers", ETDRK4, steps=160),
    partial(agreement, "kuramoto_sivashinsky", ETDRK2, steps=160),
    partial(agreement, "kuramoto_sivashinsky", ETDRK4, steps=640),
    partial(agreement, "navier_stokes", ETDRK2, steps=80),
    partial(agreement, "navier_stokes", ETDRK4, steps=40),
    partial(agreement, "korteweg_de_vries", ETDRK2, steps=80),
    partial(agreement, "korteweg_de_vries", ETDRK4, steps=160),
    partial(agreement, "vector_burgers", ETDRK4, steps=40),
    partial(agreement, "focusing", ETDRK2, steps=160),
    partial(agreement, "focusing", ETDRK4, steps=80),
    partial(agreement, "focusing", Strang, steps=80),
    partial(agreement, "focusing", Yoshida4, steps=80),
    partial(agreement, "focusing", BlanesMoan4, steps=40),
    partial(agreement, "focusing", BlanesMoan6, steps=10),
    partial(agreement, "defocusing", BlanesMoan6, steps=10),
    partial(agreement, "phi4", StoermerVerlet, steps=80),
    partial(agreement, "phi4", SymplecticRKN4, steps=40),
    partial(agreement, "phi4", SymplecticRKN6, steps=40),
    partial(agreement, "phi4", Strang, steps=80),
    partial(agreement, "phi4", Yoshida4, steps=80),
    partial(agreement, "phi4", BlanesMoan4, steps=40),
    partial(agreement, "phi4", BlanesMoan6, steps=40),
]
FULL: list[Case] = []

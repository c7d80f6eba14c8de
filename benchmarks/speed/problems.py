"""One problem an equation: where it starts, and where it is known to end."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rollwave import solvers
from rollwave.solvers import DormandPrince853, Equation, Grid, exact
from rollwave.solvers.run import run


@dataclass(frozen=True)
class Problem:
    """An initial value problem with a known end.

    Attributes:
        label: the equation's name.
        start, end: fields `[channel, *space]`, at zero and at `time`.
        known: where the end is known from.
    """

    label: str
    equation: Equation
    grid: Grid
    time: float
    start: Tensor
    end: Tensor
    known: str


@torch.no_grad()
def end_of(equation: Equation, grid: Grid, u: Tensor, time: float) -> Tensor:
    """The field at `time` by the adaptive scheme, at its own tolerance."""
    return run(DormandPrince853(equation, grid, time), u[None], 1, 1)[0, -1]


def closed(
    label: str, equation: Equation, grid: Grid, times: tuple[float, float], solution: Callable[[float], Tensor]
) -> Problem:
    """A problem with a formula."""
    first, last = times
    return Problem(label, equation, grid, last - first, solution(first), solution(last), "exact solution")


def computed(label: str, equation: Equation, grid: Grid, time: float, start: Tensor) -> Problem:
    """A problem whose end is computed."""
    known = f"{DormandPrince853.__name__} at tolerance {DormandPrince853.tolerance:g}"
    return Problem(label, equation, grid, time, start, end_of(equation, grid, start, time), known)


def field(equation: Equation, grid: Grid) -> Tensor:
    """One of the equation's own random fields."""
    return equation.initial_condition(grid, batch=1, seed=0)[0]


def problems() -> dict[str, Callable[[], Problem]]:
    """Every equation, by its label; nothing is computed before it is asked for."""
    pi = math.pi
    line, short, long = Grid((128,), (2 * pi,)), Grid((256,), (20.0,)), Grid((512,), (80.0,))
    square, flame, wide = Grid((64, 64), (2 * pi, 2 * pi)), Grid((64,), (22.0,)), Grid((512,), (40.0,))
    burgers, kdv, focusing = solvers.Burgers(0.05), solvers.KortewegDeVries(), solvers.NonlinearSchrodinger()
    sine, phi4 = solvers.KleinGordon(solvers.SineGordon()), solvers.KleinGordon(solvers.Phi4())
    flow, gas, fire = solvers.NavierStokes(1e-2), solvers.VectorBurgers(0.1), solvers.KuramotoSivashinsky()

    def chaos() -> Problem:
        start = run(solvers.ETDRK4(fire, flame, 0.05), field(fire, flame)[None], 3000, 1)[0, -1]
        return computed("Kuramoto-Sivashinsky", fire, flame, 10.0, start)

    def collision() -> Problem:
        return computed("phi^4", phi4, long, 40.0, exact.kink_antikink(long, 0.0, speed=0.4))

    return {
        "Burgers": lambda: closed(
            "Burgers", burgers, line, (0.0, 2.0), lambda t: exact.cole_hopf_wave(line, t, viscosity=0.05)
        ),
        "Kuramoto-Sivashinsky": chaos,
        "Korteweg-de Vries": lambda: closed(
            "Korteweg-de Vries", kdv, short, (0.0, 2.0), lambda t: exact.korteweg_de_vries_soliton(short, t)
        ),
        "nonlinear Schroedinger": lambda: closed(
            "nonlinear Schroedinger", focusing, wide, (0.0, 10.0), lambda t: exact.bright_soliton(wide, t, turns=6)
        ),
        "sine-Gordon": lambda: closed("sine-Gordon", sine, long, (0.0, 20.0), lambda t: exact.breather(long, t)),
        "phi^4": collision,
        "vector Burgers": lambda: computed("vector Burgers", gas, square, 1.0, field(gas, square)),
        "Navier-Stokes": lambda: computed("Navier-Stokes", flow, square, 1.0, field(flow, square)),
    }

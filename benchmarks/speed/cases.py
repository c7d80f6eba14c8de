"""The rows: equation, scheme, size, type, threads."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rollwave import solvers
from rollwave.solvers import ETDRK4, Equation, Grid, Stepper, StoermerVerlet
from rollwave.solvers.stepper import schemes

CPU = torch.device("cpu")
# Points and trajectories of a row, by number of space axes. A card wants more trajectories to be full.
SIZES = {1: ((256,), (1024,)), 2: ((64, 64), (128, 128), (256, 256))}
BATCH = {1: 32, 2: 8}
CARD = {(256,): 4096, (1024,): 4096, (64, 64): 512, (128, 128): 256, (256, 256): 64}
TINY = {1: ((32,),), 2: ((16, 16),)}


@dataclass(frozen=True)
class Case:
    """One row of the table, but for the threads.

    Attributes:
        label: the equation's name, with its potential where it has one.
        card: a row for a card: more trajectories, perhaps replayed from a graph, and fewer peers.
        dt: the step, small enough that every scheme of order four is exact to 1e-7 over the steps that are compared.
    """

    label: str
    equation: Equation
    scheme: type[Stepper]
    grid: Grid
    dt: float
    batch: int
    dtype: torch.dtype
    card: bool = False
    device: torch.device = CPU

    def initial(self) -> Tensor:
        """The same random fields in every row of an equation."""
        u = self.equation.initial_condition(self.grid, batch=self.batch, seed=0)
        return u.to(dtype=self.dtype, device=self.device)

    def build(self) -> Stepper:
        """The scheme, bound to the grid in the row's type and on its device."""
        return self.scheme(self.equation, self.grid.to(self.dtype).to(self.device), self.dt)

    def describe(self) -> dict[str, object]:
        """What stands in the row's file."""
        return {
            "equation": self.label,
            "scheme": self.scheme.__name__,
            "default": self.scheme is self.equation.default_stepper,
            "points": list(self.grid.points),
            "batch": self.batch,
            "dtype": str(self.dtype).removeprefix("torch."),
            "dt": self.dt,
        }


def equations() -> dict[str, tuple[Equation, float]]:
    """Every equation by its label, and the distance between points: fields stay resolved, whatever the size."""
    two_pi = 2 * math.pi
    return {
        "Burgers": (solvers.Burgers(viscosity=0.1), two_pi / 256),
        "Kuramoto-Sivashinsky": (solvers.KuramotoSivashinsky(), 1 / 8),
        "Korteweg-de Vries": (solvers.KortewegDeVries(), 1 / 8),
        "nonlinear Schroedinger": (solvers.NonlinearSchrodinger(), 40 / 512),
        "sine-Gordon": (solvers.KleinGordon(solvers.SineGordon()), 80 / 512),
        "phi^4": (solvers.KleinGordon(solvers.Phi4()), 80 / 512),
        "vector Burgers": (solvers.VectorBurgers(viscosity=0.1), two_pi / 64),
        "Navier-Stokes": (solvers.NavierStokes(viscosity=1e-2), two_pi / 64),
    }


def step_of(equation: Equation, grid: Grid) -> float:
    """For waves an eighth of the limit of leapfrog, which lies within what amangkurat allows; else a small step."""
    if isinstance(equation, solvers.KleinGordon):
        return 0.25 * grid.spacing[0] / math.pi
    if isinstance(equation, solvers.KuramotoSivashinsky):
        return 1e-2
    return 2e-3 if grid.ndim == 1 else 1e-3


def cases(
    *, device: torch.device = CPU, card: bool = False, quick: bool = False, every_scheme: bool = True
) -> Iterator[Case]:
    """Equation by equation, size by size: the schemes that take steps of one size, in both types."""
    for label, (equation, spacing) in equations().items():
        ndim = equation.dimensions[0]
        for points in (TINY if quick else SIZES)[ndim]:
            grid = Grid(points, tuple(spacing * n for n in points))
            batch = 2 if quick else CARD[points] if card else BATCH[ndim]
            for dtype in (torch.float64, torch.float32):
                for scheme in suited(equation, every_scheme and label != "phi^4"):
                    dt = step_of(equation, grid)
                    yield Case(label, equation, scheme, grid, dt, batch, dtype, card, device)


def suited(equation: Equation, every: bool) -> list[type[Stepper]]:
    """The schemes that an equation can be stepped with, those that are compared with peers first."""
    found = [scheme for scheme in schemes() if isinstance(equation, scheme.requires) and not adaptive(scheme)]
    compared = [scheme for scheme in (ETDRK4, StoermerVerlet, equation.default_stepper) if scheme in found]
    first = list(dict.fromkeys(compared))
    return [*first, *(scheme for scheme in found if scheme not in first)] if every else first


def adaptive(scheme: type[Stepper]) -> bool:
    """Whether the scheme holds a tolerance: its steps have no fixed cost."""
    return hasattr(scheme, "tolerance")

"""amangkurat: Stoermer-Verlet, one trajectory at a time, in float64.

Its adaptive step is off: it changes the step inside a two-step recurrence. Its ends are inclusive and its step is
silently kept within 0.1 and 0.5 over the largest wavenumber.
"""

import math
from typing import Any

import torch
from amangkurat.core.solver import KGSolver
from torch import Tensor

from rollwave import solvers

from . import Candidate, Problem


def candidates(problem: Problem, u: Tensor, threads: int) -> dict[str, Candidate]:
    """One way: the first sample alone, from the field and its velocity; the result is one step behind."""
    equation, grid = problem.equation, problem.grid
    names = {solvers.SineGordon: "sine_gordon", solvers.Phi4: "phi4"}
    if not isinstance(equation, solvers.KleinGordon) or type(equation.potential) not in names:
        return {}
    if problem.scheme is not solvers.StoermerVerlet or problem.dtype != torch.float64 or grid.ndim != 1:
        return {}
    (n,), (spacing,) = grid.points, grid.spacing
    if not 0.1 <= problem.dt * math.pi / spacing <= 0.5:
        raise ValueError(f"amangkurat would change the step {problem.dt}")
    solver = KGSolver(n, 0.0, spacing * (n - 1), verbose=False, n_cores=threads, adaptive_dt=False)
    phi, velocity = u[0].numpy()
    coefficients = {}
    if isinstance(equation.potential, solvers.Phi4):
        coefficients = {"lambda": equation.potential.coupling, "vacuum": equation.potential.vacuum}

    def advance(steps: int) -> Any:
        end, name = (steps - 0.5) * problem.dt, names[type(equation.potential)]
        return solver.solve(phi, velocity, problem.dt, end, name, n_snapshots=1, **coefficients)

    return {"": Candidate(advance, lambda r: torch.from_numpy(r["phi"][-1])[None, None], 1, lag=1, way="one by one")}

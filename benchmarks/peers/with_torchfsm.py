"""torchfsm: its default scheme SETDRK4, stepped in Fourier space.

The integrator that `integrate` would call is called directly: `integrate` collects garbage first, about 0.1 s a call.
"""

from typing import Any

import torch
from torch import Tensor
from torchfsm import pde
from torchfsm.integrator import SETDRKIntegrator

from rollwave import solvers

from . import Candidate, Problem


def operator(problem: Problem) -> Any:
    """The operator of the same equation."""
    equation = problem.equation
    if problem.scheme is not solvers.ETDRK4:
        return None
    if isinstance(equation, solvers.Burgers | solvers.VectorBurgers):
        return pde.Burgers(equation.viscosity)
    if isinstance(equation, solvers.KortewegDeVries) and equation.conserved != ("mass",):
        return pde.KortewegDeVries(-equation.dispersion, -equation.advection)
    if isinstance(equation, solvers.KuramotoSivashinsky):
        return pde.KuramotoSivashinsky()
    if isinstance(equation, solvers.NavierStokes) and equation.forcing is None and equation.drag == 0:
        return pde.NavierStokesVorticity(1 / equation.viscosity)
    return None


def candidates(problem: Problem, u: Tensor, threads: int) -> dict[str, Candidate]:
    """One way: all modes of the whole batch in each step."""
    made = operator(problem)
    if made is None:
        return {}
    grid = problem.grid
    made.set_integrator(SETDRKIntegrator.SETDRK4)
    mesh = [(0.0, length, n) for length, n in zip(grid.lengths, grid.points, strict=True)]
    made.register_mesh(mesh, u.shape[1], device=u.device, dtype=u.dtype)
    made.integrate(u, dt=problem.dt, step=1)
    integrator, start = made._state_dict["integrator"], torch.fft.fftn(u, dim=grid.axes)

    @torch.no_grad()
    def advance(steps: int) -> Tensor:
        state = start
        for _ in range(steps):
            state = integrator.forward(state, problem.dt)
        return state

    return {"": Candidate(advance, lambda v: torch.fft.ifftn(v, dim=grid.axes).real, len(u), way="SETDRK4")}

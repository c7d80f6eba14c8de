"""torch-cfd: its pseudo-spectral vorticity equation with the five-stage Runge-Kutta and Crank-Nicolson scheme."""

import torch
from torch import Tensor
from torch_cfd.grids import Grid
from torch_cfd.spectral import NavierStokes2DSpectral, RK4CrankNicolsonStepper

from rollwave import solvers

from . import Candidate, Problem


def candidates(problem: Problem, u: Tensor, threads: int) -> dict[str, Candidate]:
    """One way: the whole batch in each step."""
    equation, grid = problem.equation, problem.grid
    if not isinstance(equation, solvers.NavierStokes) or equation.forcing or problem.scheme is not solvers.ETDRK4:
        return {}
    default = torch.get_default_dtype()
    torch.set_default_dtype(u.dtype)
    try:
        box = Grid(grid.points, domain=tuple((0.0, length) for length in grid.lengths))
        made = NavierStokes2DSpectral(equation.viscosity, box, equation.drag, step_fn=RK4CrankNicolsonStepper())
        made = made.to(u.device)
    finally:
        torch.set_default_dtype(default)
    start = torch.fft.rfft2(u[:, 0])

    @torch.no_grad()
    def advance(steps: int) -> Tensor:
        return made(start, problem.dt, steps)[0]

    return {"": Candidate(advance, lambda v: torch.fft.irfft2(v)[:, None], len(u), way="RK4-CN")}

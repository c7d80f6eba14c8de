"""simple-idealized-1d-nlse: SciPy's DOP853 on Fourier coefficients, one trajectory, with its own tolerances."""

from collections.abc import Callable

import numpy as np
import torch
from simple_idealized_1d_nlse.core.solver import NLSESolver
from torch import Tensor

from rollwave.solvers import Grid


def solve(grid: Grid, u: Tensor, end: float) -> Callable[[], Tensor]:
    """The run from `[2, n]` to the field at `end`, without its progress bar, monitors and frames between."""
    solver = NLSESolver(domain_length=grid.lengths[0], num_points=grid.points[0], verbose=False)
    start = torch.complex(*u).numpy()

    def run() -> Tensor:
        quiet = {"show_progress": False, "monitor_conservation": False}
        psi = solver.solve(start, t_final=end, n_snapshots=2, **quiet)["psi"][-1]
        return torch.from_numpy(np.stack((psi.real, psi.imag)))

    return run

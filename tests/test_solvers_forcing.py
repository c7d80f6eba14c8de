"""Body forces: their curl and divergence, by hand and as the Navier-Stokes equations see them."""

import math

import pytest
import torch

from rollwave.solvers import DiagonalForcing, Grid, NavierStokes


@pytest.mark.parametrize(("lengths", "n"), [((1.0, 1.0), 1), ((2.0, 3.0), 4)])
def test_the_diagonal_force_has_the_published_curl_and_no_divergence(lengths, n):
    grid, force = Grid((40, 32), lengths), DiagonalForcing(0.1, n)
    x, y = grid.coordinates()
    phase = 2 * math.pi * n * (x / lengths[0] + y / lengths[1])
    wanted = 0.1 * (torch.sin(phase) + torch.cos(phase))
    rest = torch.zeros(1, *grid.points, dtype=torch.float64)
    assert (NavierStokes(forcing=force).tendency(rest, grid)[0] - wanted).abs().max() < 1e-13
    along_x, along_y = force(grid)
    assert (grid.differentiate(along_x, 1, 0) + grid.differentiate(along_y, 1, 1)).abs().max() < 1e-13


@pytest.mark.parametrize("n", [0, 11])
def test_a_force_that_the_grid_cannot_carry_is_refused(n):
    with pytest.raises(ValueError, match="wavenumber must be in 1"):
        DiagonalForcing(0.1, n)(Grid((32, 64), (1.0, 1.0)))

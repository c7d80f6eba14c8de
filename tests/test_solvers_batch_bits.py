"""A sample has the same bits whatever the batch that it sits in."""

import pytest
import torch

from rollwave.solvers import (
    Burgers,
    Grid,
    KleinGordon,
    KortewegDeVries,
    KuramotoSivashinsky,
    NavierStokes,
    NonlinearSchrodinger,
    VectorBurgers,
)
from rollwave.solvers.run import run

LINES = [Burgers(), KuramotoSivashinsky(), KortewegDeVries(), NonlinearSchrodinger(), KleinGordon()]
PLANES = [NavierStokes(1e-2), VectorBurgers(0.05), KleinGordon()]
CASES = [(equation, (n,)) for equation in LINES for n in (64, 65, 66, 108, 127)]
CASES += [(equation, points) for equation in PLANES for points in ((24, 20), (25, 21), (32, 32))]


@pytest.mark.parametrize(("equation", "points"), CASES, ids=[f"{case[0].name}-{case[1]}" for case in CASES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_has_the_same_bits_whatever_the_batch_it_sits_in(equation, points, dtype):
    grid = Grid(points, (20.0,) * len(points), dtype)
    u0 = equation.initial_condition(grid, batch=9, seed=3)
    scheme = equation.default_stepper(equation, grid, 0.005)
    together = run(scheme, u0, 10, 1)
    for first, last in [(i, i + 1) for i in range(9)] + [(3, 6), (1, 9)]:
        assert torch.equal(run(scheme, u0[first:last].clone(), 10, 1), together[first:last])


@pytest.mark.parametrize(("points", "fine"), [((24, 20), (36, 30)), ((32, 32), (48, 48)), ((25, 21), (50, 21))])
def test_an_interpolated_sample_has_the_same_bits_whatever_its_batch(points, fine):
    grid = Grid(points, (20.0, 20.0))
    u = torch.randn(9, *points, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = grid.interpolate(u, fine)
    for first, last in [(i, i + 1) for i in range(9)] + [(3, 6), (1, 9)]:
        assert torch.equal(grid.interpolate(u[first:last], fine), together[first:last])

"""The ways that make a run fast give what plain stepping gives: kept columns, blocks, rare checks."""

import math
import sys

import pytest
import torch

from rollwave.solvers import (
    ETDRK2,
    ETDRK4,
    Burgers,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    KuramotoSivashinsky,
    NavierStokes,
    NonlinearSchrodinger,
    SimulationError,
    StoermerVerlet,
    Strang,
    simulate,
)
from rollwave.solvers.run import BLOCK, CHECK_EVERY, blocks, run

LINE, BOX = Grid((64,), (22.0,)), Grid((32, 32), (2 * math.pi, 2 * math.pi))
CASES = {
    "burgers": (Burgers(), LINE, ETDRK4),
    "second_order": (KuramotoSivashinsky(), LINE, ETDRK2),
    "fourth_order": (KuramotoSivashinsky(), LINE, ETDRK4),
    "forced_flow": (NavierStokes(1e-2, 0.1, KolmogorovForcing()), BOX, ETDRK4),
    "schrodinger": (NonlinearSchrodinger(), LINE, ETDRK4),
    "splitting": (NonlinearSchrodinger(), LINE, Strang),
    "verlet": (KleinGordon(), LINE, StoermerVerlet),
}


def textbook_step(equation, grid, u, dt):
    """Cox and Matthews (2002), eqs. (26)-(29), as they stand, on every mode of the half spectrum."""
    mask = grid.dealias() * (grid.laplacian() != 0)
    d_x, d_y, laplacian = grid.derivative(1, 0), grid.derivative(1, 1), grid.laplacian()
    z = ((equation.viscosity * laplacian - equation.drag) * dt).to(torch.complex128)
    inverse = torch.where(laplacian != 0, -1 / laplacian, 0)
    force_x, force_y = grid.rfft(equation.forcing(grid))

    def nonlinear(w_hat):
        u, v = torch.fft.irfftn(torch.stack((d_y * inverse * w_hat, -d_x * inverse * w_hat)), s=grid.points, dim=(2, 3))
        slopes = [torch.fft.irfftn(d * w_hat, s=grid.points, dim=(1, 2)) for d in (d_x, d_y)]
        advection = torch.fft.rfftn(u * slopes[0] + v * slopes[1], dim=(1, 2))
        return mask * (d_x * force_y - d_y * force_x - advection)

    def contour(function):
        angles = torch.exp(2j * torch.pi * (torch.arange(64, dtype=torch.float64) + 0.5) / 64)
        return function(z[..., None] + angles).mean(-1)

    half, full = torch.exp(z / 2), torch.exp(z)
    q = dt * contour(lambda z: (torch.exp(z / 2) - 1) / z)
    first = dt * contour(lambda z: (-4 - z + torch.exp(z) * (4 - 3 * z + z**2)) / z**3)
    middle = 2 * dt * contour(lambda z: (2 + z + torch.exp(z) * (-2 + z)) / z**3)
    last = dt * contour(lambda z: (-4 - 3 * z - z**2 + torch.exp(z) * (4 - z)) / z**3)
    v = mask * torch.fft.rfftn(u[:, 0], dim=(1, 2))
    n_0 = nonlinear(v)
    a = half * v + q * n_0
    n_a = nonlinear(a)
    n_b = nonlinear(half * v + q * n_a)
    n_c = nonlinear(half * a + q * (2 * n_b - n_0))
    return torch.fft.irfftn(full * v + first * n_0 + middle * (n_a + n_b) + last * n_c, s=grid.points, dim=(1, 2))


@pytest.mark.parametrize("points", [(32, 32), (27, 40), (40, 27)])
def test_a_step_on_the_kept_columns_is_the_textbook_step_on_all_modes(points):
    grid, equation = Grid(points, (2 * math.pi, 3.0)), NavierStokes(0.02, 0.1, KolmogorovForcing())
    u0 = torch.randn(2, 1, *points, dtype=torch.float64)
    dt = 0.02
    u = simulate(equation, grid, u0, interval=dt, frames=1, dt=dt)[:, -1, 0]
    exact = textbook_step(equation, grid, u0, dt)
    start = equation.inverse(equation.transform(u0, grid), grid)[:, 0]
    assert (u - exact).abs().max() < 1e-13 * exact.abs().max()
    assert (u - start).abs().max() > 1e-2 * exact.abs().max()


@pytest.mark.parametrize("points", [(64, 64), (128, 96), (75, 81)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_flow_has_the_same_bits_whatever_the_batch_it_sits_in(points, dtype):
    grid, equation = Grid(points, (6.0, 6.0)), NavierStokes()
    u0 = equation.initial_condition(grid, batch=9, seed=3).to(dtype)
    together = run(ETDRK4(equation, grid.to(u0), 0.01), u0, 3, 1)
    for first, last in ((0, 1), (8, 9), (3, 6)):
        part = run(ETDRK4(equation, grid.to(u0), 0.01), u0[first:last], 3, 1)
        assert torch.equal(part, together[first:last])


@pytest.mark.parametrize("shape", [(40, 1, 1024), (8, 1, 128, 128), (3, 2, 512, 512), (5, 1, 75, 81), (7, 1, 45, 33)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocks_are_the_batch_in_order_and_fit_the_cache(shape, dtype):
    u = torch.arange(math.prod(shape), dtype=dtype).reshape(shape)
    pieces = blocks(u)
    assert torch.equal(torch.cat(pieces), u)
    assert all(len(piece) == 1 or piece.numel() * piece.element_size() <= BLOCK for piece in pieces)
    if shape[2:] in ((75, 81), (45, 33)):
        assert len(pieces) == len(u)
    else:
        # As large as fits.
        assert len(pieces) == math.ceil(len(u) / max(1, BLOCK // (u[0].numel() * u.element_size())))


@pytest.mark.parametrize("name", CASES)
def test_frames_do_not_depend_on_how_often_states_are_looked_at(name, monkeypatch):
    equation, grid, stepper = CASES[name]
    u0 = equation.initial_condition(grid, batch=2)
    usual = simulate(equation, grid, u0, interval=0.03, frames=5, dt=0.01, stepper=stepper)
    monkeypatch.setattr(sys.modules["rollwave.solvers.run"], "CHECK_EVERY", 2)
    assert torch.equal(simulate(equation, grid, u0, interval=0.03, frames=5, dt=0.01, stepper=stepper), usual)


def test_frames_of_one_step_are_not_looked_at_one_by_one(monkeypatch):
    """A look costs as much as an inverse transform; once in `CHECK_EVERY` steps it is below a percent."""
    module, looks = sys.modules["rollwave.solvers.run"], []
    finite = module.finite
    monkeypatch.setattr(module, "finite", lambda state: looks.append(None) or finite(state))
    equation = Burgers()
    simulate(equation, LINE, equation.initial_condition(LINE, batch=1), interval=0.01, frames=130, dt=0.01)
    assert len(looks) == math.ceil(130 / CHECK_EVERY)


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_a_blow_up_names_the_step_it_happened_in_however_rarely_states_are_looked_at(monkeypatch, steps):
    calls, doomed = [], 37

    def step(self, state):
        calls.append(None)
        moved = (state[0] + 1, *state[1:])
        broken = moved[0].clone()
        broken[1, :, 0] = torch.where(broken[1, :, 0].real >= doomed, math.nan, broken[1, :, 0])
        return (broken, *state[1:])

    monkeypatch.setattr(StoermerVerlet, "step", step)
    u0 = torch.zeros(3, 2, 64, dtype=torch.float64)
    with pytest.raises(SimulationError) as caught:
        simulate(KleinGordon(), LINE, u0, interval=steps * 0.01, frames=400 // steps, dt=0.01, stepper=StoermerVerlet)
    assert caught.value.sample == 1
    assert caught.value.time == pytest.approx(doomed * 0.01)
    frame = (doomed - 1) // steps
    assert f"between frames {frame} and {frame + 1}," in str(caught.value)
    assert len(calls) <= 2 * CHECK_EVERY + doomed

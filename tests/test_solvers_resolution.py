"""Fields that a grid does not resolve: their share of high modes, refusals and warnings."""

import math
import warnings

import pytest
import torch

from rollwave.solvers import (
    ETDRK4,
    Burgers,
    Grid,
    SimulationError,
    simulate,
)
from rollwave.solvers.resolution import DOUBTFUL, UNRESOLVED, highest_modes, spectral_tail

BOX = Grid((128,), (2 * math.pi,))


@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_the_tail_is_the_share_of_the_modes_above_three_quarters(mean):
    (x,) = BOX.coordinates()
    assert highest_modes(ETDRK4(Burgers(), BOX, 0.1)) == (42,)
    for mode, share in ((31, 0.0), (32, 0.04 / 1.04), (42, 0.04 / 1.04)):
        u = mean + torch.cos(x) + 0.2 * torch.cos(mode * x)
        tail = spectral_tail(torch.stack((0 * u, u))[None, :, None], (42,))
        assert tail[0].tolist() == pytest.approx([0.0, share], abs=1e-9)


def test_a_channel_of_rounding_has_no_tail():
    (x,) = BOX.coordinates()
    u = torch.stack((torch.cos(x), 1e-16 * torch.randn(128, dtype=torch.float64)))
    assert float(spectral_tail(u[None, None], (64,))) < 1e-12


def test_without_dt_what_the_grid_does_not_resolve_is_refused_with_time_and_sample():
    equation = Burgers(0.005)
    u0 = torch.cat([torch.zeros(1, 1, 128, dtype=torch.float64), equation.initial_condition(BOX, batch=1)])
    with pytest.raises(SimulationError, match=r"points = \(128,\) keeps.*not resolved; give more points") as caught:
        simulate(equation, BOX, u0, interval=0.1, frames=20, warmup=1.0)
    assert caught.value.sample == 1
    frame = round((caught.value.time - 1.0) / 0.1)
    u = simulate(equation, BOX, u0, interval=0.1, frames=20, dt=0.005, warmup=1.0)
    tail = spectral_tail(u, highest_modes(ETDRK4(equation, BOX, 0.005)))[1]
    assert int(tail[1:].argmax()) + 1 == frame
    assert tail[frame] > UNRESOLVED


def test_without_dt_a_doubtful_grid_is_warned_of_and_a_good_one_is_not():
    for points, doubtful in ((128, True), (512, False)):
        grid, equation = Grid((points,), BOX.lengths), Burgers(0.02)
        u0 = equation.initial_condition(grid, batch=1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            u = simulate(equation, grid, u0, interval=0.2, frames=10)
        tail = float(spectral_tail(u[:, 1:], highest_modes(ETDRK4(equation, grid, 0.01))).max())
        assert (DOUBTFUL < tail < UNRESOLVED) is doubtful
        assert ["errors may exceed a thousandth; give more points" in str(w.message) for w in caught] == [
            True
        ] * doubtful


def test_the_first_frame_is_the_callers_own_and_may_be_rough():
    u0 = torch.randn(1, 1, 128, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        u = simulate(Burgers(1.0), BOX, u0, interval=0.05, frames=2)
    assert float(spectral_tail(u, (42,))[0, 0]) > 0.2

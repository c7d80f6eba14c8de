"""Schemes: weights, exactness on linear equations, declared order, time reversal, capabilities."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import mpmath
import numpy as np
import pytest
import torch

from rollwave.solvers import (
    ETDRK2,
    ETDRK4,
    BlanesMoan4,
    BlanesMoan6,
    Burgers,
    DormandPrince853,
    Equation,
    Grid,
    KleinGordon,
    KuramotoSivashinsky,
    Linear,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    RandomFourierSeries,
    StoermerVerlet,
    Strang,
    SymplecticRKN4,
    SymplecticRKN6,
    Yoshida4,
    simulate,
)
from rollwave.solvers.equation import semilinear_tendency
from rollwave.solvers.etdrk import phi_functions


@dataclass(frozen=True)
class KortewegDeVries(Equation):
    """`u_t = -u_xxx - 3 (u^2)_x`: an imaginary symbol, and a soliton on every box."""

    name: ClassVar[str] = "korteweg_de_vries"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    units: ClassVar[tuple[str, ...]] = ("1",)
    conserved: ClassVar[tuple[str, ...]] = ("mass",)
    default_stepper: ClassVar[type] = ETDRK4
    default_initial_condition: ClassVar = RandomFourierSeries()

    def transform(self, u, grid):
        return grid.dealias() * grid.rfft(u)

    def inverse(self, u_hat, grid):
        return grid.irfft(u_hat)

    def linear(self, grid):
        return -grid.derivative(3)[None]

    def nonlinear(self, grid):
        factor = -3 * grid.dealias() * grid.derivative()
        return lambda u_hat: factor * grid.rfft(grid.irfft(u_hat).square())

    def tendency(self, u, grid):
        return semilinear_tendency(self, u, grid)

    def densities(self, u, grid):
        return {"mass": u.select(-2, 0)}

    def suggested_step(self, grid):
        return 0.01


@dataclass(frozen=True)
class ReactionDiffusion(Equation):
    """`u_t = nu u_xx + u - u^3`: damped, with an exact reaction flow."""

    name: ClassVar[str] = "reaction_diffusion"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    units: ClassVar[tuple[str, ...]] = ("1",)
    conserved: ClassVar[tuple[str, ...]] = ()
    default_stepper: ClassVar[type] = Strang
    default_initial_condition: ClassVar = RandomFourierSeries()

    def pack(self, u):
        return u

    def unpack(self, state):
        return state

    def linear_flow(self, grid, dt):
        decay = torch.exp(0.1 * grid.laplacian() * dt)
        return lambda u: grid.irfft(decay * grid.rfft(u))

    def nonlinear_flow(self, grid, dt):
        growth = math.exp(dt)
        return lambda u: growth * u / torch.sqrt(1 + (growth**2 - 1) * u.square())

    def tendency(self, u, grid):
        return grid.irfft(0.1 * grid.laplacian() * grid.rfft(u)) + u - u**3

    def densities(self, u, grid):
        return {}

    def suggested_step(self, grid):
        return 0.1


BOX = Grid((64,), (2 * math.pi,))
WIDE = Grid((128,), (20.0,))
SQUARE = Grid((32, 32), (2 * math.pi, 2 * math.pi))

DAMPED = {
    "burgers": (Burgers(0.1), BOX, 1.0, 16),
    "kuramoto_sivashinsky": (KuramotoSivashinsky(), Grid((32,), (22.0,)), 2.0, 40),
    "navier_stokes": (NavierStokes(0.05), SQUARE, 0.5, 16),
    "reaction_diffusion": (ReactionDiffusion(), BOX, 1.0, 8),
}
DISPERSIVE = {
    "korteweg_de_vries": (KortewegDeVries(), BOX, 0.1, 200),
    "focusing": (NonlinearSchrodinger(), WIDE, 0.5, 40),
    "defocusing": (NonlinearSchrodinger(focusing=False), WIDE, 0.5, 40),
    "sine_gordon": (KleinGordon(), WIDE, 2.0, 80),
    "phi4": (KleinGordon(Phi4()), WIDE, 2.0, 80),
    "plane": (KleinGordon(Phi4()), SQUARE, 0.5, 32),
}
STEPPERS = (
    ETDRK2,
    ETDRK4,
    Strang,
    Yoshida4,
    BlanesMoan4,
    BlanesMoan6,
    StoermerVerlet,
    SymplecticRKN4,
    SymplecticRKN6,
    DormandPrince853,
)
SUITED = [
    (stepper, kind, name)
    for stepper in STEPPERS
    for kind, cases in (("damped", DAMPED), ("dispersive", DISPERSIVE))
    for name, case in cases.items()
    if isinstance(case[0], stepper.requires)
]


def test_every_scheme_meets_the_kinds_of_equation_it_claims_to_suit():
    met = {stepper: {kind for other, kind, _ in SUITED if other is stepper} for stepper in STEPPERS}
    assert met[ETDRK2] == met[ETDRK4] == met[Strang] == met[DormandPrince853] == {"damped", "dispersive"}
    # A force that depends on position alone has no damping.
    for symplectic in (StoermerVerlet, SymplecticRKN4, SymplecticRKN6):
        assert met[symplectic] == {"dispersive"}
    # Steps backward blow up what damping has taken.
    assert met[Yoshida4] == met[BlanesMoan4] == met[BlanesMoan6] == {"dispersive"}


# Where schemes of high order show it between coarse steps and rounding: a factor of the initial field, a number of
# steps and the part of the time that they take.
FOURTH = {
    "focusing": (1, 40, 1),
    "defocusing": (1, 20, 1),
    "sine_gordon": (2, 40, 1),
    "phi4": (2, 40, 1),
    "plane": (2, 16, 1),
}
SIXTH = {
    "focusing": (1, 20, 1),
    "defocusing": (2, 40, 1),
    "sine_gordon": (3, 20, 1),
    "phi4": (3, 80, 1),
    "plane": (3, 16, 1),
}
EIGHTH = {
    "burgers": (1, 16, 1),
    "kuramoto_sivashinsky": (8, 24, 1 / 8),
    "navier_stokes": (2, 4, 1),
    "reaction_diffusion": (1, 20, 1),
    "korteweg_de_vries": (2, 75, 1 / 4),
    "focusing": (1, 4, 1),
    "defocusing": (1, 8, 1),
    "sine_gordon": (2, 8, 1),
    "phi4": (1, 10, 1),
    "plane": (1, 4, 1),
}
VISIBLE = {
    BlanesMoan4: FOURTH,
    SymplecticRKN4: FOURTH,
    BlanesMoan6: SIXTH,
    SymplecticRKN6: SIXTH,
    DormandPrince853: EIGHTH,
}


@pytest.mark.parametrize(("stepper", "kind", "name"), SUITED, ids=lambda value: getattr(value, "__name__", value))
def test_the_declared_order_is_observed(monkeypatch, stepper, kind, name):
    # Without error control one step of the adaptive scheme is one of its internal steps.
    monkeypatch.setattr(DormandPrince853, "tolerance", math.inf)
    equation, grid, time, steps = {**DAMPED, **DISPERSIVE}[name]
    high = stepper in VISIBLE
    factor, steps, part = VISIBLE[stepper][name] if high else (1, steps, 1)
    time = part * time
    u0 = factor * equation.initial_condition(grid, batch=2, seed=3)
    ends = [
        simulate(equation, grid, u0, interval=time, frames=1, stepper=stepper, dt=time / (steps * 2**level))[:, -1]
        for level in range(3 if high else 4)
    ]
    changes = [(fine - coarse).norm().item() for coarse, fine in pairwise(ends)]
    rates = [math.log2(first / second) for first, second in pairwise(changes)]
    assert rates[-1] == pytest.approx(stepper.order, abs=max(0.2, stepper.order / 25))
    assert changes[-1] > (1e-14 if high else 1e-11) * ends[-1].norm().item()


@pytest.mark.parametrize(
    "argument",
    [
        0,
        1e-300,
        1e-9,
        -1e-3,
        1e-3j,
        0.3 + 0.4j,
        -0.999999,
        -1.000001,
        1.000001j,
        -2 + 3j,
        6.283185307j,
        -40,
        50j,
        3,
        -1e4,
        -1e6 + 1e3j,
    ],
)
def test_phi_functions_match_fifty_digits(argument):
    z = torch.tensor([argument], dtype=torch.complex128, requires_grad=True)
    values = phi_functions(z)
    with mpmath.workdps(400 if 0 < abs(argument) < 1e-6 else 50):
        w, exact = mpmath.mpmathify(z.item()), None
        for index, value in enumerate(values):
            j = index + 1
            exact = mpmath.hyp1f1(1, j + 1, w) / mpmath.factorial(j)
            assert abs(complex(exact) - value.item()) < 5e-15 * max(
                abs(complex(exact)), 1e-3 / max(abs(argument), 1) ** 2
            )
    # The derivative at zero is 1 / (j + 1)! / ... : 1/2, 1/6, 1/24; everywhere it is finite.
    (slope,) = torch.autograd.grad(values[2].real.sum(), z)
    assert torch.isfinite(torch.view_as_real(slope)).all()
    if argument == 0:
        assert slope.real.item() == pytest.approx(1 / 24, rel=1e-14)


@pytest.mark.parametrize("stepper", [ETDRK2, ETDRK4])
@pytest.mark.parametrize("dt", [0.01, 0.5])
def test_linear_flow_is_exact(stepper, dt):
    """Small amplitudes silence the nonlinearity: modes grow, turn or decay as their symbols say."""
    grid = Grid((64,), (22.0,))
    u0 = 1e-30 * RandomFourierSeries(modes=12, decay=0.0)(grid, np.random.default_rng(1))[None]
    k = grid.wavenumbers()
    for equation, symbol in (
        (KuramotoSivashinsky(), k**2 - k**4 + 0j),
        (KortewegDeVries(), 1j * k**3),
        (Burgers(0.3), -0.3 * k**2 + 0j),
    ):
        u = simulate(equation, grid, u0, interval=5.0, frames=1, dt=dt, stepper=stepper)[:, -1]
        exact = grid.irfft(torch.exp(5.0 * symbol) * grid.rfft(u0))
        # A mode that turns by `|z|` radians carries the rounding of its angle.
        assert (u - exact).abs().max() < 1e-13 * max(1, 5 * symbol.imag[:13].abs().max().item()) * exact.abs().max()


@pytest.mark.parametrize("dt", [0.01, 0.5])
def test_the_linear_flow_of_strang_is_exact(dt):
    waves, grid = KleinGordon(Linear(mass=1.5)), Grid((32,), (7.0,))
    u0 = waves.initial_condition(grid, batch=1, seed=2)
    frequency = torch.sqrt(1.5**2 + grid.wavenumbers() ** 2)
    phi = grid.irfft(torch.cos(5 * frequency) * grid.rfft(u0[:, 0]))
    velocity = grid.irfft(-frequency * torch.sin(5 * frequency) * grid.rfft(u0[:, 0]))
    u = simulate(waves, grid, u0, interval=5.0, frames=1, dt=dt, stepper=Strang)[:, -1]
    assert (u - torch.stack((phi, velocity), 1)).abs().max() < 2e-13 * velocity.abs().max()


@pytest.mark.parametrize("focusing", [True, False])
def test_strang_turns_plane_waves_exactly(focusing):
    equation, grid, m, amplitude = NonlinearSchrodinger(focusing), Grid((32,), (9.0,)), 3, 0.7
    (x,), k = grid.coordinates(), 2 * math.pi * m / 9.0

    def wave(time):
        phase = k * x - (k**2 / 2 - equation.coupling * amplitude**2) * time
        return amplitude * torch.stack((torch.cos(phase), torch.sin(phase)))[None]

    u = simulate(equation, grid, wave(0), interval=1.0, frames=1, dt=0.05, stepper=Strang)[:, -1]
    assert (u - wave(1.0)).abs().max() < 1e-13


@pytest.mark.parametrize(
    ("stepper", "equation", "mirror"),
    [
        (Strang, NonlinearSchrodinger(), (1, -1)),
        (Strang, NonlinearSchrodinger(focusing=False), (1, -1)),
        (Yoshida4, NonlinearSchrodinger(), (1, -1)),
        (BlanesMoan4, NonlinearSchrodinger(), (1, -1)),
        (BlanesMoan6, NonlinearSchrodinger(), (1, -1)),
        (SymplecticRKN4, KleinGordon(), (1, -1)),
        (SymplecticRKN6, KleinGordon(Phi4()), (1, -1)),
        (StoermerVerlet, KleinGordon(), (1, -1)),
        (StoermerVerlet, KleinGordon(Phi4()), (1, -1)),
        (Strang, KleinGordon(), (1, -1)),
    ],
)
def test_symmetric_schemes_run_back_to_where_they_came_from(stepper, equation, mirror):
    u0 = equation.initial_condition(WIDE, batch=2, seed=5)
    mirror = torch.tensor(mirror, dtype=torch.float64)[:, None]
    out = simulate(equation, WIDE, u0, interval=2.0, frames=1, dt=0.05, stepper=stepper)[:, -1]
    back = simulate(equation, WIDE, mirror * out, interval=2.0, frames=1, dt=0.05, stepper=stepper)[:, -1]
    assert (mirror * back - u0).abs().max() < 1e-10
    assert (out - u0).abs().max() > 0.1


def test_an_unsuited_stepper_is_refused_with_the_ones_that_suit():
    with pytest.raises(TypeError, match=r"Split equation, got Burgers; .* suit it: DormandPrince853, ETDRK2, ETDRK4$"):
        Strang(Burgers(), BOX, 0.1)
    with pytest.raises(TypeError, match=r"suit it: Bl.*4, Bl.*6, Dor.*3, StoermerVerlet, Strang, Sy.*4, Sy.*6, Y.*4$"):
        ETDRK4(KleinGordon(), BOX, 0.1)


@pytest.mark.parametrize(
    ("stepper", "bound"), [(StoermerVerlet, 2.0), (SymplecticRKN4, 3.1634671), (SymplecticRKN6, 3.1414311)]
)
def test_symplectic_schemes_refuse_steps_beyond_their_stability_limit_and_are_stable_just_below(stepper, bound):
    waves = KleinGordon(Linear(mass=2.0))
    limit = bound / math.sqrt(32**2 + 4)
    with pytest.raises(ValueError, match=rf"{stepper.__name__} is unstable on this grid for dt >= {limit:.6g}"):
        stepper(waves, BOX, limit * 1.001)
    noise = 1e-3 * torch.randn(1, 2, 64, dtype=torch.float64)
    interval = 2000 * limit * 0.99
    end = simulate(waves, BOX, noise, interval=interval, frames=1, dt=interval / 2000, stepper=stepper)[:, -1]
    assert end[:, 0].abs().max() < 0.1


def test_increments_keep_float32_errors_from_growing_with_the_number_of_steps():
    grid, equation = Grid((128,), (2 * math.pi,)), Burgers(0.05)
    u0 = equation.initial_condition(grid, batch=1, seed=0)
    exact = simulate(equation, grid, u0, interval=1.0, frames=1, dt=1 / 200)[:, -1]
    for steps in (200, 6400):
        u = simulate(equation, grid, u0.float(), interval=1.0, frames=1, dt=1 / steps)[:, -1]
        assert u.dtype == torch.float32
        # Storing `e^z u` instead of adding an increment gives 1e-8 to 8e-8 for each step: more than 6e-5 at 6400.
        assert (u - exact).abs().max() < 6e-6

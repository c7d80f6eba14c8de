"""Exact solutions: their time derivative, by differences, is what the equation says; no stepper is involved."""

import math

import pytest
import torch

from rollwave.solvers import (
    Burgers,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    KortewegDeVries,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    VectorBurgers,
    exact,
)

LINE, CELL = Grid((512,), (3.0,)), Grid((768,), (9.0,))
PLANE, SQUARE = Grid((128, 120), (3.0, 2.0)), Grid((96, 96), (3.0, 3.0))
LONG, LONGER, WIDE = Grid((1024,), (45.0,)), Grid((1536,), (70.0,)), Grid((1024,), (90.0,))
FINE = Grid((3072,), (70.0,))
FOCUSING, DEFOCUSING = NonlinearSchrodinger(), NonlinearSchrodinger(focusing=False)
SWIRL, PUSHED = NavierStokes(0.03, 0.2), NavierStokes(0.03, 0.2, KolmogorovForcing(0.7, 3))
FRICTION, PUSH = {"viscosity": 0.03, "drag": 0.2}, {"amplitude": 0.7, "wavenumber": 3}
PAIR = {"speed": 0.4, "separation": 40.0, "coupling": 0.5, "vacuum": 1.4, "position": 5.0}

# Solution, equation, grid, times, numbers. Boxes are none of 2 pi, so that every factor of length counts.
CASES = [
    ("cole_hopf_wave", Burgers(0.05), LINE, (0.1, 2.0), {"viscosity": 0.05, "amplitude": 0.7}),
    ("cole_hopf_sine", Burgers(0.05), LINE, (0.1, 0.5, 2.0), {"viscosity": 0.05, "amplitude": 1.3}),
    ("cole_hopf_plane", VectorBurgers(0.1), PLANE, (0.1, 0.5), {"viscosity": 0.1}),
    ("taylor_green", SWIRL, SQUARE, (0.0, 0.5), FRICTION),
    ("shell_flow", SWIRL, SQUARE, (0.0, 0.1), FRICTION),
    ("shear_flow", SWIRL, PLANE, (0.0, 0.5), FRICTION),
    ("kolmogorov_laminar", PUSHED, PLANE, (0.0, 0.5), FRICTION | PUSH),
    ("kolmogorov_laminar", PUSHED, PLANE, (0.0, 0.5), FRICTION | PUSH | {"start": 0.0}),
    ("bright_soliton", FOCUSING, LONGER, (0.0, 3.0), {"amplitude": 1.2, "turns": 5, "position": 10.0}),
    ("two_solitons", FOCUSING, LONGER, (-3.0, 0.0, 2.0), {"phases": (0.3, 1.1), "positions": (-1.0, 1.0)}),
    ("two_solitons", FOCUSING, FINE, (-3.0, 0.0, 2.0), {"speeds": (0.1, 0.1), "amplitudes": (1.0, 1.5)}),
    ("plane_wave", FOCUSING, CELL, (1.0,), {"amplitude": 1.2, "turns": 3}),
    ("plane_wave", DEFOCUSING, CELL, (1.0,), {"amplitude": 1.2, "turns": -2, "focusing": False}),
    ("akhmediev_breather", FOCUSING, CELL, (-3.0, 0.0, 1.0), {}),
    ("akhmediev_breather", FOCUSING, CELL, (-3.0, 0.0, 1.0), {"periods": 2}),
    ("dark_soliton_pair", DEFOCUSING, LONG, (-6.0, 0.0, 1.0), {"speed": 0.5, "amplitude": 1.2}),
    ("korteweg_de_vries_soliton", KortewegDeVries(), LONG, (0.0, 3.0), {}),
    ("korteweg_de_vries_soliton", KortewegDeVries(-2.0, 0.8), LONG, (3.0,), {"advection": -2.0, "dispersion": 0.8}),
    ("korteweg_de_vries_two_solitons", KortewegDeVries(), LONG, (-2.0, 0.0, 1.0), {"speeds": (1.5, 4.0)}),
    (
        "korteweg_de_vries_two_solitons",
        KortewegDeVries(1.0, 0.5),
        LONG,
        (-1.0, 0.3),
        {"speeds": (3.0, 1.0), "advection": 1.0, "dispersion": 0.5},
    ),
    ("breather", KleinGordon(), WIDE, (0.0, 1.0, 3.0), {"frequency": 0.4, "position": 3.0}),
    ("sine_gordon_kink_antikink", KleinGordon(), WIDE, (-3.0, 0.0, 1.0), {"speed": 0.4}),
    ("sine_gordon_kinks", KleinGordon(), WIDE, (-3.0, 0.0, 1.0), {"speed": 0.4}),
    ("kink_antikink", KleinGordon(Phi4(0.5, 1.4)), WIDE, (0.0, 3.0), PAIR),
]


def slope(field, time, h):
    """Time derivative by central differences of order eight."""
    weights = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
    return sum(w * (field(time + j * h) - field(time - j * h)) for j, w in enumerate(weights, 1)) / h


@pytest.mark.parametrize(
    ("name", "equation", "grid", "times", "numbers"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)]
)
def test_the_formula_changes_in_time_as_its_equation_says(name, equation, grid, times, numbers):
    def field(time):
        return getattr(exact, name)(grid, time, **numbers)

    assert field(0.0).shape == (len(equation.channels), *grid.points)
    for time in times:
        u = field(time)
        tendency = equation.tendency(u, grid)
        # Differences: rounding over h and h^8 times rates of up to ten. Tails and unresolved modes are below that.
        error = (tendency - slope(field, time, 0.002)).abs().max()
        assert error < 2e-10 * max(1.0, u.abs().max().item(), tendency.abs().max().item()), time
        assert u.abs().max() > 0.05 or (name, time) == ("kolmogorov_laminar", 0.0)


def test_every_exact_solution_is_tested():
    assert {case[0] for case in CASES} | {"peregrine_breather"} == set(exact.__all__)


def test_the_peregrine_breather_is_exact_but_for_the_kink_of_its_tail():
    """The slope `16 / L^3` on both sides of the seam is all that is wrong: eight times less on twice the box."""
    errors = []
    for length in (50.0, 100.0, 200.0):
        grid = Grid((int(24 * length),), (length,))
        change = slope(lambda t, grid=grid: exact.peregrine_breather(grid, t), 1.0, 0.002)
        errors.append((FOCUSING.tendency(exact.peregrine_breather(grid, 1.0), grid) - change).abs().max().item())
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(8, rel=0.1)
    assert errors[1] < 1e-3


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_formulas_are_finite_far_outside_and_keep_the_grid_s_type(case):
    name, _, grid, times, numbers = case
    far = Grid(grid.points, tuple(30 * n for n in grid.lengths), torch.float32)
    if name == "akhmediev_breather":
        far = grid.to(torch.float32)
    u = getattr(exact, name)(far, times[-1], **numbers)
    assert u.dtype == torch.float32
    assert torch.isfinite(u).all()


@pytest.mark.parametrize("viscosity", [1e-2, 1e-4, 1e-6])
def test_the_cole_hopf_sine_follows_characteristics_before_the_shock(viscosity):
    """`u = sin(x - u t)` but for `O(nu)` while `t < 1`; and `sin x` at the start."""
    grid = Grid((200,), (2 * math.pi,))
    (x,) = grid.coordinates()
    (start,), (u,) = (exact.cole_hopf_sine(grid, time, viscosity=viscosity) for time in (0.0, 0.5))
    assert (start - torch.sin(x)).abs().max() < 1e-14
    gap = (u - torch.sin(x - 0.5 * u)).abs().max().item()
    assert 0.1 * viscosity < gap < 10 * viscosity


def test_the_cole_hopf_sine_has_its_shock_with_hardly_any_viscosity():
    """At late times a saw tooth, `u = x / t` up to the tanh front at `pi` of width `nu t`: the log of the integral."""
    grid, nu, time = Grid((64,), (2 * math.pi,)), 1e-5, 100.0
    (x,), (u,) = grid.coordinates(), exact.cole_hopf_sine(grid, time, viscosity=nu)
    # Characteristics of the outer solution: x = y + sin(y) t.
    y = torch.zeros_like(x)
    for _ in range(60):
        y = y - (y + torch.sin(y) * time - x) / (1 + torch.cos(y) * time)
    assert (u - torch.sin(y))[:32].abs().max() < 1e-6
    assert u[32].abs() < 1e-10


def test_waves_have_the_peaks_and_the_background_that_theory_gives_them():
    q = 2 * math.pi / 9
    peak = exact.akhmediev_breather(CELL, 0.0).norm(dim=0).max().item()
    assert peak == pytest.approx(1 + 2 * math.sqrt(1 - q**2 / 4), abs=1e-12)
    assert exact.peregrine_breather(Grid((64,), (100.0,)), 0.0).norm(dim=0).max().item() == pytest.approx(3, abs=1e-12)
    before = exact.akhmediev_breather(CELL, -30.0).norm(dim=0)
    assert (before - 1).abs().max() < 1e-6


def test_dark_solitons_far_apart_are_as_deep_as_they_are_slow():
    dark = exact.dark_soliton_pair(Grid((32768,), (80.0,)), 20.0, speed=0.5, amplitude=1.2).norm(dim=0)
    assert dark.min().item() == pytest.approx(0.5, abs=1e-4)
    assert dark.max().item() == pytest.approx(1.2, abs=1e-9)
    (place,) = ((dark[16384:] < 0.5001).nonzero().to(torch.float64) * 80 / 32768).mean(0).tolist()
    alone = 0.5 * 20
    # Dark solitons repel: each leaves `log(A / v) / q` ahead, here with q = 2 sqrt(A^2 - v^2).
    assert place == pytest.approx(alone + math.log(1.2 / 0.5) / (2 * math.sqrt(1.44 - 0.25)), abs=0.02)


@pytest.mark.parametrize(("advection", "dispersion"), [(6.0, 1.0), (1.0, 0.5)])
def test_korteweg_de_vries_solitons_leave_each_other_with_the_exact_shift(advection, dispersion):
    grid, (fast, slow), form = Grid((4096,), (80.0,)), (4.0, 1.0), {"advection": advection, "dispersion": dispersion}
    k, m = math.sqrt(fast / dispersion), math.sqrt(slow / dispersion)
    shift = math.log((k + m) / (k - m))
    for time, side in ((-8.0, -1), (8.0, 1)):
        (u,) = exact.korteweg_de_vries_two_solitons(grid, time, speeds=(fast, slow), **form)
        ends = [(fast, side * shift / k), (slow, -side * shift / m)]
        alone = [
            exact.korteweg_de_vries_soliton(grid, time, speed=c, position=40 + lead, **form)[0] for c, lead in ends
        ]
        assert (u - sum(alone)).abs().max() < 1e-6 * u.abs().max()
    assert KortewegDeVries(**form).invariants(u[None], grid)["mass"].item() == pytest.approx(
        12 * dispersion / advection * (k + m), rel=1e-12
    )


def test_schroedinger_solitons_leave_each_other_with_the_exact_shift():
    grid, amplitudes, speed, time = Grid((2048,), (120.0,)), (1.0, 1.2), 1.0, 25.0
    kick = math.log((2.2**2 + 4 * speed**2) / (0.2**2 + 4 * speed**2))
    x = grid.coordinates()[0] - 60
    for t in (-time, time):
        psi = exact.two_solitons(grid, t, amplitudes=amplitudes, speeds=(speed, -speed)).norm(dim=0)
        for a, v in zip(amplitudes, (speed, -speed), strict=True):
            place = v * t + math.copysign(kick / (2 * a), v * t)
            near = (x - place).abs() < 8
            assert (psi - a / torch.cosh(a * (x - place)))[near].abs().max() < 1e-8


def test_energies_of_kinks_are_those_of_theory():
    gamma = 1 / math.sqrt(1 - 0.16)
    energies = {
        "sine_gordon_kinks": 32 * gamma,
        "sine_gordon_kink_antikink": 16 * gamma,
    }
    for name, energy in energies.items():
        u = getattr(exact, name)(WIDE, 2.0, speed=0.4)
        assert KleinGordon().invariants(u, WIDE)["energy"].item() == pytest.approx(energy, rel=1e-10)
    u = exact.breather(WIDE, 2.0, frequency=0.4, position=3.0)
    assert KleinGordon().invariants(u, WIDE)["energy"].item() == pytest.approx(16 * math.sqrt(0.84), rel=1e-10)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: exact.cole_hopf_sine(LINE, 1.0, viscosity=0.0), "viscosity and amplitude must be positive"),
        (lambda: exact.cole_hopf_wave(LINE, 1.0, viscosity=0.1, amplitude=1.0), "between -1 and 1"),
        (lambda: exact.cole_hopf_plane(PLANE, 1.0, viscosity=0.1, amplitudes=(0.5, 0.3, 0.2)), "less than 1"),
        (lambda: exact.shell_flow(PLANE, 1.0, viscosity=0.1), "wavenumbers of one size"),
        (lambda: exact.taylor_green(PLANE, 1.0, viscosity=0.1), "square box"),
        (lambda: exact.two_solitons(LONG, 1.0, amplitudes=(1, 1), speeds=(0, 0)), "differ in amplitude or speed"),
        (lambda: exact.akhmediev_breather(LINE, 1.0), "between 0 and 2"),
        (lambda: exact.dark_soliton_pair(LONG, 1.0, speed=1.0), "between 0 and amplitude"),
        (lambda: exact.korteweg_de_vries_soliton(LONG, 1.0, speed=-1.0), "one sign"),
        (lambda: exact.korteweg_de_vries_two_solitons(LONG, 1.0, speeds=(1.0, 1.0)), "speeds must differ"),
        (lambda: exact.breather(LONG, 1.0, frequency=1.0), "between 0 and 1"),
        (lambda: exact.sine_gordon_kinks(LONG, 1.0, speed=1.0), "between -1 and 1"),
        (lambda: exact.sine_gordon_kink_antikink(LONG, 1.0, speed=0.0), "speed must not be zero"),
        (lambda: exact.sine_gordon_kinks(LONG, 1e4), "cosh overflows"),
        (lambda: exact.sine_gordon_kink_antikink(LONG, 1e4), "cosh overflows"),
        (lambda: exact.dark_soliton_pair(LONG, 1e4), "cosh overflows"),
        (lambda: exact.akhmediev_breather(CELL, 1e4), "cosh overflows"),
        (lambda: exact.kolmogorov_laminar(PLANE, 1.0, viscosity=0.0), "viscosity or drag must be positive"),
        (lambda: exact.breather(PLANE, 0.0), "lives on 1 space axes"),
        (lambda: exact.two_solitons(PLANE, 0.0), "lives on 1 space axes"),
        (lambda: exact.korteweg_de_vries_soliton(PLANE, 0.0), "lives on 1 space axes"),
        (lambda: exact.cole_hopf_wave(PLANE, 0.0, viscosity=0.1), "lives on 1 space axes"),
        (lambda: exact.cole_hopf_plane(LONG, 0.0, viscosity=0.1), "lives on 2 space axes, got 1"),
        (lambda: exact.taylor_green(LONG, 0.0, viscosity=0.1), "lives on 2 space axes, got 1"),
        (lambda: exact.shell_flow(LONG, 0.0, viscosity=0.1), "lives on 2 space axes, got 1"),
        (lambda: exact.shear_flow(LONG, 0.0, viscosity=0.1), "lives on 2 space axes, got 1"),
        (lambda: exact.kolmogorov_laminar(LONG, 0.0, viscosity=0.1), "lives on 2 space axes, got 1"),
    ],
)
def test_numbers_without_a_solution_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()

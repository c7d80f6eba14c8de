"""Compositions of exact flows: order conditions, stability, what they conserve, how long, and with which bits."""

import itertools
import math

import mpmath
import pytest
import torch

from rollwave.solvers import (
    ETDRK4,
    BlanesMoan4,
    BlanesMoan6,
    Grid,
    KleinGordon,
    NonlinearSchrodinger,
    Phi4,
    StoermerVerlet,
    Strang,
    SymplecticRKN4,
    SymplecticRKN6,
    Yoshida4,
    simulate,
)
from rollwave.solvers.composition import ELEVEN_STAGES, SECOND_ORDER, SIX_STAGES, TRIPLE_JUMP

COMPOSITIONS = [SECOND_ORDER, TRIPLE_JUMP, SIX_STAGES, ELEVEN_STAGES]
SPLITTINGS = [Strang, Yoshida4, BlanesMoan4, BlanesMoan6]
SYMPLECTIC = [StoermerVerlet, SymplecticRKN4, SymplecticRKN6]


def product(p, q, length):
    """Of two series in words of the letters A and B, cut off behind a length."""
    result = {}
    for (v, a), (w, b) in itertools.product(p.items(), q.items()):
        if len(v) + len(w) <= length:
            result[v + w] = result.get(v + w, 0) + a * b
    return result


def logarithm(composition, length):
    """Of the product of exponentials that one step is, as a series in words."""
    power = result = {}
    series = {"": mpmath.mpf(1)}
    sequence = zip(composition.kicks, (*composition.drifts, 0.0), strict=True)
    for letter, size in ((letter, size) for pair in sequence for letter, size in zip("BA", pair, strict=True)):
        factor = {letter * k: mpmath.mpf(size) ** k / mpmath.factorial(k) for k in range(length + 1)}
        series = product(series, factor, length)
    series[""] -= 1
    power, result = {"": mpmath.mpf(1)}, {}
    for k in range(1, length + 1):
        power = product(power, series, length)
        for word, value in power.items():
            result[word] = result.get(word, 0) - (-1) ** k * value / k
    return result


def commutator(p, q):
    first, second = product(p, q, 9), product(q, p, 9)
    return {word: first.get(word, 0) - second.get(word, 0) for word in first | second}


def left_over(composition, length):
    """The largest coefficient among the words of a length, without the multiples of `[B,[B,[B,A]]]`."""
    series, a, b = logarithm(composition, length), {"A": 1}, {"B": 1}
    triple = commutator(b, commutator(b, commutator(b, a)))
    # In words of five letters, three of them B, this is the only multiple; with one A less every word is one.
    ideal = commutator(a, triple)
    worst = mpmath.mpf(0)
    for kicks in range(length + 1):
        words = ["".join(w) for w in itertools.product("AB", repeat=length) if w.count("B") == kicks]
        values = [series.get(word, mpmath.mpf(0)) - (1 if length == 1 else 0) for word in words]
        if length >= 4 and kicks == length - 1:
            continue
        if length == 5 and kicks == 3:
            along = [mpmath.mpf(ideal.get(word, 0)) for word in words]
            share = mpmath.fdot(values, along) / mpmath.fdot(along, along)
            values = [value - share * part for value, part in zip(values, along, strict=True)]
        worst = max([worst, *(abs(value) for value in values)])
    return float(worst)


@pytest.mark.parametrize("composition", COMPOSITIONS, ids=lambda c: f"{len(c.drifts)} stages")
def test_compositions_meet_the_order_conditions_of_their_order_and_no_more(composition):
    assert composition.kicks == composition.kicks[::-1]
    assert composition.drifts == composition.drifts[::-1]
    with mpmath.workdps(30):
        for length in range(1, composition.order + 1):
            assert left_over(composition, length) < 1e-15, length
        if composition.order < 6:
            assert left_over(composition, composition.order + 1) > 1e-5


@pytest.mark.parametrize("composition", COMPOSITIONS, ids=lambda c: f"{len(c.drifts)} stages")
def test_the_stability_limit_is_where_an_oscillation_first_grows(composition):
    def growth(angle):
        q, v = torch.eye(2, dtype=torch.float64)
        v = v - composition.kicks[0] * angle * q
        for drift, kick in composition.stages():
            q = q + drift * angle * v
            v = v - kick * angle * q
        # The last kick is joined with the next step's first: undone, the trace is that of one step.
        return abs((q[0] + v[1] + composition.kicks[0] * angle * q[1]).item()) / 2 - 1

    limit = composition.stability_limit()
    assert all(growth(limit * part) < 1e-13 for part in torch.linspace(0.001, 1 - 1e-6, 2000).tolist())
    assert growth(limit * (1 + 1e-4)) > 1e-10
    assert limit == pytest.approx({1: 2.0, 3: 1.5734, 6: 3.1635, 11: 3.1414}[len(composition.drifts)], abs=1e-4)


TINY = Grid((6,), (5.0,))


@pytest.mark.parametrize(
    ("stepper", "equation", "symplectic"),
    [(scheme, KleinGordon(), True) for scheme in (*SYMPLECTIC, *SPLITTINGS)]
    + [(scheme, NonlinearSchrodinger(), True) for scheme in SPLITTINGS]
    + [(ETDRK4, NonlinearSchrodinger(), False)],
)
def test_one_step_is_a_symplectic_map(stepper, equation, symplectic):
    scheme, u = stepper(equation, TINY, 0.2), torch.randn(1, 2, 6, dtype=torch.float64)

    def flow(flat):
        return scheme.decode(scheme.step(scheme.encode(flat.reshape(1, 2, 6)))).flatten()

    matrix, half = torch.autograd.functional.jacobian(flow, u.flatten()), torch.eye(6, dtype=torch.float64)
    form = torch.kron(torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64), half)
    defect = (matrix.T @ form @ matrix - form).abs().max().item()
    assert defect < 1e-12 if symplectic else defect > 1e-6
    assert (matrix - torch.eye(12)).abs().max() > 0.1


def energies(stepper, equation, dt, frames, between):
    """Relative error of the energy, at every `between` steps."""
    grid = Grid((32,), (10.0,))
    u0 = 0.7 * equation.initial_condition(grid, batch=1, seed=1)
    u = simulate(equation, grid, u0, interval=between * dt, frames=frames, dt=dt, stepper=stepper)
    values = equation.invariants(u, grid)["energy"][0]
    return ((values - values[0]) / equation.invariant_sizes(u, grid)["energy"][0, 0]).abs()


LONG = [
    (StoermerVerlet, KleinGordon(), 0.1),
    (SymplecticRKN4, KleinGordon(), 0.15),
    (SymplecticRKN6, KleinGordon(), 0.2),
    (BlanesMoan4, NonlinearSchrodinger(False), 0.05),
    (BlanesMoan6, NonlinearSchrodinger(False), 0.05),
]


@pytest.mark.parametrize(
    ("case", "between"),
    [(case, 25) for case in range(len(LONG))]
    + [pytest.param(case, 100, marks=pytest.mark.slow) for case in (0, 1, 3)]
    + [pytest.param(case, 1000, marks=pytest.mark.slow) for case in range(len(LONG))],
)
def test_the_error_of_the_energy_does_not_grow_with_time(case, between):
    stepper, equation, dt = LONG[case]
    error = energies(stepper, equation, dt, 100, between)
    early, late = error[1:34].max().item(), error[67:].max().item()
    # Beside what stays bounded, rounding walks at random, one rounding or so for each flow.
    walk = 1e-15 * math.sqrt(100 * between * 11)
    assert late < 1.5 * early + 3 * walk
    assert late < {2: 2e-2, 4: 1e-5, 6: 1e-7}[stepper.order]


@pytest.mark.parametrize("stepper", SPLITTINGS)
def test_splittings_keep_mass_and_momentum_to_rounding(stepper):
    grid, equation = Grid((128,), (20.0,)), NonlinearSchrodinger(False)
    u0 = 0.5 * equation.initial_condition(grid, batch=2, seed=0)
    u = simulate(equation, grid, u0, interval=2.0, frames=2, dt=0.05, stepper=stepper)
    values, sizes = equation.invariants(u, grid), equation.invariant_sizes(u, grid)
    for name in ("mass", "momentum"):
        assert ((values[name] - values[name][:, :1]) / sizes[name][:, :1]).abs().max() < 1e-12
    # What neither flow keeps on its own tells the schemes apart.
    drift = (values["energy"] - values["energy"][:, :1]).abs().max().item()
    assert drift > {2: 1e-7, 4: 1e-12, 6: 0.0}[stepper.order]


def noise_on_a_plane_wave(stepper, part, time=25.0):
    """The largest side band of `|psi| = 1` after a run with `part` of the step that resonates with mode 14 of 32."""
    grid, equation = Grid((32,), (3.0,)), NonlinearSchrodinger()
    noise = 1e-14 * torch.randn(1, 2, 32, dtype=torch.float64)
    energy = (2 * math.pi * 14 / 3.0) ** 2 / 2
    dt = part * math.pi / math.sqrt(energy * (energy - 2))
    u0 = torch.tensor([1.0, 0.0], dtype=torch.float64)[None, :, None] + noise
    steps = round(time / dt)
    u = simulate(equation, grid, u0, interval=steps * dt, frames=1, dt=dt, stepper=stepper)[0, -1]
    return (torch.fft.fft(torch.complex(*u)).abs()[1:].max() / 32).item()


@pytest.mark.parametrize("stepper", SPLITTINGS)
def test_noise_on_a_plane_wave_stays_noise_below_the_resonance(stepper):
    """The highest mode resonates at 0.77 of the step at which mode 14 does."""
    assert noise_on_a_plane_wave(stepper, 0.75) < 1e-12


@pytest.mark.parametrize(
    ("stepper", "part", "grown"), [(Strang, 1, 1e-6), (Yoshida4, 1, 1e-9), (BlanesMoan4, 2, 1e-12)]
)
def test_splittings_resonate_at_the_step_they_are_said_to(stepper, part, grown):
    assert noise_on_a_plane_wave(stepper, part) > grown


@pytest.mark.parametrize("grid", [Grid((32,), (3.0,)), Grid((512,), (50.0,)), Grid((16,), (400.0,))])
def test_automatic_steps_stay_below_resonances_and_stability_limits(grid):
    schrodinger, waves = NonlinearSchrodinger(), KleinGordon()
    k_max = math.pi / grid.spacing[0]
    assert schrodinger.suggested_step(grid) < 2 * math.pi / k_max**2
    for stepper in SYMPLECTIC:
        stepper(waves, grid, waves.suggested_step(grid))


@pytest.mark.parametrize(
    ("stepper", "equation"),
    [(BlanesMoan4, NonlinearSchrodinger()), (SymplecticRKN4, KleinGordon()), (BlanesMoan6, KleinGordon(Phi4()))],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_trajectory_has_the_same_bits_in_every_batch_and_with_a_gradient(stepper, equation, dtype):
    """For points that are a multiple of a vector, sixteen."""
    grid = Grid((48,), (10.0,))
    u0 = equation.initial_condition(grid, batch=7, seed=2).to(dtype)

    def run(u):
        return simulate(equation, grid, u, interval=0.5, frames=2, dt=0.05, stepper=stepper)

    together = run(u0)
    assert torch.equal(run(u0[3:4]), together[3:4])
    assert torch.equal(run(u0[2:5]), together[2:5])
    assert torch.equal(run(u0.requires_grad_()).detach(), together)

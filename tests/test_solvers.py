"""Every equation and every stepper in the folder, held to what it declares."""

import ast
import dataclasses
import importlib
import inspect
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import rollwave.solvers
from rollwave.solvers import (
    ETDRK2,
    ETDRK4,
    Equation,
    Grid,
    KleinGordon,
    KortewegDeVries,
    Linear,
    Phi4,
    Reversible,
    Semilinear,
    Separable,
    SineGordon,
    Split,
    Stepper,
    StoermerVerlet,
    Strang,
    relative_drift,
    simulate,
)
from rollwave.solvers import sample as sample_fields

FOLDER = rollwave.solvers.__path__[0]


def found(base):
    """Concrete subclasses of `base` in every file of the folder."""
    classes = {}
    for path in sorted(Path(FOLDER).glob("*.py")):
        if path.stem != "__init__":
            module = importlib.import_module(f"rollwave.solvers.{path.stem}")
            for name, value in vars(module).items():
                if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__:
                    classes[name] = value
    return {name: value for name, value in classes.items() if not inspect.isabstract(value)}


EQUATIONS, STEPPERS = found(Equation), found(Stepper)


def instances():
    """Every equation with its defaults, Klein-Gordon with every potential, Korteweg-de Vries also with damping."""
    cases = {name: equation() for name, equation in EQUATIONS.items()}
    cases["KortewegDeVriesDamped"] = KortewegDeVries(advection=1.0, viscosity=0.05, hyperviscosity=0.01)
    return cases | {f"KleinGordon{type(v).__name__}": KleinGordon(v) for v in (Linear(), Phi4(), SineGordon())}


INSTANCES = instances()
SUITED = [(n, s) for n, e in INSTANCES.items() for s, stepper in STEPPERS.items() if isinstance(e, stepper.requires)]
UNSUITED = [(n, s) for n in INSTANCES for s in STEPPERS if (n, s) not in SUITED]


def box(equation, points=32):
    dimension = equation.dimensions[-1]
    return Grid((points,) * dimension, (8.0,) * dimension)


def test_the_folder_holds_what_the_project_promises():
    conservative = {"KleinGordon", "KortewegDeVries", "NonlinearSchrodinger"}
    damped = {"Burgers", "KuramotoSivashinsky", "NavierStokes", "VectorBurgers"}
    assert set(EQUATIONS) == conservative | damped
    splittings, symplectic = {"Strang", "Yoshida4", "BlanesMoan4", "BlanesMoan6"}, {"SymplecticRKN4", "SymplecticRKN6"}
    others = {"ETDRK2", "ETDRK4", "StoermerVerlet", "DormandPrince853"}
    assert splittings | symplectic | others <= set(STEPPERS)
    assert set(EQUATIONS) | set(STEPPERS) <= set(rollwave.solvers.__all__)


@pytest.mark.parametrize("name", EQUATIONS)
def test_an_equation_declares_itself(name):
    equation = EQUATIONS[name]
    assert equation.__module__ == f"rollwave.solvers.{equation.name}"
    assert len(equation.channels) == len(equation.units) > 0
    assert set(equation.dimensions) <= {1, 2, 3}
    assert issubclass(equation.default_stepper, Stepper)
    assert equation.__dataclass_params__.frozen
    assert hash(equation()) == hash(equation())
    assert any(isinstance(equation(), kind) for kind in (Semilinear, Split, Separable))
    assert "Attributes:" in equation.__doc__ or not dataclasses.fields(equation)


@pytest.mark.parametrize("name", STEPPERS)
def test_a_stepper_declares_itself(name):
    stepper = STEPPERS[name]
    assert stepper.order in (2, 4, 6, 8)
    assert stepper.requires in (Equation, Semilinear, Split, Reversible, Separable)
    assert any(isinstance(equation, stepper.requires) for equation in INSTANCES.values())


@pytest.mark.parametrize(("name", "stepper"), UNSUITED)
def test_an_unsuited_stepper_is_refused(name, stepper):
    equation = INSTANCES[name]
    with pytest.raises(TypeError, match=r"steppers that suit it: [A-Z]"):
        STEPPERS[stepper](equation, box(equation), 1e-3)


@pytest.mark.parametrize(("name", "stepper"), SUITED)
def test_schemes_agree_with_the_tendency_of_the_equation(name, stepper):
    """The slope at `t = 0`, by Richardson extrapolation of `(u(dt) - u(0)) / dt`, is the stated `u_t`."""
    equation, stepper = INSTANCES[name], STEPPERS[stepper]
    grid = box(equation, 64)
    u0 = equation.initial_condition(grid, batch=1, seed=7)

    def slope(dt):
        return (simulate(equation, grid, u0, interval=dt, frames=1, dt=dt / 4, stepper=stepper)[:, -1] - u0) / dt

    dt = 1e-5
    estimate = (8 * slope(dt) - 6 * slope(2 * dt) + slope(4 * dt)) / 3
    exact = equation.tendency(u0, grid)
    assert exact.abs().max() > 1e-2
    assert (estimate - exact).abs().max() < 2e-4 * exact.abs().max()


@pytest.mark.parametrize("name", INSTANCES)
def test_what_an_equation_conserves_has_no_tendency_and_what_it_budgets_adds_up(name):
    """Directional derivative of every integral along `u_t`: zero, or the sum of its budget."""
    equation = INSTANCES[name]
    grid = box(equation, 64)
    u = equation.initial_condition(grid, batch=2, seed=1)
    names = {"energy": "budget", "enstrophy": "enstrophy_budget", "momentum": "momentum_budget"}
    budgets = {integral: getattr(equation, budget, None) for integral, budget in names.items()}
    tendency = equation.tendency(u, grid)
    rates = torch.func.jvp(lambda v: equation.invariants(v, grid), (u,), (tendency,))[1]
    values = equation.invariants(u, grid)
    for integral, rate in rates.items():
        assert rate.shape == values[integral].shape == (2,)
        if integral in equation.conserved:
            assert (rate.abs() < 1e-10 * (1 + tendency.abs().max() * u.abs().max())).all(), integral
        else:
            terms = budgets[integral](u, grid)
            scale = sum(term.abs() for term in terms.values())
            assert (rate.abs() > 1e-6).all()
            assert ((rate - sum(terms.values())).abs() < 1e-9 * scale).all(), integral


@pytest.mark.parametrize("name", INSTANCES)
def test_a_short_run_keeps_what_the_equation_declares_conserved_and_nothing_else(name):
    equation = INSTANCES[name]
    grid = box(equation, 64)
    u = simulate(equation, grid, equation.initial_condition(grid, batch=2, seed=1), interval=0.25, frames=2, dt=0.00125)
    values, sizes = equation.invariants(u, grid), equation.invariant_sizes(u, grid)
    drifts = {key: relative_drift(value - value[:, :1], sizes[key]).abs().max() for key, value in values.items()}
    assert equation.conserved
    assert {key for key, drift in drifts.items() if drift < 1e-5} == set(equation.conserved)


@pytest.mark.parametrize("name", INSTANCES)
def test_the_size_of_an_integral_bounds_it_and_does_not_cancel(name):
    equation = INSTANCES[name]
    grid = box(equation, 64)
    u = equation.initial_condition(grid, batch=2, seed=1)
    u = u + 0.1 * u.roll(5, -1).flip(1)
    sizes = equation.invariant_sizes(u, grid)
    for integral, value in equation.invariants(u, grid).items():
        assert (sizes[integral] >= value.abs()).all()
        assert (sizes[integral] > 1e-3).all()


def test_the_momentum_of_an_even_field_is_nothing_and_its_size_is_not():
    """`phi = cos x`, `phi_t = 2 + cos x`: `int |phi_t phi_x| = int (2 + cos x) |sin x| = 8` over a period."""
    grid = Grid((4096,), (2 * math.pi,))
    (x,) = grid.coordinates()
    u = torch.stack((torch.cos(x), 2 + torch.cos(x)))
    assert KleinGordon().invariants(u, grid)["momentum"].item() == pytest.approx(0, abs=1e-12)
    assert KleinGordon().invariant_sizes(u, grid)["momentum"].item() == pytest.approx(8, rel=1e-5)


@pytest.mark.parametrize("name", INSTANCES)
def test_integrals_take_any_leading_axes_and_do_not_depend_on_resolution(name):
    equation = INSTANCES[name]
    coarse, fine = box(equation, 64), box(equation, 96)
    u, finer = (equation.initial_condition(grid, batch=6, seed=2) for grid in (coarse, fine))
    values, reference = equation.invariants(u.unflatten(0, (3, 2)), coarse), equation.invariants(finer, fine)
    for integral, value in values.items():
        assert value.shape == (3, 2)
        assert torch.allclose(value.flatten(), reference[integral], rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("name", INSTANCES)
def test_initial_fields_depend_on_seed_and_index_alone(name):
    equation = INSTANCES[name]
    grid = box(equation)
    many = equation.initial_condition(grid, batch=5, seed=4)
    assert torch.equal(many[3:5], equation.initial_condition(grid, batch=2, seed=4, first=3))
    assert not torch.equal(many[:1], equation.initial_condition(grid, batch=1, seed=5))
    flat = many.flatten(1)
    assert (torch.corrcoef(flat) - torch.eye(5)).abs().max() < 0.99


@pytest.mark.parametrize("name", INSTANCES)
def test_initial_fields_are_the_same_functions_on_every_grid(name):
    equation = INSTANCES[name]
    coarse, fine = box(equation, 32), box(equation, 96)
    u, finer = (equation.initial_condition(grid, batch=3, seed=4) for grid in (coarse, fine))
    shared = finer[(..., *[slice(None, None, 3)] * coarse.ndim)]
    assert (shared - u).abs().max() < 1e-14 * u.abs().max() * 4


@pytest.mark.parametrize(("name", "stepper"), SUITED)
def test_float32_fields_give_float32_trajectories_of_the_same_flow(name, stepper):
    equation, stepper = INSTANCES[name], STEPPERS[stepper]
    grid = box(equation)
    u0 = equation.initial_condition(grid, batch=2, seed=7)
    single, double = (
        simulate(equation, grid, u, interval=0.05, frames=2, dt=0.005, stepper=stepper) for u in (u0.float(), u0)
    )
    assert single.dtype == torch.float32
    # Compositions also step backward: the substeps of a step add up to several steps, and so do their roundings.
    limit = 3e-6 if stepper in (ETDRK2, ETDRK4, StoermerVerlet, Strang) else 1e-5
    assert (single - double).abs().max() < limit * double.abs().max()
    assert equation.initial_condition(grid.to(torch.float32), batch=1).dtype == torch.float32


@pytest.mark.parametrize(("name", "stepper"), SUITED)
def test_samples_do_not_see_each_other(name, stepper):
    equation, stepper = INSTANCES[name], STEPPERS[stepper]
    grid = box(equation)
    u0 = equation.initial_condition(grid, batch=3, seed=7)
    together = simulate(equation, grid, u0, interval=0.05, frames=2, dt=0.005, stepper=stepper)
    alone = simulate(equation, grid, u0[1:2], interval=0.05, frames=2, dt=0.005, stepper=stepper)
    assert (together[1:2] - alone).abs().max() < 1e-13 * alone.abs().max()


def test_every_field_of_the_folder_refuses_a_grid_that_cannot_carry_it():
    with pytest.raises(ValueError, match="more than 8 points"):
        sample_fields(rollwave.solvers.RandomFourierSeries(modes=4), Grid((8,), (1.0,)), batch=1)


def test_public_names_are_sorted_and_exist():
    tree = ast.parse(inspect.getsource(rollwave.solvers))
    exported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert exported == set(rollwave.solvers.__all__)


def test_importing_the_solvers_brings_in_nothing_heavy():
    heavy = ("lightning", "hydra", "h5py", "matplotlib", "scipy", "jax")
    code = f"import sys, rollwave.solvers; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert result.stdout.strip() == "[]"

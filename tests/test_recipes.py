"""Every shipped recipe says where it comes from, was measured as it is, and has the coefficients of its source."""

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from rollwave.datasets import Recipe
from rollwave.datasets.metadata import SPLITS
from rollwave.solvers import Certificate, Grid, NavierStokes, sample

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in (ROOT / "configs" / "dataset").glob("*.yaml"))


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """benchmarks/recipes.py."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    specification = importlib.util.spec_from_file_location("recipes_program", ROOT / "benchmarks" / "recipes.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    sys.path.remove(str(ROOT / "benchmarks"))
    return module


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_names_its_source_and_its_differences(name: str, program: ModuleType) -> None:
    recipe = program.recipe_of(name)
    assert recipe.source
    assert recipe.differences
    published = name.split("_")[0] in {"fno", "dymixop", "pde", "apebench"}
    assert ("arXiv" in recipe.source) or not published
    assert recipe.source.startswith("rollwave") or published


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_was_measured_as_it_is_and_meets_its_limits(name: str, program: ModuleType) -> None:
    recipe = program.recipe_of(name)
    entry = program.kept().get(name)
    assert entry is not None, f"python benchmarks/recipes.py {name}"
    assert program.is_measured(name), f"{name}.yaml has changed: python benchmarks/recipes.py {name}"
    wanted, certificate = recipe.certificate, Certificate.from_dict(entry["certificate"])
    assert wanted.tolerance is not None
    assert wanted.tolerance <= 1e-2 if name == "ks_tiny" else wanted.tolerance <= 1e-3
    assert certificate.complaints(wanted.tolerance, budget=wanted.budget, tail=wanted.tail) == []
    assert certificate.samples == wanted.samples
    assert certificate.horizon == pytest.approx(wanted.horizon or 10 * recipe.interval)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_times_are_those_of_the_counts(name: str, program: ModuleType) -> None:
    """The files hold the float32 fields and little more; a full time is that of all steps at the measured pace."""
    recipe, entry = program.recipe_of(name), program.kept()[name]
    kept = Recipe.from_dict(entry["recipe"])
    field = 4 * math.prod(recipe.stored_points) * len(recipe.build_equation().channels)
    least = field * sum(kept.count(split) * kept.frames_of(split) for split in SPLITS)
    assert least < entry["bytes"]
    assert entry["bytes"] == pytest.approx(field * program.all_frames(kept), rel=0.05, abs=1e5)
    assert entry["seconds"] >= 0.99 * entry["seconds_per_trajectory"] * kept.train
    measured = entry["measured"]
    assert measured["in_full"] == (
        measured["block"] == kept.block and measured["train"] == kept.train > measured["block"]
    )
    if measured["in_full"]:
        assert entry["seconds"] == pytest.approx(measured["seconds"])


def test_the_page_says_what_was_measured(program: ModuleType) -> None:
    assert program.PAGE.read_text() == program.text(), "python benchmarks/recipes.py --page"
    assert all(f"\n## {name}\n" in program.text() for name in NAMES)


def test_a_changed_recipe_counts_as_not_measured(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = program.kept()["ks_tiny"]
    changes = (("train", 9, True), ("lyapunov_exponent", 0.1, True), ("dt", 0.04, False), ("seed", 1, False))
    for key, value, measured in changes:
        changed = {"ks_tiny": {**entry, "recipe": {**entry["recipe"], key: value}}}
        monkeypatch.setattr(program, "kept", lambda changed=changed: changed)
        assert program.is_measured("ks_tiny") == measured, key


@pytest.mark.parametrize("name", NAMES)
def test_a_scheme_keeps_the_initial_field_that_is_stored(name: str, program: ModuleType) -> None:
    """Where frame zero is the random field itself, no mode of it is dropped by the first step."""
    recipe = program.recipe_of(name)
    if recipe.warmup:
        return
    grid, equation = recipe.build_grid(), recipe.build_equation()
    u0 = sample(recipe.build_initial_condition(), grid, batch=1, seed=recipe.split_seed("train"))
    scheme = recipe.stepper_class(equation, grid, recipe.dt)
    change = scheme.decode(scheme.encode(u0)) - u0
    assert recipe.certificate.tolerance is not None
    assert change.norm() < 0.01 * recipe.certificate.tolerance * u0.norm()


def difficulties(order: int, coefficient: float, points: int = 160) -> float:
    """`gamma_j = alpha_j N^j 2^(j-1)`, APEBench's measure of `alpha_j d^j u / dx^j` on the unit box, per frame."""
    return coefficient * points**order * 2 ** (order - 1)


@pytest.mark.parametrize(
    ("name", "advection", "gammas"),
    [
        ("apebench_burgers", 1.5, {2: 1.5}),
        ("apebench_kdv", 2.0, {3: -14.0, 4: -9.0}),
        ("apebench_ks", None, {2: -1.2, 4: -15.0}),
        ("apebench_ks_conservative", 1.0, {2: -2.0, 4: -18.0}),
    ],
)
def test_apebench_recipes_have_the_published_difficulties(
    name: str, advection: float | None, gammas: dict[int, float], program: ModuleType
) -> None:
    """The equation, scaled back to the unit box and to one frame per unit of time; a slope has no unit to scale by."""
    recipe = program.recipe_of(name)
    equation, (length,), frame = recipe.build_equation(), recipe.lengths, recipe.interval
    derivatives = {
        2: getattr(equation, "viscosity", -1.0),
        3: -getattr(equation, "dispersion", 0.0),
        4: -getattr(equation, "hyperviscosity", 1.0 if name.startswith("apebench_ks") else 0.0),
    }
    found = {j: difficulties(j, c * frame / length**j) for j, c in derivatives.items() if c}
    assert found == pytest.approx(gammas, rel=1e-12)
    if advection is not None:
        # The largest value of the random field is the source's one times the scale of the field.
        scale = recipe.initial_condition["maximum"]
        assert getattr(equation, "advection", 1.0) * scale * frame / length * 160 == pytest.approx(advection, rel=1e-12)


def test_the_published_navier_stokes_flows_have_their_field_and_force(program: ModuleType) -> None:
    """The variance is `sum_k 2 7^3 (4 pi^2 |k|^2 + 49)^-2.5`, the curl of the force `0.1 (sin + cos)(2 pi (x + y))`."""
    recipe = program.recipe_of("fno_navier_stokes_1e3")
    k = np.stack(np.meshgrid(*[np.arange(-128, 129)] * 2)).astype(float)
    variances = 2 * 7**3 * (4 * math.pi**2 * (k**2).sum(0) + 49) ** -2.5
    variances[128, 128] = 0.0
    fields = sample(recipe.build_initial_condition(), recipe.build_grid(), batch=400, seed=3)
    # The largest of the modes carry a tenth of the variance each, so its mean over 400 fields is known to two per cent.
    assert fields.square().mean().item() == pytest.approx(variances.sum(), rel=0.08)
    grid = Grid((48, 48), (1.0, 1.0))
    equation = recipe.build_equation()
    assert isinstance(equation, NavierStokes)
    x, y = grid.coordinates()
    phase = 2 * math.pi * (x + y)
    rest = torch.zeros((1, *grid.points), dtype=torch.float64)
    assert torch.allclose(equation.tendency(rest, grid)[0], 0.1 * (torch.sin(phase) + torch.cos(phase)), atol=1e-13)


@pytest.mark.parametrize("name", ["fno_navier_stokes_1e3", "fno_navier_stokes_1e4", "fno_navier_stokes_1e5"])
def test_the_published_navier_stokes_flows_differ_in_viscosity_and_length_alone(name: str, program: ModuleType) -> None:
    first, recipe = program.recipe_of("fno_navier_stokes_1e3"), program.recipe_of(name)
    viscosity = float(name.rpartition("_")[2].replace("e", "e-"))
    assert recipe.equation == first.equation | {"viscosity": viscosity}
    modes = {"modes": recipe.initial_condition["modes"]}
    assert recipe.initial_condition == first.initial_condition | modes
    assert recipe.stored_points == (64, 64)
    assert [recipe.count(split) for split in SPLITS] == [1000, 100, 200]
    assert recipe.frames == {1e-3: 51, 1e-4: 31, 1e-5: 21}[viscosity]


@pytest.mark.parametrize("name", ["ks_l64", "ks_l100", "ks_l200", "pde_refiner_ks"])
def test_boxes_of_chaos_have_the_exponent_that_was_measured_and_test_over_eleven_lyapunov_times(
    name: str, program: ModuleType
) -> None:
    recipe = program.recipe_of(name)
    boxes = json.loads((ROOT / "benchmarks" / "results" / "lyapunov_ks.json").read_text())["boxes"]
    (box,) = [box for box in boxes if (box["length"],) == recipe.lengths]
    assert recipe.lyapunov_exponent is not None
    assert abs(recipe.lyapunov_exponent - box["exponent"]) < 2 * box["standard_error"]
    assert (recipe.frames_of("test") - 1) * recipe.interval * recipe.lyapunov_exponent > 11

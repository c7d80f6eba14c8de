"""The cases of `python -m rollwave.solvers.validate`, Lyapunov exponents, and the page the program writes."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jaxtyping
import pytest
import torch

from rollwave.solvers import ETDRK4, Burgers, Grid, KleinGordon, KuramotoSivashinsky, Linear, StoermerVerlet
from rollwave.solvers.lyapunov import LyapunovExponents, lyapunov_exponents, push
from rollwave.solvers.run import advance
from rollwave.solvers.validate import CASES, Case, Result, name_of
from rollwave.solvers.validate.__main__ import main
from rollwave.solvers.validate.record import measure, merged
from rollwave.solvers.validate.report import markdown, used

QUICK = [(equation, case) for equation, (quick, _) in CASES.items() for case in quick]
FULL = [(equation, case) for equation, (_, full) in CASES.items() for case in full]


def label(value: object) -> str:
    return value if isinstance(value, str) else name_of(value)  # type: ignore[arg-type]


@pytest.fixture
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases take thousands of steps and other tests check the shapes of each: here nothing checks them."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("_unchecked")
@pytest.mark.parametrize(("equation", "case"), QUICK, ids=label)
def test_a_case_reaches_its_tolerance(equation: str, case: Case) -> None:
    result = case()
    assert result.passed, f"{equation}: {result}"


@pytest.mark.slow
@pytest.mark.usefixtures("_unchecked")
@pytest.mark.parametrize(("equation", "case"), FULL, ids=label)
def test_a_long_case_reaches_its_tolerance(equation: str, case: Case) -> None:
    result = case()
    assert result.passed, f"{equation}: {result}"


def test_no_two_cases_share_a_name() -> None:
    names = [(equation, name_of(case)) for equation, case in QUICK + FULL]
    assert len(set(names)) == len(names)


FOUND = Result("check", "grid", "scheme", 0.5, "error", (0.0, 1.0), "source", order=2.0, orders=(1.8, 2.2))


@pytest.mark.parametrize(
    ("changed", "passed"),
    [
        ({}, True),
        ({"figure": 1.1}, False),
        ({"figure": -0.1}, False),
        ({"figure": math.nan}, False),
        ({"figure": math.inf}, False),
        ({"order": 1.5}, False),
        ({"order": math.nan}, False),
        ({"order": None}, False),
        ({"order": None, "orders": None}, True),
    ],
)
def test_a_result_passes_within_its_bounds_alone(changed: dict, passed: bool) -> None:
    assert replace(FOUND, **changed).passed is passed


def test_a_case_that_raises_is_recorded_as_failed() -> None:
    def broken() -> Result:
        raise ArithmeticError("no step is small enough")

    record = measure("burgers", broken, full=False, commit="abc")
    assert not record["passed"]
    assert record["failure"] == "ArithmeticError: no step is small enough"
    assert "no step is small enough" in markdown({"commit": "abc", "versions": {}, "cases": [record]}, "here.json")


def test_the_page_follows_from_the_record_alone() -> None:
    records = [
        json.loads(json.dumps(measure("burgers", case, full=full, commit=commit)))
        for case, full, commit in (
            (partial(replace, FOUND), False, "new"),
            (lambda: replace(FOUND, figure=7.0), True, "old"),
        )
    ]
    page = markdown({"commit": "new", "versions": {"torch": "2"}, "cases": records}, "here.json")
    good, bad = [line for line in page.splitlines() if line.startswith("| check") or line.startswith("| **failed**")][
        -2:
    ]
    assert "error 0.5" in good
    assert "2.00 (1.8 .. 2.2)" in good
    assert good.endswith("| quick |")
    assert bad.endswith("| full at old |")
    assert "1 of 2 cases pass" in page
    assert [used(record) for record in records] == [0.5, 7.0]


def test_a_run_keeps_the_records_that_it_does_not_repeat() -> None:
    old = [{"equation": "a", "case": name, "seconds": 1} for name in ("x", "y", "gone")]
    new = [{"equation": "a", "case": "y", "seconds": 2}]
    assert merged(old, new, [("a", "y"), ("a", "x"), ("a", "never")]) == [new[0], old[0]]


def test_the_program_exits_with_one_where_a_case_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["burgers", "--output", str(tmp_path / "page.md"), "--record", str(tmp_path / "record.json")]
    monkeypatch.setitem(CASES, "burgers", ([partial(replace, FOUND)], []))
    assert main(given) == 0
    monkeypatch.setitem(CASES, "burgers", ([partial(replace, FOUND, figure=2.0)], []))
    assert main(given) == 1
    assert "**failed** check" in (tmp_path / "page.md").read_text()
    with pytest.raises(SystemExit):
        main(["heat"])


def test_the_program_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rollwave.solvers.validate", "--help"]
    assert "--full" in subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout


def test_the_recorded_page_has_every_case_and_all_pass(root: Path) -> None:
    document = json.loads((root / "benchmarks" / "results" / "validation.json").read_text())
    recorded = {(record["equation"], record["case"]) for record in document["cases"]}
    assert recorded == {(equation, name_of(case)) for equation, case in QUICK + FULL}
    assert all(record["passed"] for record in document["cases"])
    assert (root / "docs" / "validation.md").read_text() == markdown(document, "benchmarks/results/validation.json")


def test_exponents_of_a_damped_wave_are_its_decay_rates() -> None:
    """About `u = 0` every wave `cos kx`, `sin kx` decays at `nu k^2`."""
    grid = Grid((32,), (2 * math.pi,))
    u, spans = 1e-12 * torch.ones(3, 1, 32, dtype=torch.float64), {"time": 20, "transient": 400, "interval": 2.0}
    found = lyapunov_exponents(Burgers(0.05), grid, u, dt=1.0, count=4, zero_mean=True, **spans)
    assert found.mean.tolist() == pytest.approx([-0.05, -0.05, -0.2, -0.2], abs=1e-6)
    assert found.standard_error.max() < 1e-6


def test_a_conserved_mean_adds_an_exponent_of_zero_unless_it_is_held() -> None:
    grid, u = Grid((32,), (2 * math.pi,)), 1e-12 * torch.ones(2, 1, 32, dtype=torch.float64)
    settings = {"dt": 1.0, "time": 20, "transient": 600, "interval": 2.0, "count": 2}
    free = lyapunov_exponents(Burgers(0.05), grid, u, **settings)
    held = lyapunov_exponents(Burgers(0.05), grid, u, zero_mean=True, **settings)
    assert free.mean.tolist() == pytest.approx([0.0, -0.05], abs=1e-6)
    assert held.mean.tolist() == pytest.approx([-0.05, -0.05], abs=1e-6)


def test_a_conservative_wave_has_no_positive_exponent() -> None:
    grid = Grid((16,), (2 * math.pi,))
    u = KleinGordon(Linear()).initial_condition(grid, batch=4)
    found = lyapunov_exponents(KleinGordon(Linear()), grid, u, dt=0.1, time=200, count=1, stepper=StoermerVerlet)
    assert found.mean.abs().item() < 0.01


def test_twins_move_like_the_tangent_of_the_flow() -> None:
    grid, equation = Grid((32,), (22.0,)), KuramotoSivashinsky()
    scheme, u = ETDRK4(equation, grid, 0.1), 2 * equation.initial_condition(grid, batch=2, seed=1)
    q = torch.linalg.qr(torch.randn(2, 32, 3, dtype=torch.float64))[0]
    _, _, growth = push(scheme, u, q, 10)
    columns = [
        torch.func.jvp(lambda field: advance(scheme, field, 10), (u,), (q[..., i].reshape(u.shape),))[1].flatten(1)
        for i in range(3)
    ]
    r = torch.linalg.qr(torch.stack(columns, dim=-1))[1]
    assert torch.allclose(growth, torch.diagonal(r, dim1=-2, dim2=-1).abs().log(), atol=1e-5)


def test_the_dimension_is_that_of_kaplan_and_yorke() -> None:
    def exponents(*values: float) -> LyapunovExponents:
        return LyapunovExponents(torch.tensor([values]), torch.zeros(1, 1, len(values)))

    assert exponents(0.9, 0.0, -14.57).dimension() == pytest.approx(2 + 0.9 / 14.57)
    assert exponents(-1.0, -2.0).dimension() == 0
    with pytest.raises(ValueError, match="not negative; count more"):
        exponents(0.9, 0.0).dimension()


def test_trajectories_that_settled_are_left_out() -> None:
    growth = torch.full((100, 5, 1), 0.1)
    growth[40:, 2] = 0.0
    kept = LyapunovExponents(growth.mean(0), growth).chaotic(20)
    assert kept.mean.item() == pytest.approx(0.1)
    assert kept.log_growth.shape == (100, 4, 1)


@pytest.mark.parametrize(
    ("given", "message"), [({"count": 0}, "count"), ({"time": 0.1}, "time"), ({"dt": 0.3}, "divide")]
)
def test_settings_without_sense_are_refused(given: dict, message: str) -> None:
    grid = Grid((32,), (22.0,))
    settings = {"dt": 0.1, "time": 2.0} | given
    with pytest.raises(ValueError, match=message):
        lyapunov_exponents(KuramotoSivashinsky(), grid, torch.ones(1, 1, 32, dtype=torch.float64), **settings)

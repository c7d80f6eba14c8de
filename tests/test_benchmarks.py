"""What the speed measurements count, compare and tell. No time is asserted: times are what they are."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rollwave.solvers import (
    ETDRK2,
    ETDRK4,
    Burgers,
    Equation,
    Grid,
    KleinGordon,
    NonlinearSchrodinger,
    Stepper,
    StoermerVerlet,
    Strang,
)
from rollwave.solvers.run import run

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import peers
from speed import cases, counting, measure, precision, problems, report, timing

POINTS = 32


def advancing(scheme: type[Stepper], equation: Equation) -> Callable[[int], Tensor]:
    """Two trajectories on a small grid."""
    grid = Grid((POINTS,), (20.0,))
    bound, u = scheme(equation, grid, 1e-3), equation.initial_condition(grid, batch=2)
    return lambda steps: run(bound, u, steps, 1)


@pytest.mark.parametrize(
    ("scheme", "equation", "expected"),
    [
        (ETDRK4, Burgers(), {f"real {POINTS}": 8}),
        (ETDRK2, Burgers(), {f"real {POINTS}": 4}),
        (StoermerVerlet, KleinGordon(), {f"real {POINTS}": 2}),
        (Strang, NonlinearSchrodinger(), {f"complex {POINTS}": 2}),
    ],
)
def test_the_transforms_of_a_step_are_those_of_its_scheme(
    scheme: type[Stepper], equation: Equation, expected: dict[str, float]
) -> None:
    transforms, _ = counting.per_step(advancing(scheme, equation))
    assert counting.by_kind(transforms, batch=2) == expected


def test_a_transform_reads_its_input_and_writes_its_output_once_however_it_is_called() -> None:
    u, kept = torch.randn(3, 8, dtype=torch.float64), torch.empty(3, 5, dtype=torch.complex128)
    for call in (lambda: torch.fft.rfft(u), lambda: torch.fft.rfft(u, out=kept)):
        transforms, _ = counting.per_step(lambda steps, call=call: [call() for _ in range(steps)])
        (transform,) = transforms
        assert (transform.kind, transform.count, transforms[transform]) == ("real 8", 3, 1)
        assert transform.nbytes == 3 * (8 * 8 + 5 * 16)


def test_planes_are_counted_as_one_transform_each() -> None:
    u = torch.randn(2, 3, 8, 6)
    transforms, _ = counting.per_step(lambda steps: [torch.fft.rfft2(u) for _ in range(steps)])
    assert counting.by_kind(transforms, batch=2) == {"real 8x6": 3}


def test_what_happens_once_is_not_part_of_a_step() -> None:
    u = torch.randn(4, 16)
    transforms, moved = counting.per_step(lambda steps: (torch.fft.rfft(u), [u + u for _ in range(steps)]))
    assert not transforms
    assert moved == 3 * 4 * 16 * 4


def test_steps_of_unequal_transforms_are_refused() -> None:
    u = torch.randn(16)
    with pytest.raises(ValueError, match="not 4 times"):
        counting.per_step(lambda steps: [torch.fft.rfft(u) for _ in range(steps * steps // 8)])


def test_views_move_nothing_and_expanded_axes_are_read_once() -> None:
    u = torch.randn(4, 16, dtype=torch.float64)
    with counting.Tally() as tally:
        u.unsqueeze(0).expand(8, 4, 16)[0].reshape(64)
    assert tally.moved == 0
    with counting.Tally() as tally:
        u[:1].expand(4, 16).add(1.0)
    assert tally.moved == (16 + 64) * 8


def test_the_floor_makes_the_transforms_that_were_counted_and_moves_nothing_else() -> None:
    counted, _ = counting.per_step(advancing(ETDRK4, Burgers()))
    again, moved = counting.per_step(counting.replay(counted, torch.device("cpu")))
    assert again == counted
    assert moved == sum(transform.nbytes * count for transform, count in counted.items())


def candidate(field: Callable[[Any], Tensor], advance: Callable[[int], Any], lag: int = 0) -> peers.Candidate:
    return peers.Candidate(advance, field, trajectories=2, lag=lag)


def row(dt: float = 1e-2) -> tuple[cases.Case, Callable[[int], Tensor], Tensor]:
    """A row, and rollwave in it."""
    grid = Grid((POINTS,), (2 * math.pi,))
    case = cases.Case("Burgers", Burgers(), ETDRK4, grid, dt, batch=2, dtype=torch.float64)
    scheme, u = case.build(), case.initial()
    return case, lambda steps: run(scheme, u, steps, 1)[:, -1], u


def test_a_peer_agrees_only_where_its_fields_are_those_of_rollwave() -> None:
    case, rollwave, u = row()
    for field, agrees in ((lambda v: v, True), (lambda v: -v, False), (lambda v: v * (1 + 3e-6), False)):
        assert measure.compare(case, rollwave, u, candidate(field, rollwave))["agrees"] is agrees


def test_agreement_counts_the_steps_that_a_peer_is_behind() -> None:
    case, rollwave, u = row()
    behind = candidate(lambda v: v, lambda steps: rollwave(steps - 1), lag=1)
    assert measure.compare(case, rollwave, u, behind)["agrees"]
    assert not measure.compare(case, rollwave, u, candidate(behind.field, behind.advance))["agrees"]


def test_fields_that_have_hardly_moved_prove_no_agreement() -> None:
    case, rollwave, u = row(dt=1e-7)
    found = measure.compare(case, rollwave, u, candidate(lambda v: v, rollwave))
    assert found["difference"] == 0
    assert not found["agrees"]


def test_no_peer_is_imported_before_a_row_asks_for_it() -> None:
    script = "import sys, peers; print(peers.installed().keys() == peers.ADAPTERS.keys(), 'exponax' in sys.modules)"
    folder = Path(peers.__file__).parent.parent
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert result.stdout.split() == ["True", "False"]


def test_ratios_are_taken_within_a_round() -> None:
    assert timing.ratio([1.0, 10.0, 100.0], [2.0, 20.0, 200.0]) == {"median": 0.5, "first": 0.5, "third": 0.5}
    assert timing.spread([4.0, 1.0, 3.0, 2.0, 5.0]) == {"median": 3.0, "first": 2.0, "third": 4.0}


def test_programs_take_turns_and_every_other_round_runs_backwards() -> None:
    order: list[str] = []
    programs = {name: (lambda steps, name=name: order.append(name)) for name in "ab"}
    times = timing.interleave(programs, lambda call: (call(), 1.0)[1], rounds=2, seconds=0.1, fewest=4)
    assert order[-4:] == ["a", "b", "b", "a"]
    assert times == {"a": [0.25, 0.25], "b": [0.25, 0.25]}


def quick(root: Path, out: Path, *options: str) -> dict[str, Any]:
    """A run of the script on tiny sizes."""
    command = [sys.executable, str(root / "benchmarks" / "solvers.py"), "--quick", "--out", str(out), *options]
    subprocess.run([*command, "--threads", "1"], check=True, capture_output=True, cwd=out.parent)
    return json.loads(out.read_text())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_quick_path_writes_every_figure_of_every_row(device: str, root: Path, tmp_path: Path) -> None:
    measured = quick(root, tmp_path / "out.json", "--device", device, "--only", "Burgers")
    assert measured["dry_run"] is (device == "cuda" and not torch.cuda.is_available())
    assert {"device", "cores", "load", "versions", "peers"} < measured.keys()
    found = {(row["equation"], row["scheme"], row["dtype"], tuple(row["points"])) for row in measured["rows"]}
    schemes = [("Burgers", (32,)), ("vector Burgers", (16, 16))]
    assert found == {(e, s, t, n) for e, n in schemes for s in ("ETDRK4", "ETDRK2") for t in ("float32", "float64")}
    for line in measured["rows"]:
        assert 0 < line["bytes"]["transforms"] < line["bytes"]["moved"]
        assert line["transforms"]
        assert {"transforms", "rollwave"} <= line["seconds"].keys()
        for spread in (*line["seconds"].values(), *line["ratio"].values()):
            assert 0 < spread["first"] <= spread["median"] <= spread["third"]


def test_the_page_on_speed_is_what_the_measurements_say(root: Path) -> None:
    assert (root / "docs" / "speed.md").read_text() == report.page(root / "benchmarks" / "results")


def told(ratio: float, points: list[int], package: str = "exponax vmap", agrees: bool = True) -> str:
    """The line of a peer in the table."""
    one = {"median": 1e-6, "first": 1e-6, "third": 1e-6}
    line = {
        "equation": "Burgers",
        "scheme": "ETDRK4",
        "points": points,
        "dtype": "float64",
        "seconds": {"rollwave": one} | ({package: one} if agrees else {}),
        "ratio": {package: {"median": ratio, "first": ratio, "third": ratio}} if agrees else {},
        "peers": {package: {"agrees": agrees, "difference": 0.5, "way": "jit"}},
    }
    return report.beside_peers([line], {}).splitlines()[-1]


@pytest.mark.parametrize(
    ("ratio", "points", "package", "verdict"),
    [
        (1.2, [256], "exponax vmap", "met"),
        (1.2, [1024], "exponax vmap", "missed"),
        (1.0, [64, 64], "exponax map", "met"),
        (0.26, [256], "torchfsm", "missed"),
        (0.5, [128, 128], "torch-cfd", "met"),
        (0.16, [256], "amangkurat", "missed"),
    ],
)
def test_a_target_is_met_or_missed_by_the_median(ratio: float, points: list[int], package: str, verdict: str) -> None:
    assert told(ratio, points, package).endswith(f"| {verdict} |")


def test_a_peer_that_disagrees_gets_no_ratio() -> None:
    line = told(0.1, [256], agrees=False)
    assert "differs by 5e-01" in line
    assert line.endswith("| no ratio |")


@pytest.mark.parametrize("measured", [None, {"dry_run": True}])
def test_a_card_that_was_not_there_is_said_to_be_not_yet_measured(measured: dict[str, Any] | None) -> None:
    assert "not yet measured" in report.on_a_card(measured)


def test_the_cost_of_an_error_follows_the_power_law_between_points() -> None:
    points = [{"error": 1e-2, "seconds": 1.0}, {"error": 1e-6, "seconds": 10.0}]
    assert precision.cost(points, 1e-4) == pytest.approx(math.sqrt(10))
    assert precision.cost(points, 1e-1) == 1.0
    assert precision.cost(points, 1e-7) == math.inf
    front = precision.first({"slow": points, "fast": [{"error": 1e-5, "seconds": 2.0}]}, 1e-4)
    assert front is not None
    assert list(front["seconds"]) == ["fast", "slow"]
    assert precision.first({"slow": points}, 1e-9) is None


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_a_default_is_off_the_front_where_another_scheme_is_as_accurate_sooner(factor: float) -> None:
    problem = problems.problems()["Burgers"]()
    own = precision.attempt(problem, ETDRK4, 32, longest=0.01)
    assert own is not None
    other = [{"error": own["error"] / 2, "seconds": factor * own["seconds"]}]
    found = precision.place(problem, ETDRK4, 32, {"ETDRK4": [own], "Other": other})
    assert found["beaten_by"] == ("Other" if factor < 1 else None)


def test_a_survey_holds_every_scheme_that_suits_and_leaves_tolerances_as_they_were() -> None:
    problem = problems.problems()["Burgers"]()
    suited = {s.__name__: s for s in precision.schemes() if isinstance(problem.equation, s.requires)}
    before = {name: getattr(scheme, "tolerance", None) for name, scheme in suited.items()}
    found = precision.survey(problem, longest=0.002)
    assert found["schemes"].keys() == suited.keys()
    assert {name: getattr(scheme, "tolerance", None) for name, scheme in suited.items()} == before
    for points in found["schemes"].values():
        assert points
        assert all(point["seconds"] > 0 and 0 < point["error"] < 1 for point in points)


@pytest.mark.parametrize("label", ["Burgers", "Korteweg-de Vries", "nonlinear Schroedinger", "sine-Gordon"])
def test_exact_ends_are_where_the_default_scheme_arrives(label: str) -> None:
    problem = problems.problems()[label]()
    steps = math.ceil(problem.time / problem.equation.suggested_step(problem.grid))
    arrived = precision.attempt(problem, problem.equation.default_stepper, steps, longest=0.01)
    assert arrived is not None
    assert arrived["error"] < 1e-6

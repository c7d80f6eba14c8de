"""The study's harness: what a run measures, what chooses a parameter, what is done again, and what the page says."""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import study
from study_parts import columns, cost, page, verdicts, work
from study_parts.attractor import attractor_distances
from study_parts.budget import Steps, TimeOf
from study_parts.dynamics import leading_exponent
from study_parts.entries import FNO, JAWS_1, JAWS_2, ONE_STEP, PERMUTED, UNROLL_2, UNROLL_10, Entry, trained
from study_parts.fit import fit
from study_parts.fronts import front_measures
from study_parts.program import ROOT, composed, matched_width, parameters, told
from study_parts.ranking import median, ranked, ranking, recipes
from study_parts.rows import Found, found_row
from study_parts.runs import Row, load, of_entry
from study_parts.statistics_of import paired
from study_parts.systems import KLEIN_GORDON, KS_L22, System
from study_parts.tables import TABLES, Table
from study_parts.tolerance import rank_correlation, true_row_energies
from study_parts.words import HEAD
from study_parts.work import perform

from rollwave.solvers import Grid, KuramotoSivashinsky, simulate

# Results of nothing.
NOWHERE = Path("nowhere")
# Those that are kept.
RESULTS = ROOT / "benchmarks" / "results" / "study"
RECIPES = TABLES[-1].recipes
NOISE = trained("input noise", "objective=noise", parameter="objective.std", values=(0.003, 0.01, 0.03))
TINY = System(
    name="tiny",
    words="Kuramoto-Sivashinsky, too small to learn from",
    overrides=("dataset=ks_tiny", "data.batch_size=16", "data.validation_steps=8", "operator.depth=1"),
    wavenumber=4,
    points=32,
    width=8,
    steps=Steps(5),
    outside={"another seed": ("dataset.seed=1", "dataset.train=4")},
    fronts=True,
    extend=10,
)
TABLE = Table(
    number=4, title="Tiny", question="None.", entries=(ONE_STEP, NOISE), base="one step", systems=(TINY,), seeds=3
)


def row(entry: Entry = ONE_STEP) -> Row:
    return Row(TABLE, TINY, entry)


def write(results: Path, entry: Entry, index: int, **record: Any) -> None:
    """A record of the tuning run at the value of that index."""
    run = row(entry).tuning(NOWHERE)[index]
    work.keep(results / f"{run.id}.json", {"id": run.id, "seed": run.seed} | record)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Folders of data and results, with one run measured."""
    folder = tmp_path_factory.mktemp("study")
    threads = torch.get_num_threads()
    perform(row().tuning(NOWHERE)[1], folder / "data", folder / "results", test=True)
    yield folder / "data", folder / "results"
    torch.set_num_threads(threads)


def test_a_run_leaves_every_figure_of_the_page(places: tuple[Path, Path]) -> None:
    record = load(places[1], row().tuning(NOWHERE)[1])
    assert record is not None
    shown = (*columns.TRAJECTORY, *columns.ATTRACTOR, *columns.FRONTS, *columns.COST, *columns.outside("another seed"))
    # Trajectories of 48 frames have no step 50 and none of 100, and at equal steps nothing takes turns with another.
    lacking = {column.title for column in shown if column.figure(record) is None}
    assert lacking == {"nRMSE @50", "nRMSE @100", "FNO's steps a step"}
    # This equation conserves no momentum.
    assert [column.title for column in columns.DRIFTS if column.figure(record) is None] == ["momentum, drift"]
    assert record["training"]["steps"] == 5
    assert record["seed"] == 0
    assert record["threads"] == 1
    assert {"torch", "commit", "python"} <= set(record["versions"])
    assert record["config"]["optimizer"]["lr"] == row().entry.values[1]
    assert str(places[0]) not in json.dumps(record)


def test_at_equal_time_a_run_gets_the_steps_that_it_can_pay(places: tuple[Path, Path], tmp_path: Path) -> None:
    """A step of ten unrolled ones takes several times that of one."""
    run = replace(row(UNROLL_10).tuning(NOWHERE)[0], budget=TimeOf(20), seed=1)
    record = fit(run, places[0], tmp_path / "run")
    assert record["cost"]["relative"] > 3
    assert record["training"]["steps"] == TimeOf(20).steps(record["cost"]["relative"]) < 20
    again = fit(run, places[0], tmp_path / "again", steps=5)
    assert again["training"]["steps"] == 5


def test_what_time_is_told_by_gets_its_own_steps_at_every_learning_rate(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study_parts.fit.relative_time", lambda *steps: pytest.fail("a step beside itself"))
    for value in FNO.values[1:]:
        run = of_entry(FNO, row().system, value, 1, TimeOf(10))
        record = fit(run, places[0], tmp_path / str(value))
        assert (record["cost"]["relative"], record["training"]["steps"]) == (1.0, 10)


def test_floors_stand_beside_the_first_measured_run(places: tuple[Path, Path]) -> None:
    floors = page.floor_records(places[1], "tiny")
    assert set(floors) == {*page.FLOORS, "truth against truth"}
    solver, persistence = (columns.GMEAN.figure(floors[name]) for name in (next(iter(page.FLOORS)), "persistence"))
    assert solver is not None
    assert persistence is not None
    assert solver < 0.1 * persistence


def test_what_is_there_is_not_done_again(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = row().tuning(NOWHERE)[1]
    path = places[1] / f"{run.id}.json"
    before = path.stat().st_mtime_ns
    for name in ("fit", "measured"):
        monkeypatch.setattr(work, name, lambda *_: pytest.fail("done again"))
    perform(run, *places, test=True)
    assert path.stat().st_mtime_ns == before


def test_the_validation_split_chooses_whatever_the_test_split_says(tmp_path: Path) -> None:
    figures = [(0.3, 0.1), (0.2, 0.9), (None, 0.0)]
    for index, (valid, test) in enumerate(figures):
        assert row().chosen(tmp_path) is None
        write(tmp_path, ONE_STEP, index, validation={"nrmse": valid}, test={"nrmse": test})
    assert row().chosen(tmp_path) == ONE_STEP.values[1]


def test_a_row_with_a_number_of_its_own_takes_the_learning_rate_of_the_row_without_it(tmp_path: Path) -> None:
    assert row(JAWS_2).tuning(tmp_path) == []
    assert row(JAWS_2).chosen(tmp_path) is None
    for index in range(3):
        write(tmp_path, UNROLL_2, index, validation={"nrmse": 1.0 - index / 10})
    assert UNROLL_2.values[2] == 9e-3
    runs = row(JAWS_2).tuning(tmp_path)
    assert [run.overrides.count("optimizer.lr=9e-3") for run in runs] == [1, 1, 1]
    assert not any("lr=3e-3" in text for run in runs for text in run.overrides)


def test_the_permuted_control_has_the_weight_of_the_penalty_that_it_permutes(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path, ONE_STEP, index, validation={"nrmse": [0.3, 0.1, 0.2][index]})
    assert row(PERMUTED).chosen(tmp_path) is None
    for index in range(3):
        run = row(JAWS_1).tuning(tmp_path)[index]
        work.keep(tmp_path / f"{run.id}.json", {"validation": {"nrmse": [0.3, 0.2, 0.1][index]}})
    assert row(PERMUTED).chosen(tmp_path) == JAWS_1.values[2]
    assert "optimizer.lr=3e-3" in row(PERMUTED).final(tmp_path, 1e-2)[0].overrides


def test_a_learned_tolerance_is_compared_with_the_rows_of_the_solver() -> None:
    equation, grid = KuramotoSivashinsky(), Grid((32,), (22.0,))
    u = equation.initial_condition(grid, batch=2, seed=0).double()

    def truth(u: Tensor) -> Tensor:
        return simulate(equation, grid, u, interval=0.5, frames=1, dt=0.05)[:, 1]

    jacobians = [torch.autograd.functional.jacobian(lambda x: truth(x[None])[0], x).reshape(32, 32) for x in u]
    exact = torch.stack([J.square().sum(1)[None] for J in jacobians])
    # Of 32 products each row is known to sqrt(2 / 32).
    torch.testing.assert_close(true_row_energies(u, truth), exact, rtol=1.0, atol=0)
    assert abs(float((true_row_energies(u, truth) / exact).mean()) - 1) < 0.1
    assert rank_correlation(exact, exact.exp()) == pytest.approx(1)
    assert rank_correlation(exact, -exact) == pytest.approx(-1)


def test_a_training_that_is_not_measured_opens_no_test_split(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    from rollwave.datasets import TrajectoryDataset

    start = TrajectoryDataset.__init__

    def watched(self: Any, folder: Any, split: str, **keys: Any) -> None:
        opened.append(split)
        start(self, folder, split, **keys)

    monkeypatch.setattr(TrajectoryDataset, "__init__", watched)
    record = perform(row().tuning(NOWHERE)[0], places[0], tmp_path, test=False)
    assert set(opened) == {"train", "valid"}
    assert "test" not in record
    assert math.isfinite(record["validation"]["nrmse"])


def test_a_run_that_diverges_is_a_row_of_its_own(places: tuple[Path, Path], tmp_path: Path) -> None:
    entry = replace(ONE_STEP, method=(*ONE_STEP.method, "+trainer.detect_anomaly=false"), values=(1e30,))
    record = perform(row(entry).tuning(NOWHERE)[0], places[0], tmp_path, test=True)
    assert "stopped being finite" in record["diverged"]
    assert row(entry).chosen(tmp_path) is None
    found = found_row(row(entry), tmp_path)
    assert found.absent([columns.GMEAN]) == ["diverged"]


def test_the_page_says_what_is_missing_and_counts_what_is_there(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, run = tmp_path / "results", row().tuning(NOWHERE)[1]
    record = load(places[1], run)
    assert record is not None
    for index, nrmse in enumerate((0.5, 0.1, 0.5)):
        write(results, ONE_STEP, index, **(record | {"validation": {"nrmse": nrmse}}))
    work.keep(results / "floors-tiny.json", json.loads((places[1] / "floors-tiny.json").read_text()))
    monkeypatch.setattr(page, "TABLES", (TABLE,))
    assert page.write(results, tmp_path / "docs") == "study.md: 1 of 6"
    text = (tmp_path / "docs" / "study.md").read_text()
    assert "| one step | lr = 0.003 | 1 of 3 |" in text
    assert "| input noise | - | 0 of 3 | not yet run |" in text
    assert "*persistence*" in text
    assert "*truth against truth*" in text
    pictures = sorted(path.name for path in (tmp_path / "docs" / "figures").iterdir())
    assert pictures == ["study_4_tiny_attractor.png", "study_4_tiny_error.png"]


def test_a_difference_counts_only_beyond_the_spread_over_three_seeds() -> None:
    base = [1.0, 2.0, 4.0]
    assert paired([0.5, 1.0, 2.0], base).verdict == "better"
    assert paired([2.0, 4.0, 8.2], base).verdict == "worse"
    assert paired([0.9, 1.0, 4.4], base).verdict == "no difference beyond the spread"
    assert paired([0.5, 1.0], base[:2]).verdict == "too few seeds"
    assert paired([math.inf, 0.1], [1.0, 0.1]).ratio == pytest.approx(10.0)


@pytest.mark.parametrize(("seeds", "words"), [(3, "9 % of cases with three"), (5, "0.6 % with five")])
def test_rows_that_do_not_differ_are_told_apart_as_seldom_as_the_page_says(seeds: int, words: str) -> None:
    generator = torch.Generator().manual_seed(0)
    d = torch.randn(400_000, seeds, generator=generator)
    share = (d.median(1).values.abs() > d.amax(1) - d.amin(1)).double().mean().item()
    assert f"{100 * share:.1g} % " in words
    assert words in " ".join(HEAD.split())
    # The rule of the simulation is that of the page.
    for sample in d[:200].double():
        apart = sample.median().abs() > sample.amax() - sample.amin()
        pair = paired((0.1 * sample).exp().tolist(), [1.0] * seeds)
        assert (pair.verdict in ("better", "worse")) == apart


def test_five_pairs_of_one_sign_have_the_smallest_p_that_five_can_have() -> None:
    result = paired([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 4.0, 5.0, 6.0])
    assert result.p == 2 / 2**5
    assert result.delta == pytest.approx(-9 / 25)


def test_bytes_are_counted_once_a_storage_and_a_checkpoint_lowers_their_peak() -> None:
    layers = nn.ModuleList([nn.Linear(64, 64, bias=False) for _ in range(8)])
    x = torch.ones(256, 64)

    def loss(*, again: bool) -> Tensor:
        h = x
        for layer in layers:
            step = torch.utils.checkpoint.checkpoint(lambda v, f=layer: f(v).tanh().exp(), h, use_reentrant=False)
            h = step if again else layer(h).tanh().exp()
        return h.sum()

    plain, lean = (cost.step_cost(cost.Step(lambda again=again: loss(again=again), layers)) for again in (False, True))
    field = x.nbytes
    # Every layer keeps its input, the tanh and the exp; the last exp is the next layer's input, and `x` is the first.
    assert plain["saved_bytes"] == 17 * field
    assert lean["peak_bytes"] < 0.75 * plain["peak_bytes"]


def test_a_network_of_other_width_comes_as_near_in_size_as_whole_widths_allow(tmp_path: Path) -> None:
    cfg, target = composed(["operator=unet"], tmp_path, tmp_path), 20_000
    width = matched_width(target, cfg, ["operator.width={width}"], multiple=4, channels=1, dimensions=1)
    sizes = {}
    for near in (width - 4, width, width + 4):
        cfg.operator.width = near
        sizes[near] = parameters(cfg, 1, 1)
    assert width % 4 == 0
    assert min(sizes, key=lambda near: abs(sizes[near] - target)) == width


def test_the_time_of_a_reference_buys_as_many_steps_as_fit() -> None:
    assert TimeOf(1000).steps(1.0) == 1000
    assert TimeOf(1000).steps(2.5) == 400
    assert TimeOf(1000).steps(3.0) == 335
    assert TimeOf(10).steps(50.0) == 5
    assert Steps(1000).steps(0.3) == 1000


def test_two_steps_take_turns_so_that_a_machine_that_slows_down_slows_both(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slower, weight = [0.0], [1.0], nn.Parameter(torch.ones(()))
    monkeypatch.setattr(cost.time, "process_time", lambda: clock[0])

    def step(seconds: float) -> cost.Step:
        def loss() -> Tensor:
            slower[0] *= 1.01
            clock[0] += seconds * slower[0]
            return 1.0 * weight

        return cost.Step(loss, nn.ParameterList([weight]))

    assert cost.relative_time(step(0.3), step(0.1)) == pytest.approx(3.0, rel=0.1)
    # One after the other, which is what turns are for.
    first = step(0.3).seconds(cost.TURN * cost.ROUNDS)
    assert step(0.1).seconds(cost.TURN * cost.ROUNDS) > 0.5 * first


def waves(phases: Tensor, steps: int = 200, points: int = 32, amplitude: float = 1.0) -> Tensor:
    """Quasi-periodic travelling waves, `[b, t, 1, n]`."""
    t = torch.arange(steps)[:, None]
    x = 2 * math.pi * torch.arange(points) / points
    a, b = (phases[:, k, None, None] for k in range(2))
    return amplitude * (torch.sin(x - 0.3 * t + a) + 0.5 * torch.sin(2 * x - 0.71 * t + b))[:, :, None]


def test_each_distance_from_the_attractor_sees_what_it_is_for() -> None:
    phases = 2 * math.pi * torch.rand(8, 2, generator=torch.Generator().manual_seed(0))
    truth, other = waves(phases[:4]), waves(phases[4:])
    floor, larger = attractor_distances(other, truth), attractor_distances(1.5 * other, truth)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    frozen, shuffled = (
        attractor_distances(other[:, :1].expand_as(other), truth),
        attractor_distances(other[:, order], truth),
    )
    # Two of sixteen shells hold energy; the others lie at the floor.
    assert larger["log_spectrum"] == pytest.approx(2 / 16 * math.log10(1.5**2), rel=1e-3)
    assert larger["wasserstein"] > 3 * floor["wasserstein"]
    assert shuffled["hellinger_time"] > 2 * floor["hellinger_time"]
    assert frozen["state_space"] > floor["state_space"] + 1
    lost = attractor_distances(torch.full_like(other, torch.nan), truth)
    assert set(lost.values()) == {math.inf}


def test_fronts_that_are_right_have_ratio_one_and_a_shifted_steeper_one_is_told() -> None:
    x = 2 * math.pi * torch.arange(64) / 64
    decay = torch.linspace(1.0, 0.5, 5)[:, None]
    truth = (decay * -torch.sin(x))[None, :, None]
    same = front_measures(truth, truth)
    assert same == pytest.approx(
        {"steepness_ratio": 1, "variation_ratio": 1, "front_offset": 0, "decay_error": 0, "mass_drift": 0}, abs=1e-9
    )
    moved = front_measures(2 * truth.roll(8, -1) + 0.1, truth)
    assert moved["steepness_ratio"] == pytest.approx(2)
    assert moved["front_offset"] == pytest.approx(8 / 64)
    assert moved["decay_error"] == pytest.approx(3)
    assert moved["mass_drift"] > 0.1


class Doubling(nn.Module):
    """`z -> 2 z mod 1`, whose exponent is `log 2`."""

    class metadata:  # noqa: N801
        interval = 0.5

    def encode(self, u: Tensor) -> Tensor:
        return u

    def advance(self, z: Tensor) -> Tensor:
        # Doubling alone runs out of bits; an irrational factor of nearly two does not.
        return (1.999 * z[:, -1]) % 1.0


def test_the_exponent_of_a_map_that_stretches_by_a_factor_is_its_logarithm_over_the_interval() -> None:
    found = leading_exponent(Doubling(), torch.rand(3, 1, 4), 0.5)  # type: ignore[arg-type]
    assert found["mean"] == pytest.approx(math.log(1.999) / 0.5, rel=1e-5)


def test_every_row_composes_and_rows_of_one_training_share_their_runs(tmp_path: Path) -> None:
    system = KS_L22
    entries = {(e.operator, e.method): e for table in TABLES for e in table.entries if e.values}
    ready = [entry for entry in entries.values() if study.available(Row(TABLE, system, entry))]
    assert len(ready) > 10
    for entry in ready:
        run = of_entry(entry, system, entry.values[0], 0, system.steps)
        widths = [text.format(width=8) for text in run.widths]
        composed([*run.overrides, *widths, "trainer.max_steps=1"], tmp_path, tmp_path)
    methods, operators = TABLES[3], TABLES[1]
    assert Row(methods, system, ONE_STEP).tuning(NOWHERE) == Row(operators, system, FNO).tuning(NOWHERE)
    ids = [run.id for run in Row(methods, system, ONE_STEP).final(NOWHERE, 1e-3)]
    assert len(set(ids)) == 3


def test_a_flow_with_fewer_rows_has_the_base_and_the_one_that_is_its_recipe() -> None:
    for table in TABLES:
        assert set(table.fewer) <= {system.name for system in table.systems}
        there = {system.name: [entry.name for entry in table.on(system)] for system in table.systems}
        assert all(table.base in names for names in there.values())
        assert all(name in there[system.name] for system, name in table.recipes.values())
        assert all(set(wanted) < set(table.entries) for wanted in table.fewer.values())


def test_no_pair_is_compared_of_which_a_flow_lacks_a_row(places: tuple[Path, Path]) -> None:
    pairs = (("input noise", "one step"),)
    table = replace(TABLE, entries=(ONE_STEP, NOISE), fewer={TINY.name: (ONE_STEP,)}, pairs=pairs)
    (found,) = (found_row(Row(table, TINY, entry), places[1]) for entry in table.on(TINY))
    assert list(verdicts.compared([found], {})) == []


def test_a_row_keeps_what_its_equation_conserves_and_shares_runs_where_that_is_nothing(tmp_path: Path) -> None:
    table = next(table for table in TABLES if table.title == "Together")
    plain, kept = (table.entry(name) for name in ("DyMixOp, unroll K = 2", "DyMixOp, unroll K = 2, invariants"))
    found = {system.name: Row(table, system, kept).tuning(NOWHERE)[0] for system in table.systems}
    means, mass = found["ks_l22"], found["schrodinger"]
    assert "conserve=means" in means.overrides
    assert composed([*mass.overrides, "operator.width=8"], tmp_path, tmp_path).conserve.squares is None
    assert found["klein_gordon"].id == Row(table, KLEIN_GORDON, plain).tuning(NOWHERE)[0].id
    assert means.id != Row(table, KS_L22, plain).tuning(NOWHERE)[0].id


def test_verdicts_tell_better_from_worse_for_the_base_and_for_further_pairs(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows whose errors are half and twice the base's, one of them with half the memory."""
    record = load(places[1], row().tuning(NOWHERE)[1])
    assert record is not None
    push = replace(NOISE, name="pushforward", method=("objective=pushforward",), parameter="objective.max_steps")
    table = replace(TABLE, entries=(ONE_STEP, NOISE, push), pairs=(("pushforward", "input noise"),))
    factors = {"one step": 1.0, "input noise": 0.5, "pushforward": 2.0}
    for entry in table.entries:
        line = Row(table, TINY, entry)
        tuning = line.tuning(NOWHERE)
        for run in (*tuning, *line.final(NOWHERE, entry.values[0])):
            changed = json.loads(json.dumps(record)) | {"id": run.id, "seed": run.seed}
            changed["validation"] = {"nrmse": float(run == tuning[1]) + 0.1 * (run == tuning[2])}
            changed["test"]["sets"]["test"]["nrmse"]["1"] = factors[entry.name] * (1 + run.seed)
            changed["test"]["sets"]["another seed"]["scalars"]["nrmse_gmean100"] = {"median": 1.0}
            changed["cost"]["peak_bytes"] = 2.0**20 * factors[entry.name]
            work.keep(tmp_path / f"{run.id}.json", changed)
    monkeypatch.setattr(page, "TABLES", (table,))
    page.write(tmp_path, tmp_path / "docs")
    lines = (tmp_path / "docs" / "study.md").read_text().splitlines()

    def told(ours: str, theirs: str) -> list[str]:
        (line,) = (line for line in lines if line.startswith(f"| {ours} | {theirs} | 3 |"))
        return [cell.strip() for cell in line.split("|")[1:-1]]

    half = told("input noise", "one step")
    assert half[3] == "**better** 0.5 (0, p 0.25)"
    # The other errors are the same.
    assert half[4] == "1 (0, p 1)"
    assert half[-2] == "0.5"
    assert told("pushforward", "one step")[3] == "**worse** 2 (0, p 0.25)"
    assert told("pushforward", "input noise")[3] == "**worse** 4 (0, p 0.25)"
    assert "| nRMSE @1 | one step | input noise (0.5) | pushforward (2) | 0 |" in lines
    assert "| nRMSE @10 | one step | - | - | 2 |" in lines


def found(entry: Entry, *distances: float, bounded: float = 1.0, lost: int = 0) -> Found:
    """A row with measured seeds, and `lost` seeds that diverged after them."""
    sets = [{"attractor": {"state_space": value}, "survival": {"bounded": bounded}} for value in distances]
    records = tuple(
        {"seed": s, "test": {"sets": {"test": one}}, "cost": {"peak_bytes": 1}} for s, one in enumerate(sets)
    )
    diverged = tuple({"seed": len(sets) + s, "diverged": "yes"} for s in range(lost))
    return Found(row(entry), 1e-3, records, diverged, len(sets) + lost)


def test_nothing_below_the_distance_of_the_truth_from_itself_is_a_verdict() -> None:
    one, other, state_space = found(ONE_STEP, 0.1, 0.1, 0.1), found(NOISE, 0.05, 0.05, 0.05), columns.DISTANCES[2]
    above, below = (verdicts.compare(other, one, state_space, floor) for floor in (0.09, 0.11))
    assert above is not None
    assert below is not None
    assert (above.verdict, below.verdict) == ("better", "below the floor")
    assert verdicts.cell(below) == "0.5 (0, p 0.25), below the floor"


def test_rows_that_leave_their_bounds_or_diverge_are_named_and_have_no_cost() -> None:
    whole, half, gone = found(ONE_STEP, 0.1, 0.1), found(NOISE, 0.1, bounded=0.5, lost=1), found(UNROLL_2, lost=2)
    assert verdicts.unbounded([whole, half, gone]) == "input noise (2 of 2), unroll K = 2 (2 of 2)"
    assert verdicts.unbounded([whole]) == "-"
    assert verdicts.cost(half, whole, columns.PEAK) == "1"
    assert verdicts.cost(gone, whole, columns.PEAK) == verdicts.cost(gone, gone, columns.PEAK) == "-"


def test_a_longer_table_takes_that_many_times_the_steps_and_chooses_at_the_plain_ones() -> None:
    longer = Row(replace(TABLE, longer=5), TINY, ONE_STEP)
    assert [run.budget for run in longer.final(NOWHERE, 1e-3)] == [Steps(25)] * 3
    assert longer.tuning(NOWHERE) == row().tuning(NOWHERE)
    assert longer.final(NOWHERE, 1e-3)[0].id != row().final(NOWHERE, 1e-3)[0].id


PROGRAM = """
import subprocess
import sys
sys.path[:0] = {paths!r}
import study
from dataclasses import replace
from test_benchmarks_study import NOISE, ONE_STEP, TABLE, TINY
entries = replace(ONE_STEP, values=(3e-3,)), replace(NOISE, values=(-1.0,))
study.order = lambda: [(replace(TABLE, entries=entries, seeds=1), TINY)]
study.main()
"""


def test_a_run_has_a_process_of_its_own_and_one_that_fails_is_named(root: Path, tmp_path: Path) -> None:
    """A width below zero of the noise is a mistake, not a divergence: it leaves no record, and the others go on."""
    words = ["--run", "--data", str(tmp_path / "data"), "--results", str(tmp_path / "results")]
    program = PROGRAM.format(paths=[str(root / "benchmarks"), str(root / "tests")])
    result = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert result.returncode == 0, result.stderr
    done = row(replace(ONE_STEP, values=(3e-3,))).tuning(NOWHERE)[0]
    record = load(tmp_path / "results", done)
    assert record is not None
    assert "test" in record
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["floors-tiny.json", f"{done.id}.json"]
    misspelt = subprocess.run(
        [sys.executable, "-c", program, *words, "--rows", "one stop"], capture_output=True, text=True, cwd=tmp_path
    )
    assert misspelt.returncode == 1
    assert "there is no ['one stop']" in misspelt.stderr
    (failed,) = (line for line in result.stdout.splitlines() if "FAILED" in line)
    assert "noise" in failed
    assert "got -1" in failed
    assert "got -1" in (tmp_path / "data" / "logs" / f"{failed.split()[2]}.txt").read_text()


@pytest.mark.parametrize("wrong", ["2", "0/2", "3/2", "a/b", "1/2/3"])
def test_a_share_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(SystemExit, match=f"takes k/n with 1 <= k <= n, got {wrong}"):
        study.shares(argparse.Namespace(workers=wrong, table=9, rows=None, system=None))


def test_the_best_rows_stand_first_and_rows_of_other_budgets_do_not_stand_at_all(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    record = load(places[1], row().tuning(NOWHERE)[1])
    assert record is not None
    longer = replace(
        TABLE, number=7, entries=(replace(ONE_STEP, name="longer", values=(3e-3,)),), base="longer", longer=5
    )
    short = replace(TABLE, entries=(replace(ONE_STEP, values=(3e-3,)), replace(NOISE, values=(0.01,))))
    scores = {"one step": (0.5, 0.1, 0.3), "input noise": (0.2, 0.25, 0.1), "longer": (0.01, 0.01, 0.01)}
    for table in (short, longer):
        for entry in table.entries:
            line = Row(table, TINY, entry)
            for run, nrmse in zip(line.final(NOWHERE, entry.values[0]), scores[entry.name], strict=True):
                work.keep(tmp_path / f"{run.id}.json", record | {"id": run.id, "validation": {"nrmse": nrmse}})
    lines = ranking((short, longer), tmp_path).splitlines()[2:]
    assert lines == [
        "| tiny | input noise | 4 | 3 | 0.2 [0.1, 0.25] |",
        "| tiny | one step | 4 | 3 | 0.3 [0.1, 0.5] |",
    ]
    joined = replace(short.entry("input noise"), method=("objective=unrolled",))
    together = replace(TABLE, number=9, entries=(joined,), recipes={"best_tiny": (TINY, "input noise")})
    assert recipes((short, longer, together), tmp_path).count("\n") == 2
    line = Row(together, TINY, together.entries[0])
    for run in line.final(NOWHERE, line.entry.values[0]):
        work.keep(tmp_path / f"{run.id}.json", record | {"id": run.id, "validation": {"nrmse": 0.1}})
    (told_of,) = recipes((short, longer, together), tmp_path).splitlines()[2:]
    assert told_of == "| `best_tiny` | input noise | 3 | 0.1 [0.1, 0.1] | input noise | 0.2 [0.1, 0.25] | 0.5 |"


def test_every_recipe_of_the_study_is_an_experiment_and_the_other_way_round() -> None:
    experiments = (ROOT / "configs" / "experiment").glob("best_*.yaml")
    assert sorted(RECIPES) == sorted(path.stem for path in experiments)


@pytest.mark.parametrize("experiment", RECIPES)
def test_a_recipe_is_the_row_of_the_study_that_it_says_it_is(experiment: str, tmp_path: Path) -> None:
    """At the value that validation chose, to the last key of its config but for the dataset's name and what is shown
    while it runs.
    """
    system, name = RECIPES[experiment]
    line = Row(TABLES[-1], system, TABLES[-1].entry(name))
    value = line.chosen(RESULTS)
    assert value is not None
    record = load(RESULTS, line.final(RESULTS, value)[0])
    assert record is not None
    config = told(composed([f"experiment={experiment}"], tmp_path, tmp_path))
    wanted = record["config"]
    for key in ("enable_progress_bar", "log_every_n_steps"):
        del config["trainer"][key], wanted["trainer"][key]
    del config["dataset"]["name"], wanted["dataset"]["name"]
    # Records keep eight digits.
    assert config["dataset"].pop("lengths") == pytest.approx(wanted["dataset"].pop("lengths"))
    assert config == wanted


@pytest.mark.parametrize("experiment", RECIPES)
def test_a_recipe_rolls_out_better_than_every_row_of_the_other_tables(experiment: str) -> None:
    system, name = RECIPES[experiment]
    *others, together = TABLES
    own = found_row(Row(together, system, together.entry(name)), RESULTS)
    assert len(own.records) >= 3
    beside = ranked(others, system, RESULTS)
    assert len(beside) >= 2
    assert median(own) < median(beside[0])

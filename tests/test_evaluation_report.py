"""From an emulator and a dataset to the files of a report."""

import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from rollwave.datasets import Recipe, ensure_dataset, open_source
from rollwave.evaluation import Settings, evaluate, load_emulator
from rollwave.evaluation.diagnostic_tables import WAVES, budget_table, wave_table
from rollwave.evaluation.report import number, rows
from rollwave.evaluation.waves import SERIES
from rollwave.operators import FNO, Emulator, EmulatorMetadata, Normalizer
from rollwave.solvers import Grid, KleinGordon, Linear

POTENTIAL = {"_target_": "rollwave.solvers.Linear", "mass": 1.0}
EQUATION = {"_target_": "rollwave.solvers.KleinGordon", "potential": POTENTIAL}


class ExactWaves(nn.Module):
    """Linear Klein-Gordon waves after 0.25 time units, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, u: Tensor) -> Tensor:
        flow = KleinGordon(Linear()).linear_flow(Grid((32,), (10.0,), torch.float32), 0.25)
        return self.factor * flow(u[:, -2:])


def recipe(**changes: Any) -> Recipe:
    values = {
        "name": "waves", "equation": EQUATION, "points": (32,), "lengths": (10.0,), "dt": 0.0025, "interval": 0.25,
        "frames": 6, "test_frames": 22, "train": 2, "valid": 1, "test": 3, "block": 4, "lyapunov_exponent": 0.5,
        "certificate": {"samples": 0},
    }  # fmt: skip
    return Recipe.from_dict(values | changes)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_dataset(recipe(), tmp_path_factory.mktemp("data"), workers=1)


def emulator_of(folder: Path, network: nn.Module, history: int = 1, **changes: Any) -> Emulator:
    data = open_source(folder).metadata
    described = {
        "equation": data.equation, "channels": data.channels, "points": data.points, "lengths": data.lengths,
        "interval": data.interval, "data_hash": data.data_hash,
    }  # fmt: skip
    ones = [1.0] * len(data.channels)
    wide = [-1e9] * len(ones), [1e9] * len(ones)
    return Emulator(
        network,
        normalizer=Normalizer([0.0] * len(ones), ones, ones, *wide),
        metadata=EmulatorMetadata(**(described | changes)),
        history=history,
        residual=False,
    )


@pytest.fixture(scope="module")
def report(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A model that is one percent too strong at every step."""
    output = tmp_path_factory.mktemp("report")
    settings = Settings(batch_size=2, device="cpu", extend=5, animation="gif")
    emulator = emulator_of(dataset, ExactWaves(1.01))
    return output, evaluate(emulator, dataset, output=output, settings=settings, command="again")


def test_the_numbers_are_those_of_the_model(report: tuple[Path, dict[str, Any]]) -> None:
    scalars = report[1]["candidates"]["model"]["scalars"]
    curve = report[1]["candidates"]["model"]["curves"]["nrmse"]["median"]
    # One percent compounds: the first frame, which is given, is not among the 21.
    assert curve == pytest.approx([1.01**step - 1 for step in range(1, 22)], rel=2e-2)
    assert scalars["nrmse_last"]["median"] == pytest.approx(1.01**21 - 1, rel=2e-2)
    assert scalars["correlation_time_0.8"]["median"] == 21 * 0.25
    assert scalars["correlation_time_0.8"]["censored"] == 1
    # Energy is a square: 1.01^42 - 1.
    assert scalars["drift_energy_last"]["median"] == pytest.approx(1.01**42 - 1, rel=2e-2)
    assert len(scalars["nrmse_last"]["values"]) == 3
    vpt = scalars["valid_prediction_time"]["median"]
    assert scalars["valid_prediction_time_lyapunov"]["median"] == pytest.approx(0.5 * vpt)


def test_the_baselines_stand_beside_the_model(report: tuple[Path, dict[str, Any]]) -> None:
    candidates = report[1]["candidates"]
    assert set(candidates) == {"model", "persistence", "climatology", "solver"}
    assert candidates["solver"]["scalars"]["nrmse_last"]["median"] < 1e-5
    assert candidates["persistence"]["scalars"]["nrmse_last"]["median"] > 0.5
    assert candidates["climatology"]["scalars"]["correlation_time_0.8"]["median"] == 0
    assert all(candidate["fraction_finite"] == 1 for candidate in candidates.values())


def test_the_table_shows_the_numbers_of_metrics_json(report: tuple[Path, dict[str, Any]]) -> None:
    output, metrics = report
    assert json.loads((output / "metrics.json").read_text()) == metrics
    table = [line.split("|")[1:-1] for line in (output / "report.md").read_text().splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in table[0]] == ["", "model", "persistence", "climatology", "perturbed solver"]
    columns = ["model", "persistence", "climatology", "solver"]
    assert len(rows(metrics)) >= 12
    for (key, heading), row in zip(rows(metrics), table[2:], strict=False):
        assert row[0].strip() == heading
        for name, cell in zip(columns, row[1:], strict=True):
            entry = metrics["candidates"][name]["scalars"][key]
            shown = re.findall(r"[-+.\de]+|inf", cell.replace(">=", ""))
            assert shown == [number(entry[quantile]) for quantile in ("median", "q25", "q75")]
    assert ">= 5.25" in (output / "report.md").read_text()


def test_every_candidate_has_wave_diagnostics_in_a_table_of_their_own(report: tuple[Path, dict[str, Any]]) -> None:
    output, metrics = report
    assert metrics["dataset"]["wave_density"] == "energy"
    text = (output / "report.md").read_text()
    assert text.count("**Wave diagnostics of the energy density**") == 1
    assert "**Budgets**" not in text
    table = wave_table(metrics).splitlines()
    assert wave_table(metrics) in text
    # 21 frames afford patterns of two.
    assert [line.split("|")[1].strip() for line in table[2:]] == list(WAVES.values())
    scalars = {name: candidate["scalars"] for name, candidate in metrics["candidates"].items()}
    # A factor changes no distribution; the peak grows with its square, 1.01^(2 step) for each of 21 steps.
    assert scalars["model"]["wave_entropy_error"]["median"] < 1e-5
    growth = sum(1.01 ** (2 * step) - 1 for step in range(1, 22)) / 21
    assert scalars["model"]["wave_peak_error"]["median"] == pytest.approx(growth, rel=0.1)
    assert scalars["model"]["wave_peak_delta"]["median"] > 0.1
    assert scalars["solver"]["wave_entropy_error"]["median"] < 1e-5
    assert abs(scalars["solver"]["wave_entropy_delta"]["median"]) < 0.05
    # Climatology is nearly constant in space: spread over all of the box, more than any truth.
    assert scalars["climatology"]["wave_entropy_delta"]["median"] == 1
    assert set(metrics["truth"]["curves"]) == {f"wave_{name}" for name in SERIES}
    assert max(metrics["truth"]["curves"]["wave_entropy"]["median"]) < math.log(10)


def test_budgets_stand_beside_those_of_the_truth(tmp_path: Path) -> None:
    burgers = recipe(name="fronts", equation={"_target_": "rollwave.solvers.Burgers"}, lengths=(6.0,), interval=0.1)
    folder = ensure_dataset(burgers, tmp_path / "data", workers=1)
    metrics = evaluate(emulator_of(folder, nn.Identity()), folder, output=tmp_path, settings=Settings(device="cpu"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in budget_table(metrics).splitlines()]
    assert rows[0] == ["", "truth", "model", "persistence", "climatology", "perturbed solver"]
    headings = ["energy: dissipation, mean", "energy: dissipation, relative error", "energy: residual"]
    assert [row[0] for row in rows[2:]] == headings
    assert rows[3][1] == "-"
    truth, candidates = metrics["truth"]["scalars"], metrics["candidates"]
    # A model that repeats its input is persistence.
    assert rows[3][2] == rows[3][3]
    assert truth["budget_energy_dissipation_mean"]["median"] < 0
    assert truth["budget_energy_residual"]["median"] < 1e-3
    assert candidates["solver"]["scalars"]["budget_energy_residual"]["median"] < 1e-3
    assert candidates["persistence"]["scalars"]["budget_energy_residual"]["median"] > 0.1
    text = (tmp_path / "report.md").read_text()
    assert "**Budgets**" in text
    assert "Wave diagnostics" not in text
    assert not (tmp_path / "waves.png").exists()
    # Results that were kept without the truth, or before there were budgets, still have tables.
    assert budget_table({key: metrics[key] for key in ("candidates", "dataset")}).startswith("| | model |")
    for candidate in candidates.values():
        scalars = candidate["scalars"]
        candidate["scalars"] = {key: scalars[key] for key in scalars if not key.startswith("budget_")}
    assert budget_table(metrics) == wave_table(metrics) == ""


def test_terms_that_are_zero_everywhere_are_left_out() -> None:
    zero, one = ({"q25": value, "median": value, "q75": value} for value in (0.0, 1.0))
    terms = {"budget_energy_drag_mean": zero, "budget_energy_drag_error": zero, "budget_energy_residual": zero}
    metrics = {"candidates": {"model": {"scalars": terms}, "persistence": {"scalars": terms}}}
    assert "drag" not in budget_table(metrics)
    assert "residual" in budget_table(metrics)
    metrics["candidates"]["persistence"] = {"scalars": terms | {"budget_energy_drag_mean": one}}
    assert "energy: drag, mean" in budget_table(metrics)


def test_an_emulator_of_another_box_is_refused(dataset: Path, tmp_path: Path) -> None:
    emulator = emulator_of(dataset, ExactWaves(1.0), lengths=(20.0,))
    with pytest.raises(ValueError, match=r"lengths \(20\.0,\), the data has \(10\.0,\)"):
        evaluate(emulator, dataset, output=tmp_path, settings=Settings(device="cpu"))


def test_only_what_is_conserved_drifts(report: tuple[Path, dict[str, Any]]) -> None:
    metrics = report[1]
    assert {"energy drift", "momentum drift"} <= {heading for _, heading in rows(metrics)}
    damped = metrics | {"dataset": metrics["dataset"] | {"conserved": ["momentum"]}}
    assert {"energy difference", "momentum drift"} <= {heading for _, heading in rows(damped)}


def test_facts_are_reported(report: tuple[Path, dict[str, Any]], dataset: Path) -> None:
    output, metrics = report
    text = (output / "report.md").read_text()
    assert metrics["dataset"]["data_hash"] == open_source(dataset).metadata.data_hash
    assert metrics["emulator"]["network"] == "ExactWaves"
    assert metrics["survival"] == {"steps": 26, "finite": 1.0, "bounded": 1.0, "bound": 5.0}
    assert metrics["candidates"]["model"]["seconds_per_step"] > 0
    assert metrics["dataset"]["data_hash"] in text
    assert "    again" in text


def test_figures_decode_and_are_not_blank(report: tuple[Path, dict[str, Any]]) -> None:
    output, _ = report
    text = (output / "report.md").read_text()
    names = ["rollout_phi.png", "rollout_phi_t.png", "error_growth.png", "spectra.png", "invariants.png"]
    names += ["densities.png", "waves.png", "rollout.gif"]
    assert re.findall(r"\]\(([\w.]+)\)", text) == names
    for name in names:
        with Image.open(output / name) as image:
            pixels = np.asarray(image.convert("L"), dtype=float)
            assert min(pixels.shape) > 150
            assert pixels.std() > 8
    with Image.open(output / "rollout.gif") as image:
        assert image.n_frames == 21
        frames = []
        for number in (0, 12):
            image.seek(number)
            pixels = np.asarray(image.convert("L"), dtype=float)
            frames.append(pixels[len(pixels) // 3 : 2 * len(pixels) // 3])  # the curves, without the time above them
        assert np.abs(frames[1] - frames[0]).max() > 50


def test_history_frames_are_left_out(dataset: Path, tmp_path: Path) -> None:
    emulator = emulator_of(dataset, ExactWaves(1.01), history=3)
    metrics = evaluate(emulator, dataset, output=tmp_path, settings=Settings(steps=4, perturbation=0.0))
    assert metrics["protocol"]["rollouts"] == 9  # three disjoint windows of seven frames in each of 22
    assert set(metrics["candidates"]) == {"model", "persistence", "climatology"}
    curve = metrics["candidates"]["model"]["curves"]["nrmse"]["median"]
    assert curve == pytest.approx([1.01**step - 1 for step in range(1, 5)], rel=2e-2)
    assert not (tmp_path / "rollout.gif").exists()


def test_a_model_that_diverges_is_reported_not_hidden(dataset: Path, tmp_path: Path) -> None:
    emulator = emulator_of(dataset, ExactWaves(1e6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = evaluate(emulator, dataset, output=tmp_path, settings=Settings(perturbation=0.0))
    model = metrics["candidates"]["model"]
    assert model["fraction_finite"] == 0
    assert model["scalars"]["nrmse_last"]["median"] == "inf"
    assert model["scalars"]["nrmse_gmean100"]["median"] == pytest.approx(100)
    assert model["scalars"]["valid_prediction_time"]["median"] == 0
    assert "| 0 % |" in (tmp_path / "report.md").read_text()


def test_an_emulator_of_another_equation_is_refused(dataset: Path, tmp_path: Path) -> None:
    emulator = emulator_of(dataset, ExactWaves(1.0), equation="burgers")
    with pytest.raises(ValueError, match="trained on equation 'burgers', the data has 'klein_gordon'"):
        evaluate(emulator, dataset, output=tmp_path)


def test_an_emulator_of_a_longer_interval_skips_frames(dataset: Path, tmp_path: Path) -> None:
    emulator = emulator_of(dataset, ExactWaves(1.0), interval=0.75)
    metrics = evaluate(emulator, dataset, output=tmp_path, settings=Settings(perturbation=0.0))
    assert (metrics["protocol"]["time_stride"], metrics["protocol"]["steps"]) == (3, 7)
    assert metrics["candidates"]["persistence"]["scalars"]["correlation_time_0.8"]["values"][0] % 0.75 == 0
    assert metrics["protocol"]["interval"] == 0.75
    with pytest.raises(ValueError, match=r"interval of 0\.6"):
        evaluate(emulator_of(dataset, ExactWaves(1.0), interval=0.6), dataset, output=tmp_path)


def test_a_horizon_beyond_the_truth_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="need 23 stored frames, the trajectories of split 'test' have 22"):
        evaluate(emulator_of(dataset, ExactWaves(1.0)), dataset, output=tmp_path, settings=Settings(steps=22))


@pytest.mark.parametrize(
    "wrong",
    [{"animation": "avi"}, {"steps": 0}, {"batch_size": 0}, {"perturbation": -1.0}, {"split": "tset"}],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_a_two_dimensional_file_without_a_recipe_has_no_solver(tmp_path: Path) -> None:
    x = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    wave = np.sin(x)[None, None, :, None] * np.cos(x)[None, None, None, :] * np.ones((10, 5, 1, 1))
    with h5py.File(tmp_path / "still.hdf5", "w") as file:
        file["tensor"] = wave.astype(np.float32)
        for name, axis in (("x-coordinate", x), ("y-coordinate", x), ("t-coordinate", np.arange(5) * 0.5)):
            file[name] = axis.astype(np.float32)
    emulator = emulator_of(tmp_path / "still.hdf5", FNO(1, 1, width=4, modes=(2, 2), depth=1), equation="still")
    metrics = evaluate(emulator, tmp_path / "still.hdf5", output=tmp_path / "out")
    assert metrics["candidates"]["persistence"]["scalars"]["nrmse_last"]["median"] == 0
    assert "solver" not in metrics["candidates"]
    assert "holds no recipe" in (tmp_path / "out" / "report.md").read_text()
    assert not (tmp_path / "out" / "invariants.png").exists()
    with Image.open(tmp_path / "out" / "rollout.png") as image:
        assert np.asarray(image.convert("L"), dtype=float).std() > 8


def test_an_emulator_is_found_in_what_a_user_calls_a_checkpoint(dataset: Path, tmp_path: Path) -> None:
    emulator = emulator_of(dataset, FNO(2, 2, width=4, modes=(2,), depth=1))
    emulator.save_pretrained(tmp_path / "run" / "emulator")
    u = torch.randn(1, 1, 2, 32)
    for checkpoint in ("run", "run/emulator", "run/emulator/model.safetensors"):
        assert torch.equal(load_emulator(tmp_path / checkpoint).rollout(u, 2), emulator.rollout(u, 2))
    (tmp_path / "empty").mkdir()
    for checkpoint, why in (("empty", "holds none of them"), ("nowhere", "does not exist")):
        with pytest.raises(FileNotFoundError, match=why):
            load_emulator(tmp_path / checkpoint)

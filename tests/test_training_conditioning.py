"""All pairs of a window, and one operator for several coefficients: what training gives the network and asks of it."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import test_configs
import torch
from host_numbers import FromHost
from lightning import Trainer
from torch import Tensor, nn
from training_helpers import small_task

from rollwave.datasets import (
    DatasetError,
    Mixture,
    Recipe,
    TrajectoryDataModule,
    TrajectoryDataset,
    ensure_dataset,
    ensure_variants,
    load_recipe,
    open_source,
)
from rollwave.evaluation import Settings, evaluate
from rollwave.operators import FNO, Conditioned, Conditions, Emulator, EmulatorMetadata, Normalizer
from rollwave.training import AllPairs, Draws, OneStep

DRAWS = Draws(seed=1, step=2)
train = test_configs.train


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).square().flatten(1).mean(1)


class Told(nn.Module):
    """The mean of the frames times 1 + what it is told, so that each pair is computed by hand."""

    def __init__(self, fields: int) -> None:
        super().__init__()
        self.fields = fields

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.fields].mean(1, keepdim=True) * (1 + x[:, self.fields :].sum(1, keepdim=True))


def told(history: int = 1, conditions: Conditions | None = None, network: nn.Module | None = None) -> Emulator:
    metadata = EmulatorMetadata("told", ("u",), (8,), (1.0,), 1.0)
    normalizer = Normalizer([0.0], [1.0], [1.0], [-1.0], [1.0])
    network = network or Told(history)
    return Emulator(
        network, normalizer=normalizer, metadata=metadata, history=history, residual=False, conditions=conditions
    )


@pytest.mark.parametrize("history", [1, 2])
def test_all_pairs_of_two_frames_are_one_step(history: int) -> None:
    z, emulator = torch.randn(3, history + 1, 1, 8), told(history, network=FNO(history, 1, width=4, modes=(2,)))
    pairs, one = AllPairs(2), OneStep()
    assert pairs.horizon == one.horizon
    assert torch.equal(pairs(emulator, z, loss=squared, draws=DRAWS), one(emulator, z, loss=squared, draws=DRAWS))


@pytest.mark.parametrize("history", [1, 3])
def test_all_pairs_are_the_mean_over_every_earlier_and_later_frame(history: int) -> None:
    z = torch.randn(3, history + 3, 1, 8)
    emulator = told(history, Conditions(lead=3))
    terms = []
    for i, j in itertools.combinations(range(4), 2):
        factor = 1 + torch.tensor(float(j - i)).log() / torch.tensor(3.0).log()
        terms.append(squared(factor * z[:, i : i + history].mean(1), z[:, history - 1 + j]))
    value = AllPairs(4)(emulator, z, loss=squared, draws=DRAWS)
    torch.testing.assert_close(value, torch.stack(terms).mean(0))
    # Some of the pairs, others at each step, with the mean of all.
    drawn = [AllPairs(4, pairs=2)(emulator, z, loss=squared, draws=Draws(0, step)) for step in range(300)]
    possible = [(a + b) / 2 for a, b in itertools.combinations(terms, 2)]
    assert all(min(float((value - wanted).abs().max()) for wanted in possible) < 1e-5 for value in drawn)
    torch.testing.assert_close(torch.stack(drawn).mean(0), value, rtol=0.15, atol=0)


def test_pairs_of_a_sample_share_its_parameters() -> None:
    z, viscosity = torch.randn(4, 4, 1, 8), torch.tensor([0.1, 0.2, 0.5, 1.0])
    emulator = told(1, Conditions(parameters={"viscosity": (0.1, 1.0)}, lead=3))
    with emulator.given({"viscosity": viscosity}):
        together = AllPairs(4)(emulator, z, loss=squared, draws=DRAWS)
    for sample in range(4):
        with emulator.given({"viscosity": float(viscosity[sample])}):
            alone = AllPairs(4)(emulator, z[sample : sample + 1], loss=squared, draws=DRAWS)
        torch.testing.assert_close(alone[0], together[sample])


def test_pairs_that_the_emulator_cannot_bridge_are_refused() -> None:
    with pytest.raises(ValueError, match=r"set conditions\.lead=3"):
        AllPairs(4)(told(1, Conditions(lead=2)), torch.randn(2, 4, 1, 8), loss=squared, draws=DRAWS)
    for wrong in ({"frames": 1}, {"frames": 3, "pairs": 4}, {"frames": 3, "pairs": 0}):
        with pytest.raises(ValueError, match="must be"):
            AllPairs(**wrong)


def burgers(root: Path, viscosity: float, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "name": f"burgers_{viscosity}", "equation": {"_target_": "rollwave.solvers.Burgers", "viscosity": viscosity},
        "points": [32], "lengths": [6.0], "dt": 0.05, "interval": 0.1, "frames": 7, "train": 4, "valid": 2, "test": 2,
        "block": 4, "certificate": {"samples": 0, "tolerance": None},
    }  # fmt: skip
    return ensure_dataset(Recipe.from_dict(values | changes), root, workers=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("burgers")
    return [burgers(root, 0.5), burgers(root, 0.05, train=6)]


def test_a_mixture_is_its_parts_with_their_coefficients(folders: list[Path]) -> None:
    parts = [TrajectoryDataset(folder, "train", frames=3) for folder in folders]
    mixture = Mixture(parts, ["viscosity"])
    assert len(mixture) == 4 * 5 + 6 * 5
    for index, (part, inside) in {0: (0, 0), 19: (0, 19), 20: (1, 0), -1: (1, 29)}.items():
        window, parameters = mixture[index]
        assert torch.equal(window, parts[part][inside])
        assert parameters.tolist() == pytest.approx([(0.5, 0.05)[part]])
    everything = torch.cat([part.trajectory(i) for part in parts for i in range(part.trajectories)]).double()
    assert mixture.statistics.mean[0] == pytest.approx(float(everything.mean()), abs=1e-7)
    assert mixture.statistics.std[0] == pytest.approx(float(everything.std(correction=0)), rel=1e-6)
    assert mixture.statistics.high[0] == float(everything.max())
    assert len({mixture.metadata.data_hash, *(part.metadata.data_hash for part in parts)}) == 3
    with pytest.raises(DatasetError, match=r"states no number for \['drag'\]"):
        Mixture(parts, ["drag"])


def test_datasets_of_another_interval_do_not_mix(folders: list[Path], tmp_path: Path) -> None:
    slower = burgers(tmp_path, 0.2, interval=0.2)
    with pytest.raises(DatasetError, match="need the same interval"):
        Mixture([TrajectoryDataset(folder, "train", frames=2) for folder in (folders[0], slower)], ["viscosity"])
    with pytest.raises(ValueError, match="need parameters that tell the datasets apart"):
        TrajectoryDataModule(folders[0], others=[slower])


def test_one_operator_learns_two_viscosities_that_it_is_told(folders: list[Path]) -> None:
    """What it was trained on it steps at the rate of the viscosity that it is told, which the fields do not show."""
    data = TrajectoryDataModule(
        folders[0], others=folders[1:], parameters=["viscosity"], batch_size=10, validation_steps=4
    )
    data.setup("fit")
    conditions = Conditions(parameters={"viscosity": (0.05, 0.5)})
    torch.manual_seed(0)
    task = small_task(data, ema_decay=None)
    task.emulator = Emulator(
        Conditioned(FNO(1, 1, width=8, modes=(4,), depth=2), conditions=1, hidden=8),
        normalizer=task.emulator.normalizer, metadata=task.emulator.metadata, conditions=conditions,
    )  # fmt: skip
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    Trainer(max_epochs=25, accelerator="cpu", use_distributed_sampler=False, **quiet).fit(task, datamodule=data)
    errors: dict[tuple[float, float], float] = {}
    for folder, true in zip(folders, (0.5, 0.05), strict=True):
        u = torch.stack([TrajectoryDataset(folder, "train", frames=5)[index] for index in range(12)])
        for given in (0.5, 0.05):
            rolled = task.emulator.rollout(u[:, 0], 4, parameters={"viscosity": given})
            errors[true, given] = float((rolled - u[:, 1:]).norm() / u[:, 1:].norm())
    assert errors[0.5, 0.5] < 0.5 * errors[0.5, 0.05]
    assert errors[0.05, 0.05] < 0.5 * errors[0.05, 0.5]


def test_an_evaluation_tells_the_emulator_the_coefficients_of_its_dataset(folders: list[Path], tmp_path: Path) -> None:
    metadata = open_source(folders[0]).metadata
    conditions = Conditions(parameters={"viscosity": (0.05, 0.5)})
    network = Conditioned(FNO(1, 1, width=4, modes=(3,), depth=1), conditions=1, hidden=4)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    emulator = Emulator(
        network, normalizer=Normalizer([0.0], [1.0], [1.0], [-9.0], [9.0]), conditions=conditions,
        metadata=EmulatorMetadata(
            metadata.equation, metadata.channels, metadata.points, metadata.lengths, metadata.interval,
            metadata.data_hash,
        ),
    )  # fmt: skip
    for folder, true in zip(folders, (0.5, 0.05), strict=True):
        found = evaluate(emulator, folder, output=tmp_path / str(true), settings=Settings(perturbation=0.0, extend=3))
        u = torch.stack([TrajectoryDataset(folder, "test", frames=7)[index] for index in range(2)])
        errors = []
        for given in (0.5, 0.05):
            difference = emulator.rollout(u[:, 0], 6, parameters={"viscosity": given}) - u[:, 1:]
            ratio = difference.flatten(2).norm(dim=2) / u[:, 1:].flatten(2).norm(dim=2)
            errors.append(ratio.quantile(0.5, dim=0).tolist())
        curve = found["candidates"]["model"]["curves"]["nrmse"]["median"]
        assert curve == pytest.approx(errors[(0.5, 0.05).index(true)], rel=1e-3)
        assert errors[0] != pytest.approx(errors[1], rel=1e-2)
    other = EmulatorMetadata(metadata.equation, metadata.channels, metadata.points, metadata.lengths, 0.1, "")
    drag = Conditions(parameters={"drag": (0.05, 0.5)})
    told_drag = Emulator(network, normalizer=emulator.normalizer, conditions=drag, metadata=other)
    with pytest.raises(DatasetError, match=r"states no number for \['drag'\]"):
        evaluate(told_drag, folders[0], output=tmp_path / "drag")


@pytest.mark.parametrize(
    ("overrides", "part", "wanted"),
    [
        (["symmetry=galilean"], "symmetry", {"advection": 1.0}),
        (["conserve=means"], "conserve", {"means": ["u"], "squares": []}),
        (["conserve=declared"], "conserve", {"means": ["u"], "squares": []}),
        (["conditions=lead", "objective=all_pairs", "objective.frames=4"], "conditions", {"lead": 4, "parameters": {}}),
        (["augmentation=symmetries", "augmentation.boost=0.2"], None, None),
    ],
)
def test_every_choice_of_structure_trains_from_the_command_line(
    overrides: list[str],
    part: str | None,
    wanted: Any,
    train: test_configs.Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    _, emulator = test_configs.one_step(train, tmp_path, "dataset=ks_tiny", *overrides)
    config = emulator.config
    assert set(config) & {"symmetry", "conserve", "conditions"} == ({part} if part else set())
    if part:
        assert {key: value for key, value in config[part].items() if key != "_target_"} == wanted


@pytest.mark.slow
def test_the_command_line_trains_one_operator_for_two_datasets_and_reports_on_the_first(
    folders: list[Path], train: test_configs.Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    chosen = [f"data.folder={folders[0]}", f"data.others=[{folders[1]}]", "conditions=viscosity"]
    small = ["operator.width=4", "operator.modes=[3]", "operator.depth=2"]
    values = ["conditions.parameters.viscosity=[0.05,0.5]", "dataset.name=burgers_0.5", "dataset.warmup=0.0"]
    brief = [choice for choice in test_configs.BRIEF if choice.startswith(("data.", "trainer.", "~"))]
    config = test_configs.composed(
        "train", "dataset=burgers", *chosen, *small, *values, *brief, f"folder={tmp_path / 'run'}"
    )
    train(config)
    emulator = Emulator.from_pretrained(tmp_path / "run" / "emulator")
    assert emulator.config["network"]["_target_"] == "rollwave.operators.Conditioned"
    assert (tmp_path / "run" / "report.md").is_file()
    with pytest.raises(ValueError, match="need the parameters"):
        emulator.rollout(torch.zeros(1, 1, 32), 1)


def test_variants_are_the_dataset_at_other_coefficients_from_the_same_start(folders: list[Path]) -> None:
    root = folders[0].parent
    recipe = replace(load_recipe(folders[0]), lyapunov_exponent=0.3)
    (found,) = ensure_variants(recipe, {"viscosity": [0.2]}, root)
    assert found == root / "burgers_0.5_viscosity_0.2"
    variant = load_recipe(found)
    assert variant.equation["viscosity"] == 0.2
    assert variant.lyapunov_exponent is None
    assert replace(variant, name=recipe.name, equation=recipe.equation, lyapunov_exponent=0.3) == recipe
    ours, theirs = (TrajectoryDataset(folder, "train", frames=7)[0] for folder in (found, folders[0]))
    assert torch.equal(ours[0], theirs[0])
    assert (ours[-1] - theirs[-1]).norm() > 0.1 * ours[-1].norm()
    written = (found / "manifest.json").stat().st_mtime_ns
    assert ensure_variants(recipe, {"viscosity": [0.2]}, root) == [found]
    assert (found / "manifest.json").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match=r"states no \['drag'\]; it states \['viscosity'\]"):
        ensure_variants(recipe, {"drag": [0.2]}, root)


def test_the_command_line_trains_on_variants_and_says_what_they_need(
    train: test_configs.Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    small = ["operator.width=4", "operator.modes=[3]", "operator.depth=1", "variants={viscosity:[0.05]}"]
    _, emulator = test_configs.one_step(train, tmp_path, "dataset=burgers", "conditions=viscosity", *small)
    assert emulator.conditions is not None
    assert (tmp_path / "data" / "burgers_viscosity_0.05" / "manifest.json").is_file()
    with pytest.raises(ValueError, match="need conditions"):
        test_configs.one_step(train, tmp_path, "dataset=burgers", "variants={viscosity:[0.05]}")
    elsewhere = ["conditions=viscosity", f"data.folder={tmp_path / 'data' / 'burgers_viscosity_0.05'}"]
    with pytest.raises(ValueError, match=r"name them in data\.others"):
        test_configs.one_step(train, tmp_path, "dataset=burgers", *elsewhere, "variants={viscosity:[0.05]}")


def test_the_command_line_refuses_structure_that_the_equation_lacks(
    train: test_configs.Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLWAVE_ROOT", str(tmp_path))
    for choice in ("symmetry=galilean", "conserve=declared"):
        with pytest.raises(ValueError, match=rf"set {choice.partition('=')[0]}=null"):
            test_configs.one_step(train, tmp_path, "dataset=klein_gordon", choice)


def test_conditions_take_no_number_from_the_host() -> None:
    conditions, x = Conditions(parameters={"viscosity": (0.01, 0.1)}, lead=3), torch.randn(4, 1, 8)
    given = conditions.table({"viscosity": 0.02})
    expected = conditions(x, given, 2)
    with FromHost() as watched:
        again = conditions(x, given, 2)
    assert watched.count == 0
    assert torch.equal(again, expected)

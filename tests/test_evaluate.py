"""`python evaluate.py checkpoint=... dataset=...`."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from rollwave.datasets import Recipe, ensure_dataset, open_source
from rollwave.operators import FNO, Emulator, EmulatorMetadata, Normalizer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a dataset, `data/tiny`, and an untrained emulator of it, `emulator`."""
    place = tmp_path_factory.mktemp("place")
    recipe = Recipe.from_dict(
        {
            "name": "tiny", "equation": {"_target_": "rollwave.solvers.Burgers"}, "points": (32,), "lengths": (1.0,),
            "dt": 0.01, "interval": 0.02, "frames": 4, "test_frames": 9, "train": 2, "valid": 1, "test": 2, "block": 2,
            "certificate": {"samples": 0},
        }
    )  # fmt: skip
    source = open_source(ensure_dataset(recipe, place / "data", workers=1))
    data, statistics = source.metadata, source.stored_statistics()
    assert statistics is not None
    Emulator(
        FNO(1, 1, width=4, modes=(4,), depth=1),
        normalizer=Normalizer(statistics.mean, statistics.std, statistics.delta_std, statistics.low, statistics.high),
        metadata=EmulatorMetadata(
            data.equation, data.channels, data.points, data.lengths, data.interval, data.data_hash
        ),
    ).save_pretrained(place / "emulator")
    return place


def run(root: Path, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"ROLLWAVE_ROOT": str(place), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(place)}
    command = [sys.executable, str(root / "evaluate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)


@pytest.fixture(scope="module")
def program(root: Path) -> ModuleType:
    """`evaluate.py` as a module."""
    spec = importlib.util.spec_from_file_location("evaluate_program", root / "evaluate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config(root: Path, place: Path, *arguments: str) -> DictConfig:
    with initialize_config_dir(str(root / "configs"), version_base="1.3"):
        paths = [f"folder={place}/out", f"paths.data={place}/data", f"paths.logs={place}/logs"]
        return compose("evaluate", overrides=[*paths, *arguments])


def test_the_program_writes_a_report_into_the_folder_that_it_names(root: Path, place: Path) -> None:
    result = run(root, place, "checkpoint=emulator", "dataset=tiny", "steps=5")
    assert result.returncode == 0, result.stderr
    folders = [line.removeprefix("run folder: ") for line in result.stdout.splitlines() if "run folder" in line]
    assert len(folders) == 2
    assert folders[0] == folders[1]
    folder = Path(folders[0])
    assert folder.parent == place / "logs" / "evaluate" / "tiny"
    assert {"report.md", "metrics.json", "rollout.png", "error_growth.png", "spectra.png"} <= {
        path.name for path in folder.iterdir()
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["candidates"]) == {"model", "solver", "persistence", "climatology"}
    assert metrics["protocol"]["steps"] == 5
    assert metrics["protocol"]["command"] == "python evaluate.py checkpoint=emulator dataset=tiny steps=5"


def test_a_misspelt_key_is_answered_on_one_screen(root: Path, place: Path) -> None:
    result = run(root, place, "checkpoint=emulator", "dataset=tiny", "step=5")
    assert result.returncode == 1
    assert "steps" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_dataset_may_be_a_path(root: Path, place: Path, program: ModuleType) -> None:
    arguments = program.as_values([f"checkpoint={place}/emulator", f"dataset={place}/data/tiny", "perturbation=0"])
    folder = program.evaluate(config(root, place, *arguments))
    assert json.loads((folder / "metrics.json").read_text())["protocol"]["steps"] == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("checkpoint={}/emulator", "dataset=ks_l99"), "generate it with `python generate.py dataset=ks_l99`"),
        (("checkpoint=nowhere", "dataset=tiny"), "checkpoint=nowhere does not exist"),
        (("checkpoint={}/emulator", "dataset=tiny", "animation=avi"), "animation must be gif, mp4 or false, got 'avi'"),
        (("dataset=tiny",), "checkpoint is missing"),
        (("checkpoint={}/emulator",), "dataset is missing"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(
    root: Path, place: Path, program: ModuleType, arguments: tuple[str, ...], message: str
) -> None:
    values = program.as_values([argument.format(place) for argument in arguments])
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        program.evaluate(config(root, place, *values))

"""The program: its configs, a kill from outside, and verification that fails when it should."""

import hashlib
import importlib.util
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from test_datasets import tiny

from rollwave.datasets import Check, Recipe, ensure_dataset, load_recipe, verify_dataset
from rollwave.datasets.blocks import compute_block
from rollwave.datasets.instantiate import instantiate
from rollwave.solvers import Equation

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
RECIPES = sorted(path.stem for path in (CONFIGS / "dataset").glob("*.yaml"))
EQUATIONS = sorted(path.stem for path in (CONFIGS / "equation").glob("*.yaml"))


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("generate", overrides=list(overrides))


def recipe_of(config: DictConfig) -> Recipe:
    return Recipe.from_dict(OmegaConf.to_container(config.dataset, resolve=True))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_composes_and_makes_trajectories(name: str) -> None:
    recipe = recipe_of(composed(f"dataset={name}"))
    assert recipe.name == name
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    short = ["dataset.frames=2", "dataset.test_frames=3", "dataset.warmup=0", "dataset.block=1"]
    brief = recipe_of(composed(f"dataset={name}", *short))
    channels = len(recipe.build_equation().channels)
    for split, frames in (("train", 2), ("test", 3)):
        u = compute_block(brief, split, 0)
        assert u.shape == (1, frames, channels, *recipe.stored_points)
        assert np.isfinite(u).all()
        assert np.abs(u[:, 1] - u[:, 0]).max() > 1e-6


@pytest.mark.parametrize("name", EQUATIONS)
def test_every_equation_config_spells_out_its_coefficients(name: str) -> None:
    config = OmegaConf.to_container(composed(f"+equation={name}").equation)
    assert isinstance(config, dict)
    equation = instantiate(config)
    assert isinstance(equation, Equation)
    assert set(config) - {"_target_"} == {item.name for item in fields(equation)}  # type: ignore[arg-type]
    lines = (CONFIGS / "equation" / f"{name}.yaml").read_text().splitlines()
    for above, line in itertools.pairwise(lines):
        if line.split(":")[0].strip() in config and "_target_" not in line and "forcing:" not in line:
            assert above.strip().startswith("#"), f"{name}.yaml: '{line}' has no comment"


@pytest.mark.parametrize("name", RECIPES)
def test_every_key_of_a_recipe_is_explained(name: str) -> None:
    lines = (CONFIGS / "dataset" / f"{name}.yaml").read_text().splitlines()
    assert lines[0].startswith("# ")
    for above, line in itertools.pairwise(lines):
        key = line.split(":")[0].strip()
        if ":" in line and not line.lstrip().startswith(("#", "-")) and key not in (
            "defaults", "name", "_target_", "certificate", "initial_condition"
        ):  # fmt: skip
            assert above.strip().startswith("#"), f"{name}.yaml: '{line}' has no comment"


def test_chaotic_tests_last_twelve_lyapunov_times() -> None:
    for name in ("ks_l22", "ks_l22_quick", "navier_stokes"):
        recipe = recipe_of(composed(f"dataset={name}"))
        assert recipe.lyapunov_exponent is not None
        assert (recipe.frames_of("test") - 1) * recipe.interval * recipe.lyapunov_exponent >= 12


@pytest.mark.parametrize("name", ["ks_l22", "ks_l22_quick", "navier_stokes"])
def test_a_recipe_has_the_lyapunov_exponent_that_was_measured(name: str) -> None:
    recipe = recipe_of(composed(f"dataset={name}"))
    results = (CONFIGS.parent / "benchmarks" / "results").glob("lyapunov_*.json")
    flows = [json.loads(path.read_text()) for path in results]
    of_this = [
        flow
        for flow in flows
        if all(flow["recipe"][key] == recipe.to_dict()[key] for key in ("equation", "lengths", "points", "dt"))
    ]
    assert len(of_this) == 1
    assert recipe.lyapunov_exponent is not None
    assert abs(recipe.lyapunov_exponent - of_this[0]["exponent"]) < 2 * of_this[0]["standard_error"]


def failures(checks: Iterator[Check]) -> list[Check]:
    return [check for check in checks if not check.passed]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = tiny(train=4, certificate={"samples": 1, "horizon": 1.0})
    return ensure_dataset(recipe, tmp_path_factory.mktemp("original"), workers=1)


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / original.name))


def test_verification_recomputes_every_bit(original: Path) -> None:
    checks = list(verify_dataset(original, samples=2))
    assert failures(iter(checks)) == []
    recomputed = [check for check in checks if check.subject.endswith("recomputed")]
    assert len(recomputed) == 6
    assert all(check.detail == "bit for bit" for check in recomputed)


def flip_a_byte_of_a_trajectory(folder: Path) -> None:
    with h5py.File(folder / "data/train/tiny_0001.hdf5") as file:
        offset = file["t0_fields/u"].id.get_chunk_info(0).byte_offset
    with open(folder / "data/train/tiny_0001.hdf5", "r+b") as raw:
        raw.seek(offset + 100)
        byte = raw.read(1)[0]
        raw.seek(offset + 100)
        raw.write(bytes([byte ^ 1]))


def alter_an_attribute(folder: Path) -> None:
    with open(folder / "data/valid/tiny_0000.hdf5", "r+b") as raw:
        data = raw.read()
        raw.seek(data.index(b"cartesian"))
        raw.write(b"CARTESIAN")


def swap_two_shards(folder: Path) -> None:
    first, second = folder / "data/train/tiny_0000.hdf5", folder / "data/train/tiny_0001.hdf5"
    image = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(image)


def cut_a_shard(folder: Path) -> None:
    path = folder / "data/test/tiny_0000.hdf5"
    path.write_bytes(path.read_bytes()[:-1])


def change_the_statistics(folder: Path) -> None:
    text = (folder / "stats.yaml").read_text()
    (folder / "stats.yaml").write_text(text.replace("u: ", "u: 1", 1))


def change_the_recipe(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"warmup": 1.0', '"warmup": 1.5'))


@pytest.mark.parametrize(
    ("damage", "subject", "detail"),
    [
        (flip_a_byte_of_a_trajectory, "tiny_0001.hdf5", "trajectory 0 in '/t0_fields' has SHA-256"),
        (alter_an_attribute, "valid/tiny_0000.hdf5", "an attribute or byte outside the trajectories differs"),
        (swap_two_shards, "train/tiny_0000.hdf5", "was it swapped?"),
        (cut_a_shard, "manifest", "test/tiny_0000.hdf5: has"),
        (change_the_statistics, "statistics", "stats.yaml is missing or differs"),
        (change_the_recipe, "train/tiny_0000.hdf5", "differs from the manifest's in ['warmup']"),
    ],
)
def test_verification_names_what_was_damaged(
    folder: Path, damage: Callable[[Path], None], subject: str, detail: str
) -> None:
    damage(folder)
    found = failures(verify_dataset(folder, samples=1))
    assert found
    assert found[0].subject.endswith(subject)
    assert detail in found[0].detail


def test_verification_finds_truth_that_its_recipe_does_not_make(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(recipe: Recipe, split: str, number: int) -> np.ndarray:
        return compute_block(recipe, split, number) * np.float32(1 + 1e-5)

    monkeypatch.setattr("rollwave.datasets.verify.compute_block", wrong)
    assert len(failures(verify_dataset(original, samples=1))) == 3
    monkeypatch.setattr("rollwave.datasets.verify.versions", lambda: {"torch": "other"})
    checks = list(verify_dataset(original, samples=1))
    assert failures(iter(checks)) == []
    assert any("largest difference" in check.detail and "tolerance 1e-03" in check.detail for check in checks)
    assert len(failures(verify_dataset(original, samples=1, tolerance=1e-7))) == 3


def certificate_check(folder: Path, **changes: object) -> Check:
    """The check of a certificate that was edited in the manifest, None for a key that is not there."""
    manifest = json.loads((folder / "manifest.json").read_text())
    stated = manifest["certificate"] | changes
    manifest["certificate"] = {key: value for key, value in stated.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    checks = list(verify_dataset(folder, samples=1))
    assert [check.subject for check in checks if not check.passed] in ([], ["certificate"])
    return checks[-1]


def test_a_certificate_that_was_beautified_is_found(folder: Path) -> None:
    stated = json.loads((folder / "manifest.json").read_text())["certificate"]
    beautified = certificate_check(folder, grid_error=stated["grid_error"] / 100)
    assert not beautified.passed
    assert "grid_error is" in beautified.detail
    budget = certificate_check(folder, grid_error=stated["grid_error"], budget_error={"energy": 1e-3})
    assert not budget.passed
    assert "budget_error of energy is" in budget.detail


def test_verification_prints_the_certificate_also_of_older_versions(folder: Path) -> None:
    check = certificate_check(folder, budget_error=None, predictable=None, dt=None, tolerance=None)
    assert check.passed
    for words in ("step error", "grid error", "budgets within", "spectral tail", "over 1 time units"):
        assert words in check.detail


def program(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", root / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generate_writes_and_then_verifies_what_a_config_asks_for(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate = program(root).generate
    wanted = [
        f"paths.data={tmp_path}",
        "paths.logs=x",
        "dataset=ks_tiny",
        "dataset.seed=1",
        "dataset.train=5",
        "workers=1",
    ]
    folder = generate(composed(*wanted))
    assert folder == tmp_path / "ks_tiny"
    assert (load_recipe(folder).seed, load_recipe(folder).train) == (1, 5)
    assert generate(composed(*wanted, "verify=true", "verify_samples=1")) == folder
    assert "pass  certificate" in capsys.readouterr().out
    (folder / "stats.yaml").unlink()
    with pytest.raises(ValueError, match="failed 1 checks"):
        generate(composed(*wanted, "verify=true", "verify_samples=1"))
    with pytest.raises(ValueError, match="seed: 1 there, 2 asked"):
        generate(composed(*wanted, "dataset.seed=2"))


def run(root: Path, where: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the program; no git, so that a commit in the middle of the suite changes nothing."""
    command = [sys.executable, str(root / "generate.py"), *arguments]
    environment = os.environ | {"ROLLWAVE_ROOT": str(where), "PATH": "/nonexistent", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=where, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_a_program_killed_at_a_random_moment_finishes_when_run_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("dataset=ks_tiny", "dataset.train=48", "dataset.frames=100", "workers=2")
    process = run(root, tmp_path, *arguments)
    while process.poll() is None and not list(tmp_path.glob("data/ks_tiny/.partial/*.block")):
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = run(root, tmp_path, *arguments)
    output, _ = again.communicate()
    assert again.returncode == 0, output
    assert output.splitlines()[0].startswith("run folder:")
    assert output.splitlines()[-1].startswith("run folder:")
    monkeypatch.setattr("rollwave.datasets.provenance.commit", lambda: "unknown")
    undisturbed = ensure_dataset(recipe_of(composed(*arguments)), tmp_path / "undisturbed", workers=1)
    assert hashes(tmp_path / "data/ks_tiny") == hashes(undisturbed)
    flip = tmp_path / "data/ks_tiny/data/train/ks_tiny_0003.hdf5"
    image = bytearray(flip.read_bytes())
    image[len(image) // 2] ^= 1
    flip.write_bytes(image)
    verify = run(root, tmp_path, *arguments, "verify=true", "verify_samples=1")
    output, _ = verify.communicate()
    assert verify.returncode == 1
    assert "FAIL  data/train/ks_tiny_0003.hdf5" in output
    assert "Traceback" not in output

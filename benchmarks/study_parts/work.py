"""Does one run, in a process of its own, and keeps what came of it as JSON."""

import json
import os
import platform
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rollwave.evaluation import load_emulator
from rollwave.evaluation.summary import json_safe
from rollwave.operators.metadata import package_versions
from rollwave.training import NonFiniteLossError

from .fit import fit, test_sets
from .measure import floors, measured
from .program import ROOT
from .runs import TUNING_SEED, Run, load


def perform(run: Run, data: Path, results: Path, *, test: bool) -> dict[str, Any]:
    """Train a run unless its record and its emulator are there, and measure its test split once if asked to.

    A loss or weights that stop being finite are a result, kept as `diverged`; any other error is raised.
    """
    torch.set_num_threads(1)
    folder = data / "runs" / run.id
    record = load(results, run)
    if record is None or (test and "test" not in record and not needs_nothing(record, folder)):
        first = load(results, replace(run, seed=TUNING_SEED)) or {}
        record = trained(run, data, folder, first.get("training", {}).get("steps"))
        keep(results / f"{run.id}.json", record)
    if test and "test" not in record and "diverged" not in record:
        floor = results / f"floors-{run.system.name}.json"
        if not floor.is_file():
            keep(floor, circumstances() | floors(load_emulator(folder), run, test_sets(run, data)[""]))
        record["test"] = measured(run, data, folder)
        keep(results / f"{run.id}.json", record)
    return record


def needs_nothing(record: dict[str, Any], folder: Path) -> bool:
    """Whether what is trained is still there, or nothing came of it."""
    return "diverged" in record or (folder / "emulator" / "model.safetensors").is_file()


def trained(run: Run, data: Path, folder: Path, steps: int | None) -> dict[str, Any]:
    """The record of a training, whatever came of it."""
    head: dict[str, Any] = {
        "id": run.id,
        "system": run.system.name,
        "overrides": list(run.overrides),
        "widths": list(run.widths),
    }
    head |= {"budget": str(run.budget), "seed": run.seed} | circumstances()
    try:
        return head | fit(run, data, folder, steps)
    except NonFiniteLossError as error:
        return head | {"diverged": str(error).split(". The last checkpoint", 1)[0]}


def circumstances() -> dict[str, Any]:
    """Versions, commit, device and threads."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    versions = package_versions() | {"python": platform.python_version(), "commit": commit.strip()}
    return {"versions": versions, "device": "cpu", "threads": torch.get_num_threads()}


def keep(path: Path, record: dict[str, Any]) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(json_safe(record), indent=1, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    path.chmod(0o644)

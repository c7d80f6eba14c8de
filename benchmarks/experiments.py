"""From finished runs of train.py to `docs/results.md`: what each experiment reached, beside what needs no training.

    python benchmarks/experiments.py logs/train/ks_fno/<time> ...    keeps each run's figures in results/experiments/
    python benchmarks/experiments.py                                 writes docs/results.md from what is kept

The first form writes the page too. Nothing on it is typed by hand.
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from rollwave.evaluation.diagnostic_tables import sections
from rollwave.evaluation.report import cell, table

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "benchmarks" / "results" / "experiments"
FIGURES = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "results.md"

HEAD = """# Results

One run of each experiment at CPU scale: one seed, the weights of the best validation rollout; nothing was chosen on the
test split. A figure is `median [first quartile, third quartile]` over the rollouts of the test split, so the spread is
that of trajectories, not of seeds: no row here is a claim that one operator beats another. Minutes are those of a
machine that did other work beside. Times are in the time unit of the equation; `>=` where the median rollout was still
good when the truth ended. The definitions stand in `rollwave.evaluation.metrics`; a Lyapunov time is one over the
exponent in the recipe, which `python benchmarks/lyapunov.py` measures.

This page is written by `python benchmarks/experiments.py` from `benchmarks/results/experiments/*.json`.
"""


def keep(run: Path) -> None:
    """The figures of a run, without its curves and single rollouts, and its picture."""
    training = json.loads((run / "training.json").read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["truth"] = {"scalars": metrics["truth"].get("scalars", {})}
    for column in (metrics["truth"], *metrics["candidates"].values()):
        for name in ("curves", "spectrum"):
            column.pop(name, None)
        for scalar in column["scalars"].values():
            scalar.pop("values", None)
    del metrics["protocol"]["command"]
    kept = {"commit": commit_at(run.resolve().name), "training": training, "metrics": metrics}
    for folder in (KEPT, FIGURES):
        folder.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{training['name']}.json").write_text(json.dumps(kept, indent=1) + "\n")
    shutil.copyfile(sorted(run.glob("rollout*.png"))[0], FIGURES / f"{training['name']}.png")


def commit_at(time: str) -> str:
    """The last commit before a run began, from its folder's name."""
    day, hour = time.split("_")
    before = f"--before={day} {':'.join(hour.split('-')[:3])}"
    found = subprocess.run(
        ["git", "log", "-1", "--format=%h", before], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def summary(kept: list[dict[str, Any]]) -> str:
    """One line an experiment."""
    lines = [
        "| experiment | operator | parameters | training | nRMSE, 1 step | GMean, 100 steps | valid prediction time |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in kept:
        training, model = run["training"], run["metrics"]["candidates"]["model"]["scalars"]
        lyapunov = model.get("valid_prediction_time_lyapunov")
        held = cell(model["valid_prediction_time"])
        held += f"; {cell(lyapunov)} Lyapunov times" if lyapunov else ""
        lines.append(
            f"| [{training['name']}](#{training['name']}) | {run['metrics']['emulator']['network']} "
            f"| {training['parameters']:,} | {training['steps']:,} steps, {training['seconds'] / 60:.0f} min "
            f"| {cell(model['nrmse_first'])} | {cell(model['nrmse_gmean100'])} | {held} |"
        )
    return "\n".join(lines)


def section(run: dict[str, Any]) -> str:
    """One experiment: the model beside what needs no training."""
    training, protocol, dataset = run["training"], run["metrics"]["protocol"], run["metrics"]["dataset"]
    name, points = training["name"], " x ".join(str(n) for n in dataset["points"])
    facts = (
        f"{protocol['rollouts']} rollouts of {protocol['steps']} steps of {protocol['interval']:g}, {points} points, "
        f"{dataset['trajectories']['train']} training trajectories. {training['parameters']:,} parameters, "
        f"{training['steps']:,} steps in {training['seconds'] / 60:.1f} minutes on {training['device']} "
        f"(threads: {training['threads']}), torch {training['versions']['torch']}, seed {training['seed']}, "
        f"commit {run['commit']}. `cpu-scale`."
    )
    picture = f"![{name}: truth, prediction, error](figures/{name}.png)"
    command = f"    python train.py experiment={name}"
    tables = [table(run["metrics"]), *sections(run["metrics"])]
    return "\n\n".join([f"## {name}", command, facts, *tables, picture, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders of train.py")
    for run in parser.parse_args().runs:
        keep(run)
    kept = [json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))]
    PAGE.write_text("\n".join([HEAD, summary(kept), "", *map(section, kept)]))
    print(f"{PAGE.relative_to(ROOT)}: {len(kept)} experiments")


if __name__ == "__main__":
    main()

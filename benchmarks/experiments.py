"""From finished runs of train.py to `docs/results.md`: what each experiment reached, beside what needs no training.

python benchmarks/experiments.py logs/train/ks_fno/<time> ...    keeps each run's figures in results/experiments/
python benchmarks/experiments.py                                 writes docs/results.md from what is kept
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "benchmarks" / "results" / "experiments"
FIGURES = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "results.md"

CANDIDATES = {
    "model": "model",
    "persistence": "persistence",
    "climatology": "climatology",
    "solver": "perturbed solver",
}
# Rows of each experiment's table: the scalar's name in metrics.json and what it is called.
ROWS = {
    "nrmse_first": "nRMSE, 1 step",
    "vrmse_6_12": "VRMSE, steps 6 to 12",
    "vrmse_13_30": "VRMSE, steps 13 to 30",
    "nrmse_gmean100": "GMean of nRMSE, 100 steps",
    "nrmse_last": "nRMSE, last step",
    "correlation_time_0.9": "correlation time, 0.9",
    "correlation_time_0.8": "correlation time, 0.8",
    "valid_prediction_time": "valid prediction time",
    "valid_prediction_time_lyapunov": "valid prediction time, Lyapunov times",
    "spectrum_low": "spectrum error, large scales",
    "spectrum_mid": "spectrum error, middle",
    "spectrum_high": "spectrum error, small scales",
    "finite": "finite at the end",
}

HEAD = """# Results

One run of each experiment at CPU scale: one seed, the weights of the best validation rollout, the test split seen
once. A figure is `median [first quartile, third quartile]` over the rollouts of the test split, so the spread is that
of trajectories, not of seeds: no row here is a claim that one operator beats another. Times are in the time unit of
the equation; `>=` where the median rollout was still good when the truth ended. The definitions stand in
`rollwave.evaluation.metrics`.

This page is written by `python benchmarks/experiments.py` from `benchmarks/results/experiments/*.json`.
"""


def keep(run: Path) -> None:
    """The figures of a run, without its curves, and its picture."""
    training = json.loads((run / "training.json").read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    scalars = {
        name: {
            row: {key: entry.get(key) for key in ("median", "q25", "q75", "censored")}
            for row, entry in candidate["scalars"].items()
        }
        for name, candidate in metrics["candidates"].items()
    }
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    kept = {
        "experiment": training["name"],
        "commit": commit.strip(),
        "training": training,
        "dataset": metrics["dataset"],
        "emulator": {
            key: metrics["emulator"][key] for key in ("network", "parameters", "history", "residual", "interval")
        },
        "rollouts": {key: metrics["protocol"][key] for key in ("rollouts", "trajectories", "steps", "perturbation")},
        "environment": metrics["environment"],
        "scalars": scalars,
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    FIGURES.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{training['name']}.json").write_text(json.dumps(kept, indent=1) + "\n")
    picture = sorted(run.glob("rollout*.png"))[0]
    shutil.copyfile(picture, FIGURES / f"{training['name']}.png")


def figure(entry: dict[str, Any] | None) -> str:
    """`median [q25, q75]` to three digits."""
    if entry is None or entry["median"] is None:
        return "-"
    numbers = [
        value if isinstance(value, str) else f"{value:.3g}" for value in (entry["median"], entry["q25"], entry["q75"])
    ]
    censored = entry.get("censored")
    bound = ">= " if censored is not None and censored > 0.5 else ""
    return f"{bound}{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def summary(kept: list[dict[str, Any]]) -> str:
    """One line an experiment."""
    lines = [
        "| experiment | operator | parameters | training | nRMSE, 1 step | GMean, 100 steps | valid prediction time |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in kept:
        training, model = run["training"], run["scalars"]["model"]
        lyapunov = model.get("valid_prediction_time_lyapunov")
        held = figure(model["valid_prediction_time"])
        held += f"; {figure(lyapunov)} Lyapunov times" if lyapunov else ""
        lines.append(
            f"| [`{run['experiment']}`](#{run['experiment']}) | {run['emulator']['network']} "
            f"| {training['parameters']:,} | {training['steps']:,} steps, {training['seconds'] / 60:.0f} min "
            f"| {figure(model['nrmse_first'])} | {figure(model['nrmse_gmean100'])} | {held} |"
        )
    return "\n".join(lines)


def section(run: dict[str, Any]) -> str:
    """One experiment: the model beside what needs no training."""
    training, rollouts, dataset = run["training"], run["rollouts"], run["dataset"]
    points = " x ".join(str(n) for n in dataset["points"])
    header = [name for name in CANDIDATES if name in run["scalars"]]
    rows = [
        f"| {label} | " + " | ".join(figure(run["scalars"][name].get(row)) for name in header) + " |"
        for row, label in ROWS.items()
        if row in run["scalars"]["model"]
    ]
    return "\n".join(
        [
            f"## {run['experiment']}",
            "",
            f"    python train.py experiment={run['experiment']}",
            "",
            f"{rollouts['rollouts']} rollouts of {rollouts['steps']} steps of {run['emulator']['interval']:g}, "
            f"{points} points, {dataset['trajectories']['train']} training trajectories. "
            f"{training['parameters']:,} parameters, {training['steps']:,} steps in {training['seconds'] / 60:.1f} "
            f"minutes on {training['device']}, threads: {training['threads']}, torch {training['versions']['torch']}, "
            f"seed {training['seed']}, commit {run['commit']}. `cpu-scale`.",
            "",
            "| | " + " | ".join(CANDIDATES[name] for name in header) + " |",
            "|---|" + "---|" * len(header),
            *rows,
            "",
            f"![{run['experiment']}: truth, prediction, error](figures/{run['experiment']}.png)",
            "",
        ]
    )


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

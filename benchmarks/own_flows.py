"""DyMixOp on the flows of its source and by its measure, the relative mean square of ten steps of a rollout.

    python benchmarks/own_flows.py ks_medium --seed 0                        twenty minutes on one thread
    python benchmarks/own_flows.py vector_burgers --seed 0 --trainer gpu     on a card
    python benchmarks/own_flows.py --report                                  writes docs/own_flows.md

A run is `train.py experiment=<its experiment>`, with the overrides after `--set`, and stays in `--folder` if that is
given, with its report. With its flow's dataset it measures, over all trajectories of the test split, from the tenth
frame on,

    sum |u - u_true|^2 / sum |u_true|^2,

both sums over trajectories, the ten steps, channels and points, and the same of persistence and climatology, and of the
solver from a perturbed start over `FLOOR` trajectories. Figures go to `results/own_flows/`, a file a run.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from study_parts.evaluation import untrained
from study_parts.measure import trajectories
from study_parts.program import ROOT, composed, program, told
from study_parts.work import keep
from torch import Tensor

from rollwave.evaluation import load_emulator
from rollwave.evaluation.baselines import Forecast

RESULTS = ROOT / "benchmarks" / "results" / "own_flows"
PAGE = ROOT / "docs" / "own_flows.md"
# Frames that the source gives its operator, steps that it predicts, trajectories that the solver repeats.
SEEN, STEPS, FLOOR = 10, 10, 8


@dataclass(frozen=True)
class Flow:
    """An experiment at one of the source's sizes, and the error that its source reaches there."""

    experiment: str
    words: str
    target: float
    overrides: tuple[str, ...] = ()


KS = "Kuramoto-Sivashinsky, L = 64 pi, 256 points, steps of 1"
FLOWS = {
    "ks_tiny": Flow("ks_dymixop", f"{KS}, tiny", 5e-3, ("operator.width=16", "operator.depth=2")),
    "ks_medium": Flow("ks_dymixop", f"{KS}, medium", 5e-3),
    "vector_burgers": Flow("vector_burgers_dymixop", "vector Burgers, nu = 0.005, 64^2 points, steps of 0.025", 2.3e-4),
}
HEAD = """# DyMixOp on its own flows

The flows on which DyMixOp's source measures it, solved anew (`docs/datasets.md` says with what differences), and our
operator trained on them from one frame, as the commands below the table say. Figures are the relative mean square of
ten steps of a rollout, from the tenth frame on, over all trajectories of the test split, which is measured once:
`median [least, largest]` over seeds. Learning rates were not tuned; weights are those of the best validation. `source`
is the order of magnitude of the source's own figure (for vector Burgers that of a reproduction), on its own data and
with networks of other sizes, so no claim of a comparison: it says where the scale lies.

This page is written by `python benchmarks/own_flows.py --report` from `benchmarks/results/own_flows/*.json`.
"""

COLUMNS = (
    *("flow", "parameters", "training", "seeds", "DyMixOp", "first step", "tenth step"),
    *("persistence", "climatology", "perturbed solver", "source"),
)


def squares(forecast: Forecast, fields: Tensor, *, batch: int = 25) -> tuple[Tensor, Tensor]:
    """Sums over trajectories, channels and points of squared errors and of squared truths, a number a step."""
    start, end = SEEN - 1, SEEN + STEPS
    wrong = true = torch.zeros(STEPS, dtype=torch.float64)
    for truth in fields[:, start:end].split(batch):
        predicted = forecast(truth[:, :1], STEPS).double().cpu()
        over = [axis for axis in range(truth.ndim) if axis != 1]
        ahead = truth[:, 1:].double().cpu()
        wrong = wrong + (predicted - ahead).square().sum(over)
        true = true + ahead.square().sum(over)
    return wrong, true


def relative(forecast: Forecast, fields: Tensor) -> dict[str, Any]:
    """The relative mean square over all steps, and of each."""
    wrong, true = squares(forecast, fields)
    return {"all": (wrong.sum() / true.sum()).item(), "steps": (wrong / true).tolist()}


def measured(name: str, seed: int, trainer: str, extra: Sequence[str], folder: Path | None = None) -> dict[str, Any]:
    """One run: trained, then rolled out on the test split."""
    flow, data, began = FLOWS[name], ROOT / "data", commit()
    given = [f"experiment={flow.experiment}", *flow.overrides, f"trainer={trainer}", f"seed={seed}"]
    with tempfile.TemporaryDirectory() as passing:
        run = folder or Path(passing)
        run.mkdir(parents=True, exist_ok=True)
        cfg = composed([*given, f"evaluate={str(folder is not None).lower()}", *extra], data, run)
        program().train(cfg)
        training = json.loads((run / "training.json").read_text())
        emulator = load_emulator(run)
    device = "cuda" if trainer == "gpu" else "cpu"
    fields, rollout = trajectories(data / cfg.dataset.name), emulator.to(device).eval().rollout
    others = untrained(data / cfg.dataset.name)
    figures = {"model": relative(lambda start, steps: rollout(start.to(device), steps), fields)}
    figures |= {other: relative(others[other], fields) for other in ("persistence", "climatology")}
    figures["solver"] = relative(others["solver"], fields[:FLOOR])
    card = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return {"flow": name, "seed": seed, "commit": began, "device": card} | {
        "overrides": [override for override in extra if "progress" not in override],
        "config": told(cfg),
        "training": training,
        "relative_mse": figures,
    }


def commit() -> str:
    """The commit that ran."""
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return said.stdout.strip()


def page(records: Sequence[dict[str, Any]]) -> str:
    """A row a flow."""
    rows, notes = [], []
    for name, flow in FLOWS.items():
        runs = [record for record in records if record["flow"] == name]
        if runs:
            rows.append(row(flow, runs))
            command = (
                f"`train.py {' '.join([f'experiment={flow.experiment}', *flow.overrides, *runs[0]['overrides']])}`"
            )
            notes.append(f"- {flow.words}: {command}, commit {runs[0]['commit']}.")
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *rows]
    return "\n".join([HEAD, *lines, "", *notes, ""])


def row(flow: Flow, runs: Sequence[dict[str, Any]]) -> str:
    """The seeds of a flow."""

    def spread(value: Callable[[dict[str, Any]], float]) -> str:
        low, *_, high = values = sorted([value(run) for run in runs] * (1 if len(runs) > 1 else 2))
        return f"{torch.tensor(values, dtype=torch.float64).quantile(0.5):.2g} [{low:.2g}, {high:.2g}]"

    training, figures = runs[0]["training"], runs[0]["relative_mse"]
    minutes = max(run["training"]["seconds"] for run in runs) / 60
    where = {run["device"] for run in runs}
    return " | ".join(
        [
            f"| {flow.words}",
            f"{training['parameters']:,}",
            f"{training['steps']:,} steps, up to {minutes:.0f} min on {' and '.join(sorted(where))}",
            f"{len(runs)}",
            spread(lambda run: run["relative_mse"]["model"]["all"]),
            spread(lambda run: run["relative_mse"]["model"]["steps"][0]),
            spread(lambda run: run["relative_mse"]["model"]["steps"][-1]),
            *(f"{figures[other]['all']:.2g}" for other in ("persistence", "climatology", "solver")),
            f"{flow.target:g} |",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flow", nargs="?", choices=tuple(FLOWS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainer", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--folder", type=Path, help="where the run stays")
    parser.add_argument("--report", action="store_true", help="write the page alone")
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", help="further overrides of train.py")
    arguments = parser.parse_args()
    if arguments.flow:
        given = (arguments.flow, arguments.seed, arguments.trainer, arguments.overrides, arguments.folder)
        record = measured(*given)
        path = RESULTS / f"{arguments.flow}-s{arguments.seed}.json"
        keep(path, record)
        print(f"{path.relative_to(ROOT)}: {record['relative_mse']['model']['all']:.3g}")
    elif not arguments.report:
        parser.error(f"expected one of {', '.join(FLOWS)}, or --report")
    PAGE.write_text(page([json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]))


if __name__ == "__main__":
    main()

"""Seconds of training until a validation error is reached: rollwave's FNO and neuraloperator's in the same `train.py`.

    pip install 'rollwave[baselines]'
    python benchmarks/time_to_error.py --data <folder>    what is not measured yet: results/time_to_error.json
    python benchmarks/training_step.py --report           writes kernels/README.md from what has been measured

Both networks are the same function with the same parameters, start from the same weights and see the same batches,
optimiser and schedule, so that errors per step agree until rounding has grown, and what differs is time. The contenders
train in turns, from one validation to the next, each in a process of its own on one thread; seconds are processor time
of training without validation. Datasets are generated in `--data`, 350 MB. A seed that is kept is not run again unless
`--again` says so. `--quick` trains a tiny network for twelve steps.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from training_step import about

from solvers import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "time_to_error.json"


def prepare() -> None:
    """One thread, in this process and in those that it starts, from whatever folder it is called."""
    os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}


def kept(path: Path) -> dict[str, Any]:
    """What has been measured, by problem."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"problems": {}}
    return found


def keep(path: Path, measured: dict[str, Any]) -> None:
    """Write by a rename, so that a kill loses nothing."""
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    partial.write_text(json.dumps(measured, indent=1) + "\n")
    partial.replace(path)


def measure_all(problem: Any, arguments: argparse.Namespace) -> None:
    """Every seed that is missing, kept one by one."""
    from kernels.time_to_error_curves import summary, whole
    from kernels.time_to_error_problems import facts
    from kernels.time_to_error_worker import measure

    missing = missing_seeds(problem, arguments)
    if not missing:
        return
    known = facts(problem, arguments.data)
    for seed in missing:
        # Asked for first: what is edited while it runs is not what ran.
        setting = about()
        run = {"about": setting} | measure(problem, seed, arguments.data)
        measured = kept(arguments.out)
        entry = measured["problems"].get(problem.name)
        if entry is None or entry["setting"] != problem.setting():
            entry = {"runs": {}}
        runs = dict(sorted((entry["runs"] | {str(seed): run}).items()))
        entry = {"setting": problem.setting(), **known, "runs": runs}
        entry["whole"] = whole(list(runs.values()))
        entry["thresholds"] = summary(problem.name, known["persistence"], list(runs.values()))
        measured["problems"][problem.name] = entry
        keep(arguments.out, measured)
        print(told(problem.name, seed, entry), flush=True)


def missing_seeds(problem: Any, arguments: argparse.Namespace) -> list[int]:
    """Seeds without a run of the present setting."""
    entry = kept(arguments.out)["problems"].get(problem.name)
    usable = entry is not None and entry["setting"] == problem.setting() and not arguments.again
    return [seed for seed in arguments.seeds if not usable or str(seed) not in entry["runs"]]


def told(name: str, seed: int, entry: dict[str, Any]) -> str:
    """What is known after a seed, in a line."""
    reached = [
        f"{100 * row['share']:g} %: "
        + ("not reached by all" if row["ratio"] is None else f"{row['ratio']['stock']['median']:.2f}")
        for row in entry["thresholds"]
    ]
    every = entry["whole"]["ratio"]["stock"]["median"]
    return f"{name}, seed {seed}: {'; '.join(reached)}; all steps {every:.2f}; {len(entry['runs'])} seed(s)"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder of the datasets; default: one that is removed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", default="", help="part of a problem's name, such as navier")
    parser.add_argument("--again", action="store_true", help="run also what is kept")
    parser.add_argument("--quick", action="store_true", help="a tiny problem; needs --out to be kept")
    parser.add_argument("--out", type=Path, default=None, help="default: results/time_to_error.json")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    prepare()
    import torch
    from kernels.time_to_error_problems import problems

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        arguments.data = (arguments.data or Path(temporary)).resolve()
        arguments.out = arguments.out or (Path(temporary) / "quick.json" if arguments.quick else RESULTS)
        for problem in problems(arguments.quick):
            if arguments.only in problem.name:
                measure_all(problem, arguments)


if __name__ == "__main__":
    main()

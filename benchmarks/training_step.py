"""How long a whole training step takes on a CPU, beside neuraloperator's FNO with the same parameters.

    pip install 'rollwave[baselines]'
    python benchmarks/training_step.py              every row: results/training_step_cpu.json
    python benchmarks/training_step.py --report     writes kernels/README.md from what has been measured

A step is forward pass, mean square, backward pass and Adam, in float32, on a batch of 16. First outputs and all
gradients are compared. Then five contenders take turns, each in a process of its own: neuraloperator as it comes, with
its memory kept by the C library and its best micro-batch, rollwave as `train.py` runs it, without any such help, and
with the same as neuraloperator. Ratios are those within a round. One thread is measured in processor time, several in
wall time. `--quick` runs tiny sizes.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from solvers import ROOT, lines

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "kernels" / "README.md"
MEASURED = ("kernels", "operators")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def about() -> dict[str, Any]:
    """What it ran on, and with what."""
    found = [line for line in lines("/proc/cpuinfo") if line.startswith("model name")]
    versions = {name: metadata.version(name) for name in ("torch", "neuraloperator")}
    versions |= {"python": platform.python_version(), "commit": commit()}
    return {
        "device": found[0].split(":")[1].strip() if found else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[1] if hasattr(os, "getloadavg") else None,
        "libc": " ".join(platform.libc_ver()),
        "versions": versions,
    }


def commit() -> str:
    """The commit that is measured, `-dirty` where what is measured differs from it."""

    def said(*command: str) -> str:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    return said("rev-parse", "--short", "HEAD") + "-dirty" * bool(said("status", "--porcelain", *MEASURED))


def told(row: dict[str, Any]) -> str:
    """A row in a line."""
    step, ratios = row["seconds"]["step"], row["ratio"]["step"]
    quotients = ", ".join(f"{name} {value['median']:.2f}" for name, value in ratios.items())
    agreement, inference = row["agreement"], row["ratio"]["inference"]["stock"]["median"]
    verdicts = ", ".join(f"{name} {'met' if v['met'] else 'missed'}" for name, v in row["targets"].items())
    name = f"{row['part']} {row['label']} x{row['threads']}"
    theirs, ours = (step[name]["median"] * 1e3 for name in ("neuraloperator", "rollwave"))
    return (
        f"{name}: {theirs:.1f} -> {ours:.1f} ms; {quotients}, inference {inference:.2f}, memory {row['saved']:.2f}; "
        f"differ by {agreement['output']:.0e}, {agreement['gradient']:.0e} ({agreement['worst']}); {verdicts}"
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All rows at one number of threads."""
    from kernels.cases import cases
    from kernels.measure import measure

    (threads,) = arguments.threads
    # Of the processes that will be started; the folder that this is called from may hold another `kernels`.
    os.environ |= {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    rounds, seconds = (2, 0.001) if arguments.quick else (arguments.rounds, arguments.seconds)
    # Asked for first: what is edited while it runs is not what ran.
    setting, rows = about(), []
    if threads > len(CORES):
        print(f"{threads} threads: not measured, {len(CORES)} core(s) allowed")
        return setting | {"quick": arguments.quick, "rows": rows}
    for case in cases(quick=arguments.quick):
        if arguments.only in f"{case.part} {case.label}":
            row = measure(case, cores=CORES[-threads:], rounds=rounds, seconds=seconds, quick=arguments.quick)
            print(told(row), flush=True)
            rows.append(row)
    return setting | {"quick": arguments.quick, "rows": rows}


def apart(threads: int) -> dict[str, Any]:
    """`run` in a process of its own: libraries fix their threads when they start."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, *sys.argv, "--threads", str(threads), "--out", str(out)]
        subprocess.run(command, check=True)
        return json.loads(out.read_text())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="of every measurement, and at least one step")
    parser.add_argument("--only", default="", help="part of a row's name, such as 'model 128^2'")
    parser.add_argument("--quick", action="store_true", help="two tiny sizes, two rounds")
    parser.add_argument("--out", type=Path, default=None, help="default: results/training_step_cpu.json")
    parser.add_argument("--report", action="store_true", help="write kernels/README.md and measure nothing")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    whole = not (arguments.quick or arguments.only or arguments.out)
    if not arguments.report:
        several = len(arguments.threads) > 1
        parts = [apart(threads) for threads in arguments.threads] if several else [run(arguments)]
        measured = parts[0] | {"rows": [row for part in parts for row in part["rows"]]}
        out = arguments.out or (RESULTS / "training_step_cpu.json" if whole else None)
        if out is not None:
            out.write_text(json.dumps(measured, indent=1) + "\n")
            print(f"{out.name}: {len(measured['rows'])} rows")
    if arguments.report or whole:
        from kernels.report import page

        PAGE.write_text(page(RESULTS))
        print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())

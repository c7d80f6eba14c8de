"""How fast the solvers are, beside their peers and beside the Fourier transforms that they cannot do without.

    pip install exponax torchfsm torch-cfd simple-idealized-1d-nlse amangkurat
    python benchmarks/solvers.py                    every row, on one thread and on two: results/solvers_cpu.json
    python benchmarks/solvers.py --device cuda      the same rows on a card: results/solvers_cuda.json
    python benchmarks/solvers.py --report           writes docs/speed.md from what has been measured

A row is an equation, a scheme, a size, a type and a number of threads. First the transforms of a step are counted and
the results of all programs are compared; a peer that disagrees gets no ratio. Then the transforms alone, rollwave and
the peers take turns, and the ratios are those within a round. One thread is measured in processor time, several in wall
time. Peers that are not installed are skipped by name. `--quick` runs tiny sizes; without a card, on the CPU.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "speed.md"


def worker(arguments: argparse.Namespace) -> dict[str, Any]:
    """All rows at one number of threads, in this process."""
    import torch
    from speed.cases import cases
    from speed.measure import measure
    from speed.soliton import measure_soliton

    (threads,) = arguments.threads
    torch.set_num_threads(threads)
    missing = arguments.device == "cuda" and not torch.cuda.is_available()
    if missing and not arguments.quick:
        sys.exit("no CUDA device: --device cuda needs one, or --quick for a dry run on the CPU")
    device = torch.device("cpu" if missing else arguments.device)
    rounds, seconds = (2, 0.001) if arguments.quick else (arguments.rounds, 0.5 if device.type == "cuda" else 0.04)
    rows, setting = [], about(device)
    card = arguments.device == "cuda"
    for case in cases(device=device, card=card, quick=arguments.quick, every_scheme=threads == 1):
        if arguments.only and arguments.only not in case.label:
            continue
        rows.append(measure(case, threads=threads, rounds=rounds, seconds=seconds))
        print(told(rows[-1]), flush=True)
    measured = {"rows": rows, "dry_run": missing}
    if threads == 1 and arguments.device == "cpu" and not arguments.quick and not arguments.only:
        measured["soliton"] = measure_soliton(batch=32, rounds=3)
        print(json.dumps(measured["soliton"]), flush=True)
    return measured | setting


def told(row: dict[str, Any]) -> str:
    """A row in a line."""
    name = f"{row['equation']} {row['scheme']} {row['points']} {row['dtype']} x{row['threads']}"
    ratios = ", ".join(f"{key} {value['median']:.2f}" for key, value in row["ratio"].items())
    differing = ", ".join(
        f"{key} differs by {p['difference']:.0e}" for key, p in row["peers"].items() if not p["agrees"]
    )
    return f"{name}: {row['seconds']['rollwave']['median'] * row['batch'] * 1e6:.0f} us; {ratios} {differing}"


def about(device: Any) -> dict[str, Any]:
    """What it ran on, and with what."""
    import peers
    import torch

    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        found = [line for line in lines("/proc/cpuinfo") if line.startswith("model name")]
        name = found[0].split(":")[1].strip() if found else platform.processor()
    versions = {"torch": torch.__version__, "python": platform.python_version(), "commit": commit()}
    load = os.getloadavg()[1] if hasattr(os, "getloadavg") else None
    return {"device": name, "cores": os.cpu_count(), "load": load, "versions": versions, "peers": peers.installed()}


def commit() -> str:
    """The commit that is measured, `-dirty` where the solvers differ from it."""

    def said(*command: str) -> str:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    return said("rev-parse", "--short", "HEAD") + "-dirty" * bool(said("status", "--porcelain", "solvers"))


def lines(path: str) -> list[str]:
    """The lines of a file, none where there is no such file."""
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def apart(arguments: argparse.Namespace, threads: int) -> dict[str, Any] | None:
    """`worker` in a process of its own, which may use so many cores: libraries fix their threads when they start."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if len(cores) < threads:
        print(f"{threads} threads: not measured, {len(cores)} core(s) allowed")
        return None
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    pinned = f"import os; getattr(os, 'sched_setaffinity', print)(0, {cores[-threads:]}); "
    start = pinned + f"import runpy; runpy.run_path({str(Path(__file__))!r}, run_name='__main__')"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        given = ["--device", arguments.device, "--rounds", str(arguments.rounds), "--threads", str(threads)]
        given += ["--quick"] * arguments.quick + ["--only", arguments.only] * bool(arguments.only)
        command = [sys.executable, "-c", start, *given, "--worker", str(out)]
        folders = [str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | count | {"PYTHONPATH": os.pathsep.join(folders)}
        subprocess.run(command, check=True, cwd=folder, env=environment)
        return json.loads(out.read_text())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=None, help="default: 1 2, and 1 beside a card")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="part of an equation's label")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two rounds")
    parser.add_argument("--out", type=Path, default=None, help="default: results/solvers_<device>.json")
    parser.add_argument("--report", action="store_true", help="write docs/speed.md and measure nothing")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.threads = arguments.threads or ([1] if arguments.device == "cuda" else [1, 2])
    return arguments


def main() -> None:
    arguments = parse()
    if arguments.worker:
        arguments.worker.write_text(json.dumps(worker(arguments)))
        return
    if not arguments.report:
        parts = [part for threads in arguments.threads if (part := apart(arguments, threads)) is not None]
        whole = {**parts[-1], **parts[0], "rows": [row for part in parts for row in part["rows"]]}
        out = arguments.out or RESULTS / f"solvers_{arguments.device}.json"
        out.write_text(json.dumps(whole, indent=1) + "\n")
        print(f"{out.name}: {len(whole['rows'])} rows")
    if arguments.report or (arguments.out is None and not arguments.quick):
        from speed.report import page

        PAGE.write_text(page(RESULTS))
        print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()

"""What keeps a rollout alive: a controlled study of operators and of ways to train them, at CPU scale.

    python benchmarks/study.py --list                             tables, and how many of their runs are there
    python benchmarks/study.py --run --limit-minutes 60           what is missing, the most important first
    python benchmarks/study.py --run --table 4 --workers 1/2      one table; a second process takes --workers 2/2
    python benchmarks/study.py --run --rows JAWS "one step"       rows of that name, in every table
    python benchmarks/study.py --report                           writes docs/study.md and its figures

Each run is a process of its own on one thread: `train.py` with overrides, its parameter chosen on validation rollouts,
its test split measured once. A run that is there is not repeated; `--again` repeats those that are asked for. Datasets
and emulators lie in `--data`; figures of runs in `benchmarks/results/study/`, one file each.
"""

import argparse
import multiprocessing
import os
import time
from pathlib import Path

from study_parts.runs import Row, Run, load, rows
from study_parts.tables import TABLES, order

ROOT = Path(__file__).resolve().parent.parent
# Seconds after which a run is given up, to be tried again by the next `--run`.
PATIENCE = 1800.0


def available(row: Row) -> bool:
    """Whether the checkout has every config that the row chooses."""
    return all((ROOT / "configs" / group / f"{name}.yaml").is_file() for group, name in row.entry.choices())


def shares(arguments: argparse.Namespace) -> list[list[Row]]:
    """This worker's rows, a list for each table and system. Rows that share runs go to one worker."""
    wanted = rows(order(), lambda table: arguments.table in (None, table.number))
    if arguments.rows:
        if unknown := set(arguments.rows) - {row.entry.name for group in wanted for row in group}:
            raise SystemExit(f"--rows: there is no {sorted(unknown)}; the page names the rows of each table")
        wanted = [[row for row in group if row.entry.name in arguments.rows] for group in wanted]
    if arguments.system:
        wanted = [[row for row in group if row.system.name in arguments.system] for group in wanted]
    names = list(dict.fromkeys(key(row) for group in wanted for row in group))
    parts = [int(part) if part.isdigit() else 0 for part in arguments.workers.split("/")]
    if len(parts) != 2 or not 1 <= parts[0] <= parts[1]:
        raise SystemExit(f"--workers takes k/n with 1 <= k <= n, got {arguments.workers}")
    number, of = parts
    mine = set(names[number - 1 :: of])
    return [[row for row in group if key(row) in mine] for group in wanted]


def key(row: Row) -> tuple[object, ...]:
    """What rows with the same runs have in common; a row that copies another's weight goes with it."""
    source = row.entry.value_of or row.entry.mean_of or row.entry
    return (row.system.name, source.operator, source.method)


def launch(run: Run, arguments: argparse.Namespace, *, test: bool) -> None:
    """Do a run in a process of its own, unless what is wanted of it is there."""
    record = load(arguments.results, run)
    repeat = arguments.again and run.id not in arguments.repeated
    if record is not None and not repeat and (not test or "test" in record or "diverged" in record):
        return
    if time.monotonic() > arguments.deadline:
        raise TimeoutError
    if repeat:
        (arguments.results / f"{run.id}.json").unlink(missing_ok=True)
        arguments.repeated.add(run.id)
    start = time.monotonic()
    log = arguments.data / "logs" / f"{run.id}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    # A fork has imported already what takes eight seconds; this process computes nothing and has one thread.
    process = multiprocessing.get_context("fork").Process(target=perform_apart, args=(run, arguments, test, log))
    process.start()
    process.join(PATIENCE)
    process.kill()
    process.join()
    said = "" if process.exitcode == 0 else f"  FAILED ({process.exitcode}): {last_line(log)}"
    print(f"{time.monotonic() - start:6.1f} s  {run.id}{'' if test else '  (tuning)'}{said}", flush=True)


def perform_apart(run: Run, arguments: argparse.Namespace, test: bool, log: Path) -> None:
    """A run in this process, which was made for it; what it says goes into `log`."""
    from study_parts.work import perform

    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    perform(run, arguments.data, arguments.results, test=test)


def last_line(log: Path) -> str:
    """The last error that a failed run names, or what it said last."""
    lines = [line for line in log.read_text().splitlines() if line.strip()] or ["nothing"]
    return ([line for line in lines if "Error" in line] or lines)[-1]


def run_all(arguments: argparse.Namespace) -> None:
    """Tables in order; in each, all values of all rows, then the chosen ones seed by seed."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    # What forks inherit.
    from study_parts import program, work  # noqa: F401

    program.program()
    try:
        for group in shares(arguments):
            ready = [row for row in group if available(row)]
            for row in ready:
                tune(row, arguments)
            found = [(row, value) for row in ready if (value := row.chosen(arguments.results)) is not None]
            for seed in range(max((row.table.seeds for row in ready), default=0)):
                for row, value in found:
                    for run in row.final(arguments.results, value)[seed : seed + 1]:
                        launch(run, arguments, test=True)
    except TimeoutError:
        print("the time is up; the same command goes on")


def tune(row: Row, arguments: argparse.Namespace) -> None:
    """The runs that choose a row's value, after those of the rows that it takes something from."""
    for source in row.entry.sources():
        tune(row.beside(source), arguments)
    for run in row.tuning(arguments.results):
        launch(run, arguments, test=False)


def overview(arguments: argparse.Namespace) -> None:
    """A line for each table on each system, in the order in which they are computed."""
    for group in rows(order(), lambda table: arguments.table in (None, table.number)):
        tuning = [run for row in group for run in row.tuning(arguments.results)]
        values = sum(len(row.entry.values) for row in group)
        wanted = sum(row.entry.seeds or row.table.seeds for row in group)
        chosen = [(row, value) for row in group if (value := row.chosen(arguments.results)) is not None]
        final = [run for row, value in chosen for run in row.final(arguments.results, value)]
        there = sum("test" in (load(arguments.results, run) or {}) for run in final)
        tuned = sum(load(arguments.results, run) is not None for run in tuning)
        lacking = [row.entry.name for row in group if not available(row)]
        print(
            f"table {group[0].table.number} on {group[0].system.name}: {tuned} of {values} tuning runs, "
            f"{there} of {wanted} measured" + (f"; no config yet: {', '.join(lacking)}" if lacking else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="what there is and what is missing")
    what.add_argument("--run", action="store_true", help="do what is missing")
    what.add_argument("--report", action="store_true", help="write docs/study.md")
    parser.add_argument("--table", type=int, choices=[table.number for table in TABLES])
    parser.add_argument("--system", nargs="+", help="names of systems")
    parser.add_argument("--rows", nargs="+", help="names of rows")
    parser.add_argument("--workers", default="1/1", help="k/n: this process takes the k-th of n shares")
    parser.add_argument("--limit-minutes", type=float, default=1e9, help="start no run after that time")
    parser.add_argument("--again", action="store_true", help="repeat runs that are there")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "study")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "study")
    arguments = parser.parse_args()
    arguments.deadline, arguments.repeated = time.monotonic() + 60 * arguments.limit_minutes, set()
    if arguments.run:
        run_all(arguments)
    elif arguments.list:
        overview(arguments)
    else:
        from study_parts.page import write

        print(write(arguments.results, ROOT / "docs"))


if __name__ == "__main__":
    main()

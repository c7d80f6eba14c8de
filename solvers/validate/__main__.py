"""Run the cases, print what they found, and write docs/validation.md from the recorded results.

    python -m rollwave.solvers.validate                  the quick cases, about a minute
    python -m rollwave.solvers.validate --full           every case, several minutes
    python -m rollwave.solvers.validate burgers schemes  the cases of some equations

What a run does not measure again keeps its last record, with the commit that it was measured at. Exits with 1 where a
case that was run fails.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from . import CASES, name_of
from .record import Record, commit_of, line, measure, merged, versions
from .report import markdown

ROOT = Path(__file__).resolve().parents[2]
RECORD = "benchmarks/results/validation.json"


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The program's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m rollwave.solvers.validate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("equations", nargs="*", metavar="equation", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--full", action="store_true", help="also the cases that take long")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "validation.md")
    parser.add_argument("--record", type=Path, default=ROOT / RECORD)
    found = parser.parse_args(arguments)
    if unknown := set(found.equations) - set(CASES):
        parser.error(f"no such equation: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    return found


def main(arguments: list[str] | None = None) -> int:
    given = parsed(arguments)
    torch.set_num_threads(1)
    commit, records = commit_of(ROOT), list[Record]()
    for equation in given.equations or CASES:
        quick, long = CASES[equation]
        for case in (*quick, *long) if given.full else quick:
            records.append(measure(equation, case, full=case in long, commit=commit))
            sys.stdout.write(line(records[-1]) + "\n")
            sys.stdout.flush()
    old = json.loads(given.record.read_text())["cases"] if given.record.exists() else []
    known = [(equation, name_of(case)) for equation, pair in CASES.items() for case in (*pair[0], *pair[1])]
    document = {"commit": commit, "versions": versions(), "cases": merged(old, records, known)}
    for path, text in (
        (given.record, json.dumps(document, indent=1) + "\n"),
        (given.output, markdown(json.loads(json.dumps(document)), RECORD)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    failed = sum(not record["passed"] for record in records)
    sys.stdout.write(f"{len(records) - failed} of {len(records)} cases passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

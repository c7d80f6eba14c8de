"""What a run leaves behind: one record per case, as JSON, and how records of several runs join."""

import math
import platform
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from .case import Case, name_of

Record: TypeAlias = dict[str, Any]


def measure(equation: str, case: Case, *, full: bool, commit: str) -> Record:
    """One case: its result or what went wrong, and the seconds it took."""
    begin = time.perf_counter()
    record: Record = {"equation": equation, "case": name_of(case), "full": full, "commit": commit, "failure": None}
    try:
        result = case()
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        record |= {"failure": f"{type(error).__name__}: {error}", "passed": False}
    else:
        finite = {"figure": finite_or_none(result.figure), "order": finite_or_none(result.order)}
        record |= asdict(result) | finite | {"passed": result.passed}
    return record | {"seconds": round(time.perf_counter() - begin, 2)}


def finite_or_none(value: float | None) -> float | None:
    """JSON knows no infinities."""
    return value if value is not None and math.isfinite(value) else None


def merged(old: list[Record], new: list[Record], known: list[tuple[str, str]]) -> list[Record]:
    """Records of the known cases in their order; what was measured again replaces what was recorded."""
    latest = {(record["equation"], record["case"]): record for record in (*old, *new)}
    return [latest[key] for key in known if key in latest]


def commit_of(root: Path) -> str:
    """Short hash of the checkout, with a plus where the solvers differ from it; `unknown` outside one."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True).stdout.strip()

    try:
        head = git("rev-parse", "--short", "HEAD")
    except OSError:
        return "unknown"
    return f"{head}{'+' if git('status', '--porcelain', '--', 'solvers') else ''}" if head else "unknown"


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def line(record: Record) -> str:
    """One line for the terminal."""
    mark = "passed" if record["passed"] else "FAILED"
    if record["failure"]:
        return f"{mark}  {record['equation']} {record['case']}: {record['failure']}"
    order = "" if record["order"] is None else f", order {record['order']:.2f}"
    figure = "not a number" if record["figure"] is None else f"{record['figure']:.4g}"
    return f"{mark}  {record['equation']} {record['case']}: {record['measures']} {figure}{order}, {record['seconds']} s"

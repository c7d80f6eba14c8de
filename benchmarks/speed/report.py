"""`docs/speed.md` from what has been measured, and from nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .report_precision import precision
from .words import bracketed, milli, section, times, title

HEAD = """# Speed

What a step costs, beside other packages and beside the Fourier transforms that the step cannot do without. A figure in
brackets is the spread `[first quartile, third quartile]` over the rounds of one run, in which all programs take turns;
a ratio is rollwave's time over the other's within a round, so below one rollwave is faster. Before anything is timed
the fields after 20 steps are compared, and a package that disagrees gets no ratio. `met` and `missed` are said of the
median.

This page is written by `python benchmarks/solvers.py --report` from `benchmarks/results/solvers_*.json` and
`benchmarks/results/work_precision.json`. To measure again: `python benchmarks/solvers.py`, `python
benchmarks/work_precision.py`; the first says how to install the other packages.
"""

# The largest ratio that was aimed at, on one thread; exponax by points.
TARGETS: dict[str, Callable[[list[int]], float]] = {
    "exponax": lambda points: 1.2 if points == [256] else 1.0,
    "torchfsm": lambda points: 0.25,
    "torch-cfd": lambda points: 0.5,
    "amangkurat": lambda points: 0.15,
}
SOLITON_TARGET = 0.15
CARD_TARGET = 1.5


def page(results: Path) -> str:
    """The whole page."""
    cpu, card, work = (read(results / f"{name}.json") for name in ("solvers_cpu", "solvers_cuda", "work_precision"))
    parts = [HEAD]
    if cpu:
        one = [row for row in cpu["rows"] if row["threads"] == 1]
        two = [row for row in cpu["rows"] if row["threads"] > 1]
        parts += [
            setting(cpu),
            beside_peers(one, cpu["peers"]),
            soliton(cpu.get("soliton")),
            floors(one),
            threads(two),
        ]
    parts += [on_a_card(card), precision(work)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def read(path: Path) -> dict[str, Any] | None:
    """What has been measured, or none."""
    return json.loads(path.read_text()) if path.exists() else None


def setting(measured: dict[str, Any]) -> str:
    """On what, with what."""
    versions = measured["versions"]
    packages = ", ".join(f"{name} {version or 'not installed'}" for name, version in measured["peers"].items())
    return (
        f"Measured on {measured['device']}, {measured['cores']} cores shared with other work (load "
        f"{measured['load']:.1f}), torch {versions['torch']}, Python {versions['python']}, commit "
        f"{versions['commit']}. Beside it: {packages}."
    )


def beside_peers(rows: list[dict[str, Any]], versions: dict[str, str | None]) -> str:
    """Every comparison on one thread, with its target, and how many were met."""
    lines, tally = [], {name: [0, 0] for name in TARGETS}
    for row in rows:
        for package, name in fastest(row).items():
            peer, target = row["peers"][name], TARGETS[package](row["points"])
            if not peer["agrees"]:
                verdict = f"differs by {peer['difference']:.0e} | | {target:g} | no ratio"
            else:
                ratio, met = row["ratio"][name], row["ratio"][name]["median"] <= target
                tally[package][0] += met
                tally[package][1] += 1
                verdict = f"{times(row, name)} | {bracketed(ratio)} | {target:g} | {'met' if met else 'missed'}"
            lines.append(f"| {title(row)} | {times(row, 'rollwave')} | {name} ({peer['way']}) | {verdict} |")
    for name, version in versions.items():
        if version is None and name in TARGETS:
            lines.append(f"| all | | {name} | not installed | | | |")
    counted = ", ".join(f"{name} {met} of {total}" for name, (met, total) in tally.items() if total)
    text = (
        "Microseconds of processor time per step and trajectory. Of several ways to use a package the fastest stands "
        f"here, chosen row by row. Targets met: {counted}."
    )
    head = ["equation, points, type, scheme", "rollwave", "package (way)", "its time", "ratio", "target", ""]
    return section("Beside other packages, one thread", text, head, lines)


def fastest(row: dict[str, Any]) -> dict[str, str]:
    """Of each package the way that took least time, or the first where none agrees."""
    best: dict[str, str] = {}
    for name in row["peers"]:
        package = name.split(" ")[0]
        seconds = row["seconds"].get(name, {"median": float("inf")})["median"]
        if package not in best or seconds < row["seconds"].get(best[package], {"median": float("inf")})["median"]:
            best[package] = name
    return best


def soliton(measured: dict[str, Any] | None) -> str:
    """Seconds to an accuracy."""
    if measured is None:
        return ""
    s, lines = measured["setting"], []
    ((package, peer),) = measured["peers"].items()
    for name, entry in measured["schemes"].items():
        if entry["steps"] is None:
            lines.append(f"| rollwave {name} | does not reach it | | | |")
            continue
        met = "" if peer is None else "met" if entry["ratio"]["median"] <= SOLITON_TARGET else "missed"
        against = "" if peer is None else bracketed(entry["ratio"])
        lines.append(
            f"| rollwave {name} | {entry['steps']} | {entry['error']:.1e} | {milli(entry)} | {against} {met} |"
        )
    if peer is None:
        lines.append(f"| {package} | not installed | | | |")
    else:
        lines.append(f"| {package} | its own | {peer['error']:.1e} | {milli(peer)} | |")
    text = (
        f"A soliton of amplitude {s['amplitude']:g} over {s['time']:g} time units on {s['points']} points, L = "
        f"{s['length']:g}, to an error of {s['goal']:g} anywhere: the fewest steps (in factors of sqrt 2) that reach "
        f"it, in milliseconds of processor time per trajectory, {s['batch']} at once (the package: one by one). "
        f"Target: a ratio of at most {SOLITON_TARGET:g}."
    )
    head = ["program", "steps", "error", "ms per trajectory", "ratio"]
    return section("Schroedinger equation: time to an accuracy", text, head, lines)


def floors(rows: list[dict[str, Any]]) -> str:
    """Distance to the transforms alone."""
    lines = []
    for row in rows:
        made = ", ".join(f"{count:g} of {kind}" for kind, count in row["transforms"].items())
        least, moved = (row["bytes"][key] / row["batch"] / 1024 for key in ("transforms", "moved"))
        lines.append(
            f"| {title(row)} | {made} | {times(row, 'transforms')} | {times(row, 'rollwave')} "
            f"| {bracketed(row['ratio']['transforms'])} | {least:.0f} | {moved:.0f} |"
        )
    text = (
        "The transforms that a step makes, counted at the dispatcher and repeated on noise with nothing between them, "
        "in microseconds per step and trajectory; and the KiB that pass per step and trajectory if each transform "
        "reads its input and writes its output once, and what all operators read and write."
    )
    head = ["equation, points, type, scheme", "transforms", "alone", "rollwave", "ratio", "KiB at least", "KiB moved"]
    return section("Beside the transforms alone, one thread", text, head, lines)


def threads(rows: list[dict[str, Any]]) -> str:
    """Several threads, in wall time."""
    lines = []
    for row in rows:
        ratios = [f"{name} {bracketed(row['ratio'][name])}" for name in fastest(row).values() if name in row["ratio"]]
        lines.append(
            f"| {title(row)} | {row['threads']} | {times(row, 'rollwave')} | {bracketed(row['ratio']['transforms'])} "
            f"| {'; '.join(ratios)} |"
        )
    text = (
        "Microseconds on the wall per step and trajectory: other work on the machine slows whatever waits for both "
        "cores. A program that hands its batch to threads in many small pieces suffers most."
    )
    head = ["equation, points, type, scheme", "threads", "rollwave", "ratio to the transforms", "ratio to packages"]
    missing = ["| all rows | " + " | ".join(["not yet measured"] * (len(head) - 1)) + " |"]
    return section("Two threads", text, head, lines or missing)


def on_a_card(measured: dict[str, Any] | None) -> str:
    """The rows of a card, or that there are none yet."""
    head = [
        "equation, points, type, scheme",
        "batch",
        "transforms alone",
        "rollwave",
        "ratio",
        f"target {CARD_TARGET:g}",
    ]
    text = (
        "Steps on a CUDA device against the cuFFT calls alone, both replayed from graphs, in microseconds per step and "
        "trajectory between events."
    )
    if measured is None or measured["dry_run"]:
        return section("On a card", text, head, ["| all rows | " + " | ".join(["not yet measured"] * 5) + " |"])
    lines = []
    for row in measured["rows"]:
        ratio = row["ratio"]["transforms"]
        met = "met" if ratio["median"] <= CARD_TARGET else "missed"
        alone, own = times(row, "transforms"), times(row, "rollwave")
        lines.append(f"| {title(row)} | {row['batch']} | {alone} | {own} | {bracketed(ratio)} | {met} |")
    return section("On a card", f"{text} {measured['device']}, commit {measured['versions']['commit']}.", head, lines)

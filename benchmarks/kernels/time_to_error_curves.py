"""When a curve of validation errors falls under a threshold, and who was how much sooner."""

import math
from typing import Any

from speed.timing import ratio, spread

# Shares of the error of predicting no change, by problem: round numbers, fixed after trials of rollwave alone with a
# seed that is not measured, one that it reached early and one that it reached late.
SHARES = {"kuramoto_sivashinsky": (0.05, 0.01), "navier_stokes": (0.5, 0.3), "tiny": (1.0, 1e-3)}
# Time of the first over time of the second, of the same seed.
RATIOS = {"stock": ("neuraloperator", "rollwave"), "kept": ("neuraloperator, memory kept", "rollwave")}

Curve = list[dict[str, Any]]


def crossing(curve: Curve, threshold: float) -> dict[str, float] | None:
    """Seconds and steps at which the error is `threshold`: between the first validation below it, at `b`, and the one
    before, at `a`,

        t = t_a + (t_b - t_a) log(e_a / threshold) / log(e_a / e_b).

    Those of `b` where there is none before; None where no validation was below.
    """
    before = None
    for point in curve:
        if point["error"] < threshold:
            share = 1.0
            if before is None:
                before = point
            else:
                share = math.log(before["error"] / threshold) / math.log(before["error"] / point["error"])
            return {key: before[key] + share * (point[key] - before[key]) for key in ("seconds", "step")}
        before = point
    return None


def summary(name: str, persistence: float, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each threshold the crossings of all runs, and medians and quartiles where every run got there."""
    return [one(share, share * persistence, runs) for share in SHARES[name]]


def one(share: float, threshold: float, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One threshold."""
    found = {name: [crossing(run["curves"][name], threshold) for run in runs] for name in runs[0]["curves"]}
    entry: dict[str, Any] = {"share": share, "threshold": threshold, "crossings": found}
    seconds = {name: [point["seconds"] for point in points if point] for name, points in found.items()}
    if any(len(values) < len(runs) for values in seconds.values()):
        return entry | {"seconds": None, "step": None, "ratio": None}
    return entry | {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "step": {name: spread([point["step"] for point in points if point]) for name, points in found.items()},
        "ratio": {name: ratio(seconds[a], seconds[b]) for name, (a, b) in RATIOS.items()},
    }


def whole(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds of all steps and their ratios, the errors at the end, and how far the curves of one seed lie apart."""
    names = list(runs[0]["curves"])
    seconds = {name: [run["curves"][name][-1]["seconds"] for run in runs] for name in names}
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "ratio": {name: ratio(seconds[a], seconds[b]) for name, (a, b) in RATIOS.items()},
        "error": {name: spread([run["curves"][name][-1]["error"] for run in runs]) for name in names},
        "apart": max(apart(run, name) for run in runs for name in names),
        "first_losses_apart": max(losses_apart(run, name) for run in runs for name in names),
    }


def apart(run: dict[str, Any], name: str) -> float:
    """Largest relative difference of a contender's validation errors from rollwave's at the same steps."""
    pairs = zip(run["curves"][name], run["curves"]["rollwave"], strict=True)
    return max(abs(theirs["error"] / ours["error"] - 1) for theirs, ours in pairs)


def losses_apart(run: dict[str, Any], name: str) -> float:
    """The same of the training losses of the first steps."""
    pairs = zip(run["losses"][name], run["losses"]["rollwave"], strict=True)
    return max(abs(theirs / ours - 1) for theirs, ours in pairs)

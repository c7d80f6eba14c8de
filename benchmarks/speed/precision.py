"""Error against seconds: every scheme that suits a problem, over a range of steps; and who is first."""

import itertools
import math
import warnings
from typing import Any

import torch
from torch import Tensor

from rollwave.solvers import SimulationError, Stepper
from rollwave.solvers.run import run
from rollwave.solvers.stepper import schemes
from rollwave.solvers.steps import accurate_steps

from .cases import adaptive
from .problems import Problem
from .timing import processor_time

GOALS = (1e-3, 1e-6, 1e-9)
# Tolerances of an adaptive scheme.
TOLERANCES = tuple(10.0**-digits for digits in range(3, 13))
# Refinement ends below this error, or above so many seconds for the batch, or when it no longer helps.
SMALLEST, LONGEST = 1e-11, 3.0
BATCH = {1: 8, 2: 2}
# A scheme stays on the front while no other is faster than this part of its time: less is within the noise.
NOISE = 0.9


def survey(problem: Problem, *, longest: float = LONGEST) -> dict[str, Any]:
    """Points of every scheme (steps or tolerance, seconds per trajectory, error), the front, the default's place."""
    suited = [scheme for scheme in schemes() if isinstance(problem.equation, scheme.requires)]
    points = {scheme.__name__: curve(problem, scheme, longest) for scheme in suited}
    default, grid, start = problem.equation.default_stepper, problem.grid, problem.start
    suggested = math.ceil(problem.time / problem.equation.suggested_step(grid))
    automatic = accurate_steps(problem.equation, grid, start[None], default, problem.time)
    return {
        "equation": problem.label,
        "points": list(grid.points),
        "lengths": list(grid.lengths),
        "time": problem.time,
        "known": problem.known,
        "batch": BATCH[grid.ndim],
        "schemes": points,
        "front": {f"{goal:g}": first(points, goal) for goal in GOALS},
        "default": {
            "scheme": default.__name__,
            "suggested": place(problem, default, suggested, points),
            "automatic": place(problem, default, automatic, points),
        },
    }


def curve(problem: Problem, scheme: type[Stepper], longest: float) -> list[dict[str, float]]:
    """Points of one scheme, from coarse to fine."""
    found: list[dict[str, float]] = []
    for setting in TOLERANCES if adaptive(scheme) else (8 * 2**level for level in itertools.count()):
        point = attempt(problem, scheme, setting, longest)
        if point is None:
            if found or setting > 1e6:
                break
            continue
        found.append(point)
        best = min((p["error"] for p in found[:-1]), default=math.inf)
        ended = point["error"] < SMALLEST or (best < 1e-4 and point["error"] > 0.5 * best)
        if ended or point["seconds"] * BATCH[problem.grid.ndim] > longest:
            break
    return found


def attempt(problem: Problem, scheme: type[Stepper], setting: float, longest: float) -> dict[str, float] | None:
    """One point, or none where the scheme refuses, blows up, or is off by more than the field itself."""
    u = problem.start.expand(BATCH[problem.grid.ndim], *problem.start.shape).contiguous()
    kept = getattr(scheme, "tolerance", None)
    try:
        if kept is not None:
            scheme.tolerance = setting  # type: ignore[attr-defined]
        steps = 1 if kept is not None else int(setting)
        bound = scheme(problem.equation, problem.grid, problem.time / steps)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            end, times = run(bound, u, steps, 1)[:, -1], []
            while sum(times) < min(0.3, longest / 4) and len(times) < 5:
                times.append(processor_time(lambda: run(bound, u, steps, 1)))
    except (SimulationError, ValueError, ArithmeticError):
        return None
    finally:
        if kept is not None:
            scheme.tolerance = kept  # type: ignore[attr-defined]
    error = distance(end[0], problem.end)
    if not error < 1:
        return None
    return {"setting": setting, "seconds": min(times) / len(u), "error": error}


def distance(u: Tensor, end: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return ((u - end).abs().max() / end.abs().max()).item()


def cost(points: list[dict[str, float]], goal: float) -> float:
    """Seconds to an error, between the points as a power law; infinite where no point reaches it."""
    before = None
    for point in points:
        if point["error"] <= goal:
            if before is None or before["error"] <= goal:
                return point["seconds"]
            share = math.log(before["error"] / goal) / math.log(before["error"] / point["error"])
            return before["seconds"] * (point["seconds"] / before["seconds"]) ** share
        before = point
    return math.inf


def first(points: dict[str, list[dict[str, float]]], goal: float) -> dict[str, Any] | None:
    """The scheme that reaches an error soonest, and all costs."""
    costs = {name: cost(found, goal) for name, found in points.items()}
    reached = {name: seconds for name, seconds in sorted(costs.items(), key=lambda item: item[1]) if seconds < math.inf}
    return {"scheme": next(iter(reached)), "seconds": reached} if reached else None


def place(
    problem: Problem, scheme: type[Stepper], steps: int, points: dict[str, list[dict[str, float]]]
) -> dict[str, Any]:
    """The error and the seconds of a number of steps of the default, and who would be there sooner."""
    point = attempt(problem, scheme, steps, LONGEST)
    if point is None:
        return {"steps": steps, "error": None}
    others = {name: cost(found, point["error"]) for name, found in points.items() if name != scheme.__name__}
    best = min(others, key=lambda name: others[name], default=None)
    beaten = best if best is not None and others[best] < NOISE * point["seconds"] else None
    ahead = {"beaten_by": beaten, "part": others[beaten] / point["seconds"] if beaten else None}
    return {"steps": steps, "error": point["error"], "seconds": point["seconds"]} | ahead

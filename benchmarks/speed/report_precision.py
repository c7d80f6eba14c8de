"""The part of `docs/speed.md` on accuracy for time."""

from typing import Any


def precision(measured: dict[str, Any] | None) -> str:
    """For every equation who is first at three errors, and where the default is."""
    if measured is None:
        return ""
    text = (
        "Error against seconds per trajectory for every scheme that suits an equation, in float64 on one thread "
        f"(commit {measured['versions']['commit']}): the largest error at the end, relative to the largest value. A "
        "scheme is first at an error if a power law between its measured points gets there soonest; milliseconds per "
        "trajectory in brackets. `suggested` and `automatic` are the default scheme at `suggested_step` and at the "
        "step that `simulate` finds by itself."
    )
    head = ["equation", "first at 1e-3", "at 1e-6", "at 1e-9", "default", "suggested", "automatic"]
    table = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *map(line, measured["problems"])]
    ends = [f"{p['equation']}: {ending(p)}" for p in measured["problems"]]
    picture = "![error against seconds](figures/work_precision.png)"
    return "\n\n".join(["## Accuracy for time", text, "\n".join(table), "\n".join(f"- {end}" for end in ends), picture])


def line(problem: dict[str, Any]) -> str:
    """One equation in the table."""
    fronts = [told(problem["front"][goal]) for goal in problem["front"]]
    default = problem["default"]
    places = [where(default[key]) for key in ("suggested", "automatic")]
    return f"| {' | '.join([problem['equation'], *fronts, default['scheme'], *places])} |"


def told(front: dict[str, Any] | None) -> str:
    """The first scheme and its time."""
    if front is None:
        return "none"
    return f"{front['scheme']} ({front['seconds'][front['scheme']] * 1e3:.2g})"


def where(place: dict[str, Any]) -> str:
    """A number of steps, its error and its time."""
    if place["error"] is None:
        return f"{place['steps']} steps: no result"
    return f"{place['steps']} steps, {place['error']:.0e} ({place['seconds'] * 1e3:.2g})"


def ending(problem: dict[str, Any]) -> str:
    """The problem, and whether the default is on the front."""
    points = "^".join([f"{problem['points'][0]}", f"{len(problem['points'])}"]).removesuffix("^1")
    verdicts = []
    for key in ("suggested", "automatic"):
        place = problem["default"][key]
        if place["error"] is None:
            verdicts.append(f"the {key} step gives no result")
        elif place["beaten_by"]:
            other = f"{place['beaten_by']} is as accurate in {place['part']:.2f} of its time"
            verdicts.append(f"the {key} step is off the front: {other}")
        else:
            verdicts.append(f"the {key} step is on the front{excess(problem, place)}")
    end = problem["known"]
    return f"{points} points, {problem['time']:g} time units against {end}; {'; '.join(verdicts)}."


def excess(problem: dict[str, Any], place: dict[str, Any]) -> str:
    """How much dearer a place is than an error of 1e-6 with the same scheme, where that is much."""
    front = problem["front"]["1e-06"]
    enough = front["seconds"].get(problem["default"]["scheme"]) if front else None
    if enough is None or place["seconds"] < 3 * enough:
        return ""
    return f", at {place['seconds'] / enough:.0f} times the cost of an error of 1e-6"

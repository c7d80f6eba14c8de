"""`docs/datasets.md`: every recipe in words and figures, from results/recipes.json and the recipes themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollwave.datasets import Recipe
from rollwave.datasets.metadata import SPLITS

HEAD = """# Datasets

Every recipe of `configs/dataset`: `python generate.py dataset=<name>`. Trajectories are train + valid + test, their
shape is frames (of a test trajectory, where it has more) x channels x points, in float32. The errors are those of the
truth, measured on a few trajectories over the horizon and stored with each dataset: relative differences from the
solution with half the step and from the one on twice the points, and the largest gap in a budget. Nothing is written
where they miss the tolerance. In chaotic flows errors grow; there the horizon is a few Lyapunov times.

Time is processor time on one thread; blocks of trajectories are independent, so `n` cores take an `n`-th of it. `*`:
generated in full; else measured at fewer trajectories (in two dimensions one at a time), with the same grid, step and
frames, and scaled by the number of steps. The size on disk is scaled likewise, uncompressed. Nothing on this page is
typed by hand: `python benchmarks/recipes.py` measures what has changed and writes it.

| recipe | equation | trajectories | shape | size | time | step error | grid error | budgets | horizon |
|---|---|---|---|---|---|---|---|---|---|
"""


def page(entries: Mapping[str, Any], recipes: Mapping[str, Recipe], titles: Mapping[str, str]) -> str:
    """The text, of the recipes that have been measured; `titles` are the first lines of the files."""
    shown = [name for name in recipes if name in entries]
    rows = "".join(row(recipes[name], entries[name]) + "\n" for name in shown)
    sections = "\n".join(section(recipes[name], entries[name], titles[name]) for name in shown)
    return HEAD + rows + "\n" + sections + "\n" + machines(entries)


def row(recipe: Recipe, entry: Mapping[str, Any]) -> str:
    """One line of the table."""
    certificate = entry["certificate"]
    budgets = max(certificate["budget_error"].values(), default=0.0)
    errors = [certificate["step_error"], certificate["grid_error"], budgets]
    trajectories = " + ".join(f"{recipe.count(split):,}" for split in SPLITS)
    star = " *" if entry["measured"]["in_full"] else ""
    cells = [
        f"[{recipe.name}](#{recipe.name})", recipe.build_equation().name.replace("_", " "), trajectories, shape(recipe),
        size(entry["bytes"]), duration(entry["seconds"]) + star, *(f"{error:.0e}" for error in errors),
        f"{certificate['horizon']:g}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def section(recipe: Recipe, entry: Mapping[str, Any], title: str) -> str:
    """What a recipe is, where it comes from and how it is solved."""
    points = " x ".join(str(n) for n in recipe.points)
    box = " x ".join(f"{length:.6g}" for length in recipe.lengths)
    warmup = f" after a warm-up of {recipe.warmup:g}" if recipe.warmup else ""
    exponent = recipe.lyapunov_exponent
    lyapunov = f" Leading Lyapunov exponent {exponent:g}." if exponent else ""
    solved = (
        f"`{formula(recipe.equation)}` from `{formula(recipe.initial_condition or {})}` on {points} points of a box of "
        f"{box}, by {str(recipe.stepper).rpartition('.')[2]} with steps of {recipe.dt:.6g}; frames every "
        f"{recipe.interval:.6g}{warmup}.{lyapunov}"
    )
    cost = (
        f"A trajectory: {size(entry['bytes_per_trajectory'])}, {duration(entry['seconds_per_trajectory'])}; the "
        f"certificate of {entry['certificate']['samples']}: {duration(entry['certificate_seconds'])}."
    )
    lines = [title, "", f"- Source: {recipe.source}.", f"- Differences: {str(recipe.differences).rstrip('.')}."]
    return "\n".join([f"## {recipe.name}", "", *lines, f"- Solved: {solved}", f"- {cost}", ""])


def formula(values: Any) -> str:
    """A described object as it would be called."""
    if isinstance(values, Mapping):
        arguments = ", ".join(f"{key}={formula(value)}" for key, value in values.items() if key != "_target_")
        return f"{str(values.get('_target_', '')).rpartition('.')[2]}({arguments})"
    if isinstance(values, list | tuple):
        return "(" + ", ".join(formula(value) for value in values) + ")"
    return f"{values:.6g}" if isinstance(values, float) else str(values)


def shape(recipe: Recipe) -> str:
    """Frames, channels and points of a trajectory."""
    test = f" ({recipe.test_frames})" if recipe.test_frames != recipe.frames else ""
    parts = [f"{recipe.frames}{test}", str(len(recipe.build_equation().channels))]
    return " x ".join(parts + [str(points) for points in recipe.stored_points])


def size(count: float) -> str:
    """Bytes in decimal units."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds >= 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.2g} s"


def machines(entries: Mapping[str, Any]) -> str:
    """Versions and processors that the measurements were made with."""
    seen: dict[str, list[str]] = {}
    for name, entry in entries.items():
        versions = entry["versions"]
        label = f"torch {versions['torch']}, {versions['processor']}, solvers and datasets of {versions['commit'][:7]}"
        label += " with changes" if versions["commit"].endswith("+changes") else ""
        seen.setdefault(label, []).append(name)
    return "Measured with\n\n" + "".join(f"- {label}: {', '.join(which)}\n" for label, which in sorted(seen.items()))


def title_of(path: Path) -> str:
    """The first line of a recipe's file, without its sign."""
    return path.read_text().splitlines()[0].removeprefix("# ")

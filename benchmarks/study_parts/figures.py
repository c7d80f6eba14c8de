"""Pictures of the page: error growth with its spread over seeds, and the distance from the attractor."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .columns import ATTRACTOR, Record
from .rows import Found

# Curves of a picture; beyond that many, a second one begins.
CURVES = 8


def draw(found: Sequence[Found], floors: Mapping[str, Record], docs: Path) -> list[str]:
    """Write the pictures of a table on a system; Markdown that shows them."""
    import matplotlib

    matplotlib.use("Agg")
    system, number = found[0].row.system, found[0].row.table.number
    there = [row for row in found if row.records]
    if not there:
        return []
    folder = docs / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    shown = [(f"study_{number}_{system.name}_error", "growth of the error", error_growth)]
    if system.attractor:
        shown.append((f"study_{number}_{system.name}_attractor", "distance from the attractor", distances))
    lines = []
    for name, words, picture in shown:
        figure = picture(there, floors)
        figure.savefig(folder / f"{name}.png", dpi=110, bbox_inches="tight", metadata={"Software": None})
        lines.append(f"![table {number}, {system.name}: {words}](figures/{name}.png)\n")
    return lines


def error_growth(found: Sequence[Found], floors: Mapping[str, Record]) -> Any:
    """Median nRMSE against steps; the band spans the seeds."""
    from matplotlib.figure import Figure

    panels = math.ceil(len(found) / CURVES)
    figure = Figure(figsize=(6.0 * panels, 4.0))
    for panel in range(panels):
        axes = figure.add_subplot(1, panels, panel + 1)
        for index, row in enumerate(found[panel * CURVES : (panel + 1) * CURVES]):
            curves = [_curve(record) for record in row.records]
            columns = [sorted(values) for values in zip(*curves, strict=False)]
            steps = range(1, len(columns) + 1)
            axes.plot(steps, [c[len(c) // 2] for c in columns], f"C{index}", label=row.row.entry.name, lw=1.2)
            axes.fill_between(steps, [c[0] for c in columns], [c[-1] for c in columns], color=f"C{index}", alpha=0.2)
        for name in ("persistence", "climatology"):
            if name in floors:
                curve = _curve(floors[name])
                axes.plot(range(1, len(curve) + 1), curve, "k--" if name == "persistence" else "k:", lw=0.8, label=name)
        axes.set(xscale="log", yscale="log", xlabel="step", ylabel="nRMSE", ylim=(None, 10))
        axes.legend(fontsize=7)
    return figure


def distances(found: Sequence[Found], floors: Mapping[str, Record]) -> Any:
    """The four distances of every row, a dot a seed, and the floor of independent truth as a line."""
    from matplotlib.figure import Figure

    shown = ATTRACTOR[3:7]
    figure = Figure(figsize=(3.2 * len(shown), 1.0 + 0.28 * len(found)))
    names = [row.row.entry.name for row in found]
    for index, column in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), index + 1)
        for place, row in enumerate(found):
            values = [value for value in row.values(column).values() if math.isfinite(value)]
            axes.plot(values, [place] * len(values), "o", color="C0", ms=4, alpha=0.7)
        floor = column.figure(floors.get("truth against truth", {}))
        if floor is not None:
            axes.axvline(floor, color="k", ls=":", lw=0.9)
        axes.set(title=column.title, ylim=(len(found) - 0.5, -0.5))
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.set_yticks(range(len(names)), names if index == 0 else [""] * len(names), fontsize=7)
    figure.tight_layout()
    return figure


def _curve(record: Record) -> list[float]:
    """The median nRMSE of every step; what is not a finite number ends at the top of the picture."""
    curve = record["test"]["sets"]["test"]["curve"]
    return [100.0 if value is None or isinstance(value, str) else min(float(value), 100.0) for value in curve]

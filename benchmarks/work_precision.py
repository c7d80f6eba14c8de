"""Error against seconds for every equation and every scheme that suits it: is the default on the front?

    python benchmarks/work_precision.py                   writes results/work_precision.json and the figure
    python benchmarks/work_precision.py --only Burgers    one equation, printed
    python benchmarks/work_precision.py --figure          the figure again, from what has been measured

Every problem has an exact end, or one computed by the adaptive scheme. Schemes are found by what they require of an
equation. Seconds are processor time of one thread, per trajectory of a small batch. `docs/speed.md` shows the result:
`python benchmarks/solvers.py --report` writes it.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from speed.precision import survey
from speed.problems import problems
from speed.report_precision import ending, line

from solvers import ROOT, about

RESULT = ROOT / "benchmarks" / "results" / "work_precision.json"
FIGURE = ROOT / "docs" / "figures" / "work_precision.png"


def draw(measured: dict[str, Any], path: Path) -> None:
    """One panel an equation; the default's suggested and automatic steps are circled."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = sorted({name for problem in measured["problems"] for name in problem["schemes"]})
    marks = dict(zip(names, "osv^D<>Ph*XpH", strict=False))
    columns = 4
    rows = -(-len(measured["problems"]) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4 * columns, 3.4 * rows), squeeze=False)
    for panel, problem in zip(axes.flat, measured["problems"], strict=False):
        for name, points in problem["schemes"].items():
            default = name == problem["default"]["scheme"]
            style = {"marker": marks[name], "color": f"C{names.index(name)}", "markersize": 4}
            seconds, errors = [p["seconds"] for p in points], [p["error"] for p in points]
            panel.loglog(seconds, errors, label=name, linewidth=2.2 if default else 1.0, **style)
        for key, face, size in (("suggested", "none", 150), ("automatic", "black", 60)):
            place = problem["default"][key]
            if place["error"] is not None:
                ring = {
                    "s": size,
                    "edgecolors": "black",
                    "facecolors": face,
                    "zorder": 5,
                    "label": f"default, {key} step",
                }
                panel.scatter(place["seconds"], place["error"], **ring)
        panel.set_title(problem["equation"], fontsize=10)
        panel.grid(alpha=0.3)
    for panel in axes.flat[len(measured["problems"]) :]:
        panel.axis("off")
    for panel in axes[-1]:
        panel.set_xlabel("seconds per trajectory")
    for panel in axes[:, 0]:
        panel.set_ylabel("relative error")
    labels = {
        text: handle for panel in axes.flat for handle, text in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labels.values(), labels.keys(), loc="lower center", ncols=6, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of an equation's label; keeps nothing")
    parser.add_argument("--figure", action="store_true", help="draw again what has been measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.figure:
        surveys, setting = [], about(torch.device("cpu"))
        for label, build in problems().items():
            if arguments.only in label:
                surveys.append(survey(build()))
                print(line(surveys[-1]), ending(surveys[-1]), sep="\n", flush=True)
        if arguments.only:
            return
        RESULT.write_text(json.dumps({"problems": surveys} | setting, indent=1) + "\n")
    draw(json.loads(RESULT.read_text()), FIGURE)


if __name__ == "__main__":
    main()

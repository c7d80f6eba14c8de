"""Curves: growth of the error, spectra, drift of invariants; medians as lines, quartiles as bands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from .style import COLOURS, LABELS, Scale, lyapunov_axis, new_figure
from .summary import quartiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIME = "time after the last input frame"


def error_growth(
    curves: Mapping[str, Mapping[str, Float[Tensor, "n t"]]], scale: Scale, thresholds: Sequence[float] = (0.8, 0.9)
) -> "Figure":
    """nRMSE (logarithmic) and correlation against time; bands for the model and the solver alone.

    Args:
        curves: for each candidate, its `nrmse` and `correlation` curves.
        thresholds: correlations at which the correlation time is read off.
    """
    figure = new_figure(7.4, 3.0)
    left, right = figure.subplots(1, 2)
    for name, pair in curves.items():
        for axes, key in ((left, "nrmse"), (right, "correlation")):
            band(axes, scale.times(pair[key].shape[1]), pair[key], name, spread=name in ("model", "solver"))
            axes.set_xlim(0, scale.times(pair[key].shape[1])[-1])
    left.set(yscale="log", ylabel="nRMSE", xlabel=TIME)
    floor = min(float(pair["nrmse"].clamp(min=1e-12).min()) for pair in curves.values())
    left.set_ylim(max(floor / 2, 1e-9), 5)
    right.set(ylabel="correlation with the truth", xlabel=TIME, ylim=(-0.4, 1.04))
    for threshold in thresholds:
        right.axhline(threshold, color="#555555", linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
        right.text(
            0.99,
            threshold - 0.01,
            f"{threshold:g}",
            transform=right.get_yaxis_transform(),
            ha="right",
            va="top",
            fontsize=7,
        )
    for axes in (left, right):
        lyapunov_axis(axes, scale)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(curves))
    return figure


def band(
    axes: "Axes", x: np.ndarray, values: Float[Tensor, "n k"], name: str, *, spread: bool = True, **line: Any
) -> None:
    """A median and the range between the quartiles; where a median is infinite the line ends."""
    low, median, high = (np.where(q.isfinite(), q.numpy(), np.nan) for q in quartiles(values))
    style: dict[str, Any] = {"color": COLOURS.get(name, "#7b4fa3"), "label": LABELS.get(name, name)} | line
    style = {"zorder": 3 if name == "model" else 2} | style
    if spread:
        top = np.where(np.isnan(high), 1e30, high)
        axes.fill_between(x, low, top, where=~np.isnan(median), color=style["color"], alpha=0.18, linewidth=0)
    axes.plot(x, median, **style)


def spectra(
    spectrum: Mapping[str, Float[Tensor, "n c k"]], curves: Mapping[str, Float[Tensor, "n t"]], scale: Scale
) -> "Figure":
    """Energy by wavenumber, averaged over each rollout, and the model's error by scale against time.

    Args:
        spectrum: for each candidate and the truth.
        curves: `error_low`, `error_mid` and `error_high` of the model.
    """
    figure = new_figure(7.4, 3.0)
    left, right = figure.subplots(1, 2)
    energies = {name: value.sum(1)[:, 1:] for name, value in spectrum.items()}
    wavenumber = np.arange(1, next(iter(energies.values())).shape[1] + 1)
    for name, energy in energies.items():
        style: dict[str, Any] = {"linestyle": (0, (4, 2)), "zorder": 5} if name == "truth" else {}
        band(left, wavenumber, energy.clamp(min=1e-30), name, **style)
    peak = float(energies["truth"].max()) if "truth" in energies else 1.0
    left.set(xscale="log", yscale="log", xlabel="wavenumber $k$ (periods per domain)", ylabel="energy $E(k)$")
    left.set(ylim=(peak * 1e-13, peak * 10), xlim=(wavenumber[0], wavenumber[-1]))
    left.xaxis.set_major_formatter("{x:g}")
    left.legend(loc="lower left")
    for (name, label), colour in zip(
        (("error_low", "large scales"), ("error_mid", "middle"), ("error_high", "small scales")),
        ("#08306b", "#2f7fbc", "#9ac8e0"),
        strict=True,
    ):
        if name in curves:
            times = scale.times(curves[name].shape[1])
            band(right, times, curves[name], name, color=colour, label=label)
            right.set_xlim(0, times[-1])
    right.set(yscale="log", xlabel=TIME, ylabel="model's error / norm of the truth")
    right.legend(loc="lower right")
    lyapunov_axis(right, scale)
    return figure


def drifts(curves: Mapping[str, Mapping[str, Float[Tensor, "n t"]]], scale: Scale) -> "Figure | None":
    """Difference of each invariant from the truth's, relative, against time; None where no invariant is known."""
    names = [name for name in next(iter(curves.values())) if name.startswith("drift_")]
    if not names:
        return None
    figure = new_figure(7.4 if len(names) > 1 else 4.2, 2.8 * -(-len(names) // 2))
    panels = figure.subplots(-(-len(names) // 2), min(len(names), 2), squeeze=False).flatten()
    for axes, name in zip(panels, names, strict=False):
        for candidate in ("model", "solver"):
            if candidate in curves:
                values = curves[candidate][name].clamp(min=1e-16)
                band(axes, scale.times(values.shape[1]), values, candidate)
                axes.set_xlim(0, scale.times(values.shape[1])[-1])
        axes.set(yscale="log", xlabel=TIME, title=name.removeprefix("drift_"))
    for axes in panels[len(names) :]:
        axes.remove()
    panels[0].set_ylabel("relative difference from the truth")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure

"""One look for every figure: type, colours, colour maps, time axes. Matplotlib is imported when something is drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "truth": "#222222",
    "model": "#0b5fa5",
    "solver": "#2a9d6f",
    "persistence": "#d98a1f",
    "climatology": "#8c8c8c",
}
"""One colour for each candidate in every figure; told apart with any colour vision."""

LABELS = {
    "truth": "truth",
    "model": "model",
    "solver": "perturbed solver",
    "persistence": "persistence",
    "climatology": "climatology",
}

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "savefig.dpi": 200,
    "image.interpolation": "nearest",
}


@dataclass(frozen=True)
class Scale:
    """Where the axes of a figure get their numbers.

    Attributes:
        interval: time between frames.
        lengths: size of the box along each axis.
        channels: names of the channels.
        lyapunov_exponent: for a second time axis, in Lyapunov times.
    """

    interval: float
    lengths: tuple[float, ...]
    channels: tuple[str, ...]
    lyapunov_exponent: float | None = None

    def times(self, steps: int) -> np.ndarray:
        """Time of each predicted frame after the last input frame."""
        return self.interval * np.arange(1, steps + 1)


@contextmanager
def style() -> Iterator[None]:
    """Within it, figures are made and saved in our style. No display, no global figure."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of a size in inches that lays itself out; nothing else holds on to it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def colours_of(field: np.ndarray) -> dict[str, Any]:
    """A diverging map about zero for a field of both signs, a sequential one otherwise; limits without outliers."""
    low, high = (float(np.quantile(field, q)) for q in (0.002, 0.998))
    if low < 0 < high and min(-low, high) > 0.1 * max(-low, high):
        limit = max(-low, high)
        return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    return {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1.0}


def lyapunov_axis(axes: "Axes", scale: Scale, label: bool = True) -> None:
    """A second time axis on top, in Lyapunov times, where the exponent is known."""
    rate = scale.lyapunov_exponent
    if rate is None or rate <= 0:
        return
    top = axes.secondary_xaxis("top", functions=(lambda t: np.asarray(t) * rate, lambda t: np.asarray(t) / rate))
    top.spines["top"].set_visible(True)
    if label:
        top.set_xlabel("Lyapunov times")

"""Fields: truth, prediction and error side by side, and moving."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from .figures import TIME
from .style import COLOURS, Scale, colours_of, lyapunov_axis, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ERRORS = "magma_r"
SNAPSHOTS = 6
ANIMATION_FRAMES = 150


def rollout_panels(
    prediction: Float[Tensor, "t c *space"],
    truth: Float[Tensor, "t c *space"],
    scale: Scale,
    *,
    channel: int = 0,
    marker: float | None = None,
) -> "Figure":
    """Truth, prediction and absolute error of one rollout.

    One dimension: space-time panels. Two: snapshots at times spread evenly over the logarithm of the horizon. Three:
    the same, of the plane in the middle of the last axis. Grey is where a prediction is not finite.

    Args:
        channel: the channel that is shown.
        marker: a time to mark in the space-time panels, such as the correlation time.
    """
    fields = [u[:, channel].double().cpu().numpy() for u in (truth, prediction)]
    fields = [u[..., u.shape[-1] // 2] if u.ndim == 4 else u for u in fields]
    fields.append(np.abs(fields[1] - fields[0]))
    values = colours_of(fields[0])
    finite = fields[2][np.isfinite(fields[2])]
    largest = 2 * float(np.abs(fields[0]).max()) or 1.0
    top = min(float(np.quantile(finite, 0.998)) if finite.size else largest, largest) or largest
    maps = [values, values, {"cmap": ERRORS, "vmin": 0.0, "vmax": top}]
    name = scale.channels[channel]
    labels = [name, "|error|"]
    draw = _space_time if fields[0].ndim == 2 else _snapshots
    return draw(fields, maps, labels, scale, marker)


def _space_time(
    fields: list[np.ndarray], maps: list[dict[str, Any]], labels: list[str], scale: Scale, marker: float | None
) -> "Figure":
    figure = new_figure(7.4, 4.6)
    panels = figure.subplots(3, 1, sharex=True, sharey=True)
    times = scale.times(len(fields[0]))
    extent = (times[0] - scale.interval / 2, times[-1] + scale.interval / 2, 0.0, scale.lengths[0])
    images = []
    for axes, field, colours, title in zip(panels, fields, maps, ("truth", "prediction", "error"), strict=True):
        images.append(axes.imshow(_shown(field).T, origin="lower", aspect="auto", extent=extent, **colours))
        axes.set_ylabel("x")
        axes.set_facecolor("#bbbbbb")
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "alpha": 0.85, "linewidth": 0}
        axes.text(0.012, 0.9, title, transform=axes.transAxes, va="top", fontsize=8, bbox=box)
        if marker is not None and marker < times[-1]:
            axes.axvline(marker, color="#222222", linewidth=0.9, linestyle=(0, (4, 3)))
    _colour_bars(figure, images[1:], panels, fields, labels)
    panels[-1].set_xlabel(TIME)
    lyapunov_axis(panels[0], scale)
    return figure


def _snapshots(
    fields: list[np.ndarray], maps: list[dict[str, Any]], labels: list[str], scale: Scale, marker: float | None
) -> "Figure":
    steps = snapshot_steps(len(fields[0]))
    height = scale.lengths[1] / scale.lengths[0]
    figure = new_figure(1.2 * len(steps) + 0.9, 0.35 + 3 * 1.22 * min(max(height, 0.4), 2.0))
    panels = figure.subplots(3, len(steps), sharex=True, sharey=True, squeeze=False)
    images = []
    for row, (field, colours, title) in enumerate(zip(fields, maps, ("truth", "prediction", "error"), strict=True)):
        for axes, step in zip(panels[row], steps, strict=True):
            image = _image(axes, field[step - 1], colours, scale)
            if row == 0:
                axes.set_title(_time_label(step, scale), loc="center", fontsize=8)
        panels[row, 0].set_ylabel(title)
        images.append(image)
    _colour_bars(figure, images[1:], panels, fields, labels)
    return figure


def _colour_bars(figure: "Figure", images: list[Any], panels: Any, fields: list[np.ndarray], labels: list[str]) -> None:
    """One for truth and prediction, which share their colours, and one for the error."""
    both = np.concatenate([fields[0], fields[1]])
    for image, rows, field, label in zip(images, (panels[:2], panels[2:]), (both, fields[2]), labels, strict=True):
        extend = _extend(field, *image.get_clim())
        figure.colorbar(image, ax=rows, label=label, pad=0.012, aspect=12 * len(rows), extend=extend)


def snapshot_steps(steps: int, count: int = SNAPSHOTS) -> list[int]:
    """At most `count` different steps from the first to the last, evenly spread over their logarithm."""
    spread = np.geomspace(1, steps, min(count, steps)).round().astype(int)
    return sorted(set(spread.tolist()))


def animation(
    prediction: Float[Tensor, "t c *space"],
    truth: Float[Tensor, "t c *space"],
    scale: Scale,
    path: Path,
    *,
    channel: int = 0,
    rate: int = 15,
) -> Path:
    """Truth and prediction in motion, written to `path` (`.gif` or `.mp4`), at most `ANIMATION_FRAMES` frames.

    Raises:
        RuntimeError: an MP4 is wanted and there is no ffmpeg.
    """
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter

    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise RuntimeError("an MP4 needs the program ffmpeg, which is not on the PATH; ask for animation=gif instead")
    fields = [u[:, channel].double().cpu().numpy() for u in (truth, prediction)]
    fields = [u[..., u.shape[-1] // 2] if u.ndim == 4 else u for u in fields]
    shown = range(0, len(fields[0]), max(1, math.ceil(len(fields[0]) / ANIMATION_FRAMES)))
    figure, update = (_moving_lines if fields[0].ndim == 2 else _moving_images)(fields, scale, scale.channels[channel])
    moving = FuncAnimation(figure, update, frames=shown, blit=False)
    writer = FFMpegWriter(fps=rate, bitrate=2400) if path.suffix == ".mp4" else PillowWriter(fps=rate)
    moving.save(path, writer=writer, dpi=110)
    return path


def _moving_lines(fields: list[np.ndarray], scale: Scale, name: str) -> tuple["Figure", Any]:
    figure = new_figure(5.6, 2.6)
    axes = figure.subplots()
    x = scale.lengths[0] * np.arange(fields[0].shape[1]) / fields[0].shape[1]
    lines = [
        axes.plot(x, fields[0][0], color=COLOURS["truth"], linewidth=1.1, label="truth")[0],
        axes.plot(x, fields[1][0], color=COLOURS["model"], linewidth=1.8, alpha=0.85, label="prediction")[0],
    ]
    low, high = float(fields[0].min()), float(fields[0].max())
    margin = 0.15 * (high - low) or 1.0
    axes.set(xlim=(0, scale.lengths[0]), ylim=(low - margin, high + margin), xlabel="x", ylabel=name)
    figure.legend(loc="outside upper right", ncols=2)

    def update(frame: int) -> list[Any]:
        for line, field in zip(lines, fields, strict=True):
            line.set_ydata(_shown(field[frame]))
        axes.set_title(_time_label(frame + 1, scale))
        return [*lines]

    return figure, update


def _moving_images(fields: list[np.ndarray], scale: Scale, name: str) -> tuple["Figure", Any]:
    figure = new_figure(6.2, 2.7)
    panels, colours = figure.subplots(1, 2), colours_of(fields[0])
    images = [_image(axes, field[0], colours, scale) for axes, field in zip(panels, fields, strict=True)]
    for axes, title in zip(panels, ("truth", "prediction"), strict=True):
        axes.set_title(title)
    figure.colorbar(images[1], ax=panels, label=name, pad=0.02, aspect=16)
    heading = figure.suptitle(_time_label(1, scale), fontsize=9)

    def update(frame: int) -> list[Any]:
        for image, field in zip(images, fields, strict=True):
            image.set_data(_shown(field[frame]).T)
        heading.set_text(_time_label(frame + 1, scale))
        return [*images, heading]

    return figure, update


def _image(axes: "Axes", field: np.ndarray, colours: dict[str, Any], scale: Scale) -> Any:
    """One plane, its first axis to the right."""
    image = axes.imshow(
        _shown(field).T, origin="lower", extent=(0.0, scale.lengths[0], 0.0, scale.lengths[1]), **colours
    )
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor("#bbbbbb")
    for spine in axes.spines.values():
        spine.set_visible(True)
    return image


def _shown(field: np.ndarray) -> np.ndarray:
    """Values that are not finite left blank."""
    return np.where(np.isfinite(field), field, np.nan)


def _extend(field: np.ndarray, low: float, high: float) -> str:
    """Which ends of the colour bar have values beyond them."""
    finite = field[np.isfinite(field)]
    below, above = bool((finite < low).any()), bool((finite > high).any())
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]


def _time_label(step: int, scale: Scale) -> str:
    time = step * scale.interval
    rate = scale.lyapunov_exponent
    return f"t = {time:.4g}" + (f" ({time * rate:.2g} Lyapunov times)" if rate and scale.lengths[1:] == () else "")

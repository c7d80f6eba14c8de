"""Statistics of a rollout, drawn: how often each value occurs, paths through phase space, the entropy in time."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .figures import TIME, band
from .style import COLOURS, LABELS, Scale, lyapunov_axis, new_figure
from .waves import probe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALUES = 10_000
"""Values of a field that a density is estimated from, drawn without replacement."""

DECADES = 4
"""Of a density, below its peak, that are shown."""


def kernel_density(values: Float[Tensor, " n"], at: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """`f(y) = 1 / (n h) sum_i g((y - x_i) / h)` with `g` the unit Gaussian and `h = s n^(-1/5)` by Scott's rule.

    `s` is the standard deviation with `n - 1` degrees of freedom. `f` integrates to one, in units of one over the
    value's. The rule takes values for independent; those of one field are not, so `h` is on the narrow side.

    Raises:
        ValueError: the values do not vary.

    Reference:
        Scott (1992), doi:10.1002/9780470316849.
    """
    values, at = values.to(torch.float64), at.to(torch.float64)
    width = float(values.std()) * len(values) ** -0.2 if len(values) > 1 else 0.0
    if not width > 0:
        raise ValueError(f"a density needs values that vary, got {len(values)} with standard deviation {width}")
    distance = (at[:, None] - values) / width
    return torch.exp(-distance.square() / 2).sum(1) / (len(values) * width * math.sqrt(2 * math.pi))


def value_densities(examples: Mapping[str, Float[Tensor, "t c *space"]], scale: Scale) -> "Figure":
    """`kernel_density` of the values of each channel over all frames of a rollout, on a logarithmic axis.

    Args:
        examples: for each candidate and the truth, one rollout; frames that are not finite are left out.
    """
    count = len(scale.channels)
    figure = new_figure(7.4 if count > 1 else 4.2, 2.8)
    panels = figure.subplots(1, count, squeeze=False)[0]
    for channel, axes in enumerate(panels):
        samples = {name: sample(u[:, channel]) for name, u in examples.items()}
        low, high = (float(bound) for bound in torch.stack([*samples["truth"].aminmax()]))
        margin = 0.25 * (high - low) or 1.0
        at = torch.linspace(low - margin, high + margin, 241, dtype=torch.float64)
        peak = max([_density(axes, name, values, at) for name, values in samples.items()])
        axes.set(xlabel=scale.channels[channel], yscale="log", ylim=(peak * 10**-DECADES, 2 * peak))
        axes.set_xlim(at[0], at[-1])
    panels[0].set_ylabel("probability density")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(examples))
    return figure


def sample(u: Float[Tensor, "..."], count: int = VALUES) -> Float[Tensor, " n"]:
    """Up to `count` values of the finite frames, the same places for every field of one shape."""
    values = u[u.isfinite().flatten(1).all(1)].flatten().to(torch.float64)
    if len(values) <= count:
        return values
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))[:count]]


def wave_view(
    examples: Mapping[str, Float[Tensor, "t c *space"]],
    entropy: Mapping[str, Float[Tensor, "n t"]],
    scale: Scale,
) -> "Figure":
    """Left: the path of one rollout through `phase_plane`. Right: the entropy of all rollouts in time.

    Args:
        examples: for the truth and each candidate, one rollout.
        entropy: the same of `S + ln dV`.
    """
    figure = new_figure(7.4, 3.0)
    left, right = figure.subplots(1, 2)
    for name, u in examples.items():
        first, second, labels = phase_plane(u, scale)
        style = _line(name)
        left.plot(first, second, **style)
        left.plot(first[:1], second[:1], marker="o", markersize=3.5, color=style["color"], zorder=style["zorder"])
        left.set(xlabel=labels[0], ylabel=labels[1])
    for name, series in entropy.items():
        times = scale.times(series.shape[1])
        line: dict[str, Any] = {"linestyle": (0, (4, 2)), "zorder": 5} if name == "truth" else {}
        band(right, times, series, name, spread=name != "solver", **line)
        right.set_xlim(0, times[-1])
    right.set(xlabel=TIME, ylabel="entropy $S + \\ln\\,dV$")
    lyapunov_axis(right, scale)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=len(entropy))
    return figure


def phase_plane(u: Float[Tensor, "t c *space"], scale: Scale) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """Two numbers of every frame in the middle of the box, and their names: the first two channels, such as `(phi,
    phi_t)` and `(re, im)`, or the only one and its spectral slope along the first axis.
    """
    u = u.to(torch.float64)
    if u.shape[1] > 1:
        first, second = probe(u[None])[0, :, :2].numpy().T
        return first, second, (scale.channels[0], scale.channels[1])
    n = u.shape[2]
    k = 2 * math.pi / scale.lengths[0] * torch.fft.rfftfreq(n, 1 / n, dtype=torch.float64)
    # The inverse transform drops what the Nyquist mode would add, an imaginary part.
    k = k.reshape(-1, *[1] * (u.ndim - 3))
    slope = torch.fft.irfft(1j * k * torch.fft.rfft(u, dim=2), n=n, dim=2)
    first, second = (probe(field[None])[0, :, 0].numpy() for field in (u, slope))
    return first, second, (scale.channels[0], f"slope of {scale.channels[0]}")


def _density(axes: "Axes", name: str, values: Tensor, at: Tensor) -> float:
    """Draws one density, or a line where all values are one; its peak."""
    style = _line(name)
    if len(values) < 2 or not float(values.std()) > 0:
        if len(values):
            axes.axvline(float(values[0]), **style)
        return 0.0
    density = kernel_density(values, at)
    axes.plot(at.numpy(), density.numpy(), **style)
    return float(density.max())


def _line(name: str) -> dict[str, Any]:
    """Of one rollout: the truth dashed and on top."""
    style: dict[str, Any] = {"color": COLOURS[name], "label": LABELS[name], "linewidth": 1.2}
    if name == "truth":
        return style | {"linestyle": (0, (4, 2)), "zorder": 5}
    return style | {"zorder": 3 if name == "model" else 2}

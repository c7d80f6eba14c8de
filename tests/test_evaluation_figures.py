"""Figures show the fields and the times that they are given."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rollwave.evaluation import figures, panels
from rollwave.evaluation.style import Scale, colours_of

LINE = Scale(interval=0.5, lengths=(10.0,), channels=("u", "v"), lyapunov_exponent=0.1)
PLANE = Scale(interval=0.5, lengths=(4.0, 2.0), channels=("u",))


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    truth = torch.randn(*shape)
    return truth + 0.1 * torch.randn(*shape), truth


def test_space_time_panels_show_truth_prediction_and_error() -> None:
    prediction, truth = pair(12, 2, 8)
    axes = panels.rollout_panels(prediction, truth, LINE, channel=1, marker=3.0).axes[:3]
    for panel, field in zip(axes, (truth, prediction, (prediction - truth).abs()), strict=True):
        image = panel.images[0]
        np.testing.assert_allclose(image.get_array(), field[:, 1].numpy().T, rtol=1e-6, atol=1e-7)
        assert image.get_extent() == [0.25, 6.25, 0, 10]
        assert panel.lines[0].get_xdata() == [3.0, 3.0]
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim()


def test_snapshots_put_the_first_axis_to_the_right() -> None:
    prediction, truth = pair(30, 1, 8, 4)
    figure = panels.rollout_panels(prediction, truth, PLANE)
    steps = panels.snapshot_steps(30)
    assert steps == [1, 2, 4, 8, 15, 30]
    for axes, step in zip(figure.axes[: len(steps)], steps, strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), truth[step - 1, 0].numpy().T, rtol=1e-6)
        assert axes.get_title(loc="center") == f"t = {step * 0.5:.4g}"
        assert axes.images[0].get_extent() == [0, 4, 0, 2]


@pytest.mark.parametrize(("steps", "expected"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3])])
def test_snapshots_of_a_short_rollout_repeat_none(steps: int, expected: list[int]) -> None:
    assert panels.snapshot_steps(steps) == expected


def test_a_volume_is_shown_by_its_middle_plane() -> None:
    prediction, truth = pair(1, 1, 4, 6, 8)
    scale = Scale(0.5, (1.0, 1.0, 1.0), ("u",))
    image = panels.rollout_panels(prediction, truth, scale).axes[0].images[0]
    np.testing.assert_allclose(image.get_array(), truth[0, 0, :, :, 4].numpy().T, rtol=1e-6)


def test_frames_that_are_not_finite_stay_blank() -> None:
    prediction, truth = pair(12, 1, 8)
    prediction[6:] = math.nan
    image = panels.rollout_panels(prediction, truth, Scale(0.5, (10.0,), ("u",))).axes[1].images[0]
    assert np.ma.getmaskarray(image.get_array())[:, 6:].all()
    assert not np.ma.getmaskarray(image.get_array())[:, :6].any()


def test_colours_are_centred_on_zero_for_fields_of_both_signs() -> None:
    signed = colours_of(np.linspace(-1, 3, 1001))
    assert signed["vmin"] == -signed["vmax"]
    assert colours_of(np.linspace(1, 3, 1001))["vmin"] == pytest.approx(1, abs=0.01)
    assert colours_of(np.zeros(5))["vmax"] > 0


def test_error_growth_draws_medians_against_time_and_ends_where_they_do() -> None:
    nrmse = torch.tensor([[0.1, 0.2, 0.4], [0.1, 0.3, math.inf], [0.1, 0.4, math.inf]])
    figure = figures.error_growth({"model": {"nrmse": nrmse, "correlation": 1 - nrmse.clamp(max=1)}}, LINE)
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [0.5, 1.0, 1.5]
    np.testing.assert_allclose(line.get_ydata(), [0.1, 0.3, np.nan], rtol=1e-6)
    assert figure.axes[0].child_axes[0].get_xlabel() == "Lyapunov times"
    assert not figures.error_growth({"model": {"nrmse": nrmse, "correlation": nrmse}}, PLANE).axes[0].child_axes


def test_an_mp4_without_ffmpeg_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.animation.FFMpegWriter.isAvailable", lambda: False)
    with pytest.raises(RuntimeError, match="animation=gif"):
        panels.animation(*pair(3, 1, 8), Scale(0.5, (10.0,), ("u",)), tmp_path / "a.mp4")


def test_images_move(tmp_path: Path) -> None:
    from PIL import Image

    _, truth = pair(3, 1, 8, 8)
    path = panels.animation(truth, truth, Scale(0.5, (1.0, 1.0), ("u",)), tmp_path / "a.gif")
    with Image.open(path) as image:
        assert image.n_frames == 3
        first = np.asarray(image.convert("L"), dtype=float)[100:150]
        image.seek(2)
        assert np.abs(np.asarray(image.convert("L"), dtype=float)[100:150] - first).max() > 50

"""Which equations have wave diagnostics, what is measured of each frame, and how two rollouts are compared."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rollwave.evaluation import entropies, views
from rollwave.evaluation.effect_size import cliffs_delta
from rollwave.evaluation.measures import Ruler
from rollwave.evaluation.ordinal import permutation_entropy
from rollwave.evaluation.style import Scale
from rollwave.evaluation.waves import SERIES, Waves, compare
from rollwave.solvers import (
    Burgers,
    Equation,
    Grid,
    KleinGordon,
    KortewegDeVries,
    KuramotoSivashinsky,
    Linear,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    VectorBurgers,
)

LINE = Grid((64,), (20.0,))
PLANE = Grid((16, 12), (20.0, 15.0))


@dataclass(frozen=True)
class Unstable(Linear):
    """`V = -phi^2 / 2`: an energy without a floor."""

    def energy(self, phi: Tensor) -> Tensor:
        return -phi.square() / 2


@pytest.mark.parametrize(
    ("equation", "grid", "density"),
    [
        (NonlinearSchrodinger(), LINE, "mass"),
        (NonlinearSchrodinger(focusing=False), LINE, "mass"),
        (KleinGordon(), LINE, "energy"),
        (KleinGordon(Phi4()), PLANE, "energy"),
        (KleinGordon(Unstable()), LINE, None),
        (KortewegDeVries(), LINE, "momentum"),
        (Burgers(), LINE, None),
        (VectorBurgers(), PLANE, None),
        (KuramotoSivashinsky(), LINE, None),
        (NavierStokes(), PLANE, None),
    ],
)
def test_waves_are_what_conserves_something_that_is_never_negative(
    equation: Equation, grid: Grid, density: str | None
) -> None:
    waves = Waves.of(equation, grid)
    assert (waves.density if waves else None) == density


def field(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_every_series_is_that_of_the_density() -> None:
    u = field(2, 5, 2, 64)
    series = Waves(NonlinearSchrodinger(), LINE, "mass").series(u)
    assert list(series) == [*SERIES, "probe"]
    rho = u.square().sum(2, keepdim=True)
    torch.testing.assert_close(series["entropy"], entropies.shannon(rho) + math.log(20 / 64))
    torch.testing.assert_close(series["renyi"], entropies.renyi(rho, 2) + math.log(20 / 64))
    torch.testing.assert_close(series["tsallis"], entropies.tsallis(rho, 0.5) / (2 * (math.sqrt(64) - 1)))
    torch.testing.assert_close(series["complexity"], entropies.complexity(rho))
    assert torch.equal(series["peak"], rho.amax((2, 3)))
    assert torch.equal(series["probe"], u[:, :, 0, 32])
    psi = torch.complex(u[:, :, :1], u[:, :, 1:])
    torch.testing.assert_close(series["spectral_entropy"], entropies.spectral_entropy(psi))
    # Of real and imaginary part each for itself it would be another number.
    assert (series["spectral_entropy"] - entropies.spectral_entropy(u)).abs().max() > 1e-3


def test_the_series_of_a_resolved_field_do_not_depend_on_the_grid() -> None:
    found = []
    for n in (128, 256):
        grid = Grid((n,), (20.0,))
        (x,) = grid.coordinates()
        u = torch.stack((torch.exp(-((x - 10) ** 2)), 0.3 * torch.exp(-((x - 9) ** 2)))).expand(1, 1, 2, n)
        waves = Waves.of(KleinGordon(), grid)
        assert waves is not None
        found.append(waves.series(u))
    # The largest value on the points is not that of the function, and the others approach their limit slowly.
    for name in ("entropy", "renyi", "spectral_entropy", "probe"):
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-6, atol=1e-9)


def test_two_axes_are_measured_alike() -> None:
    waves = Waves(KleinGordon(Phi4()), PLANE, "energy")
    u = field(1, 3, 2, 16, 12)
    series = waves.series(u)
    rho = waves.equation.densities(u, PLANE)["energy"][:, :, None]
    torch.testing.assert_close(series["entropy"], entropies.shannon(rho) + math.log(20 / 16 * 15 / 12))
    assert torch.equal(series["probe"], u[:, :, 0, 8, 6])


def series_of(prediction: list[float], probe: Tensor) -> dict[str, Tensor]:
    values = torch.tensor([prediction], dtype=torch.float64)
    return {name: values for name in SERIES} | {"probe": probe}


def test_a_comparison_by_hand() -> None:
    rising, mixed = torch.arange(12.0)[None], torch.tensor([[0.0, 2.0, 1.0, 3.0] * 3])
    truth, prediction = series_of([1.0, 3.0], rising), series_of([2.0, 3.0], mixed)
    scalars = {name: value.item() for name, value in compare(prediction, truth).items()}
    assert scalars["entropy_error"] == 0.5
    assert scalars["peak_error"] == 0.5 / 2
    assert scalars["renyi_delta"] == cliffs_delta(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 3.0])).item() == 0.25
    assert scalars["permutation_entropy_error"] == pytest.approx(permutation_entropy(mixed, 2).item())
    assert scalars["ordinal_complexity_error"] > 0


def test_equal_rollouts_differ_in_nothing_and_short_ones_have_no_patterns() -> None:
    same = series_of([1.0, 2.0], torch.rand(1, 40))
    assert set(compare(same, same)) > {"permutation_entropy_error", "entropy_error"}
    assert all(value.item() == 0 for value in compare(same, same).values())
    short = series_of([1.0, 2.0], torch.rand(1, 10))
    assert set(compare(same, same)) - set(compare(short, short)) == {
        "permutation_entropy_error",
        "ordinal_complexity_error",
    }


def test_a_rollout_that_diverges_is_infinitely_wrong_and_leaves_the_others() -> None:
    truth = field(2, 12, 2, 64)
    prediction = truth.clone()
    prediction[0, 7:] = math.inf
    ruler = Ruler((1.0, 1.0), 0.5, NonlinearSchrodinger(), LINE)
    scalars = ruler.measure(prediction, truth).scalars
    for name in ("wave_entropy_error", "wave_spectral_entropy_error", "wave_peak_error"):
        assert scalars[name].tolist() == [math.inf, 0]
    assert scalars["wave_permutation_entropy_error"].tolist() == [math.inf, 0]
    assert math.isnan(scalars["wave_entropy_delta"][0])
    assert scalars["wave_entropy_delta"][1] == 0


def test_nothing_is_said_about_an_unknown_equation() -> None:
    measured = Ruler((1.0, 1.0), 0.5).measure(field(1, 12, 2, 64), field(1, 12, 2, 64))
    assert not [name for name in [*measured.scalars, *measured.curves] if name.startswith(("wave_", "budget_"))]


def test_what_is_known_of_the_truth_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ruler = Ruler((1.0, 1.0), 0.5, NonlinearSchrodinger(), LINE)
    truth, prediction = field(2, 12, 2, 64), field(2, 12, 2, 64)
    whole = ruler.measure(prediction, truth)
    described, calls = ruler.describe(truth), []
    original = Ruler.describe

    def spy(self: Ruler, u: Any) -> Any:
        calls.append(u)
        return original(self, u)

    monkeypatch.setattr(Ruler, "describe", spy)
    again = ruler.measure(prediction, truth, described)
    assert len(calls) == 1
    assert calls[0] is prediction
    for name, value in whole.scalars.items():
        assert torch.equal(again.scalars[name], value)


def test_a_kernel_density_is_that_of_scipy() -> None:
    from scipy.stats import gaussian_kde

    values, at = np.random.RandomState(0).gamma(2.0, size=400), np.linspace(-2, 12, 57)
    density = views.kernel_density(torch.tensor(values), torch.tensor(at))
    np.testing.assert_allclose(density.numpy(), gaussian_kde(values, "scott")(at), rtol=1e-10)


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [1.0], []])
def test_values_that_do_not_vary_have_no_density(values: list[float]) -> None:
    with pytest.raises(ValueError, match="needs values that vary"):
        views.kernel_density(torch.tensor(values), torch.zeros(1))


def test_a_sample_keeps_to_finite_frames_and_to_its_size() -> None:
    u = torch.arange(60.0).reshape(6, 10)
    u[4, 2] = math.inf
    assert sorted(views.sample(u).tolist()) == [*range(40), *range(50, 60)]
    small = views.sample(u, 20)
    assert len(set(small.tolist())) == 20
    assert torch.equal(views.sample(u + 100, 20), small + 100)


def test_the_densities_of_values_are_drawn_for_every_channel() -> None:
    u = field(30, 2, 64)
    examples = {"model": 2 * u, "truth": u, "solver": torch.full_like(u, 0.5)}
    figure = views.value_densities(examples, Scale(0.5, (20.0,), ("a", "b")))
    assert [axes.get_xlabel() for axes in figure.axes] == ["a", "b"]
    model, truth, still = figure.axes[1].lines
    # Twice as wide is half as high; the centre of a unit Gaussian has 1 / sqrt(2 pi).
    assert truth.get_ydata().max() == pytest.approx(1 / math.sqrt(2 * math.pi), rel=0.1)
    assert model.get_ydata().max() == pytest.approx(truth.get_ydata().max() / 2, rel=0.1)
    assert list(still.get_xdata()) == [0.5, 0.5]


def test_the_phase_plane_shows_two_channels_or_the_slope() -> None:
    two = field(7, 2, 64)
    first, second, labels = views.phase_plane(two, Scale(0.5, (20.0,), ("phi", "phi_t")))
    np.testing.assert_array_equal(first, two[:, 0, 32])
    np.testing.assert_array_equal(second, two[:, 1, 32])
    assert labels == ("phi", "phi_t")
    (x,) = LINE.coordinates()
    wave = torch.sin(2 * math.pi * 3 / 20 * x + torch.arange(7.0)[:, None]).double()
    wave = wave + 0.1 * torch.cos(math.pi * torch.arange(64)) + 0.1 * torch.sin(2 * math.pi * 31 / 20 * x)
    first, second, labels = views.phase_plane(wave[:, None], Scale(0.5, (20.0,), ("u",)))
    np.testing.assert_allclose(second, LINE.differentiate(wave)[:, 32], rtol=1e-5, atol=1e-9)
    assert labels == ("u", "slope of u")


def test_the_wave_view_draws_paths_and_entropies() -> None:
    examples = {"model": field(9, 2, 64), "truth": field(9, 2, 64)}
    entropy = {name: torch.rand(4, 9) for name in examples}
    figure = views.wave_view(examples, entropy, Scale(0.5, (20.0,), ("phi", "phi_t")))
    left, right = figure.axes[:2]
    np.testing.assert_array_equal(left.lines[0].get_xdata(), examples["model"][:, 0, 32])
    np.testing.assert_allclose(right.lines[1].get_ydata(), entropy["truth"].quantile(0.5, 0), rtol=1e-6)
    assert list(right.lines[0].get_xdata()) == [0.5 * step for step in range(1, 10)]

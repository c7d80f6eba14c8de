"""The FNO against neuraloperator's, against itself on other grids, and at its start."""

from typing import Any

import pytest
import torch

from rollwave.kernels import truncated_irfft, truncated_rfft
from rollwave.operators import FNO
from rollwave.operators.fno import SpectralConv
from rollwave.operators.neuraloperator_weights import fno_from_neuraloperator, fno_to_neuraloperator


def theirs(**arguments: Any) -> Any:
    models = pytest.importorskip("neuralop.models")
    arguments = {
        "in_channels": 2,
        "out_channels": 3,
        "hidden_channels": 10,
        "n_layers": 3,
        "positional_embedding": None,
    } | arguments
    return models.FNO(**arguments)


# Leading axes are even and longer than n_modes: on others the package's transform is not the one that it describes.
@pytest.mark.parametrize(
    ("points", "n_modes"),
    [
        ((64,), (16,)),
        ((33,), (16,)),
        ((16,), (16,)),
        ((20, 23), (12, 10)),
        ((12, 16), (7, 16)),
        ((12, 10, 9), (8, 6, 4)),
    ],
)
def test_it_agrees_with_neuraloperator_in_values_and_gradients(
    points: tuple[int, ...], n_modes: tuple[int, ...]
) -> None:
    model = theirs(n_modes=n_modes)
    ours = fno_from_neuraloperator(model)
    u = torch.randn(2, 2, *points, requires_grad=True)
    y, expected = ours(u), model(u)
    assert (y - expected).norm() < 1e-6 * expected.norm()
    direction = torch.randn_like(y)
    ours.zero_grad()
    model.zero_grad()
    mine, other = (torch.autograd.grad((out * direction).sum(), u, retain_graph=True)[0] for out in (y, expected))
    assert (mine - other).norm() < 1e-6 * other.norm()
    (y * direction).sum().backward()
    (expected * direction).sum().backward()
    # Their gradients, put where their weights go.
    for parameter in model.parameters():
        parameter.data = parameter.grad
    converted = dict(fno_from_neuraloperator(model).named_parameters())
    for name, parameter in ours.named_parameters():
        gradient = parameter.grad
        assert gradient is not None
        # Where the conversion has put zeros, their model has no weight to differentiate.
        given = gradient * (converted[name] != 0) if name.endswith("spectral.weight") else gradient
        # Against float64 either side has an error of up to 1e-6.
        assert (given - converted[name]).norm() < 4e-6 * converted[name].norm(), name


@pytest.mark.parametrize(("points", "modes"), [((20,), (8,)), ((12, 14), (3, 5)), ((10, 12, 9), (2, 3, 3))])
def test_weights_written_for_neuraloperator_are_the_same_map_and_come_back_the_same(
    points: tuple[int, ...], modes: tuple[int, ...]
) -> None:
    ours = FNO(2, 3, width=6, modes=modes, depth=2, expansion=0.5, ratio=3)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    written, u = fno_to_neuraloperator(ours), torch.randn(2, 2, *points)
    y, expected = written(u), ours(u)
    assert (y - expected).norm() < 2e-6 * expected.norm()
    back = fno_from_neuraloperator(written).state_dict()
    assert all(torch.equal(value, back[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize(
    "arguments",
    [
        {"positional_embedding": "grid"},
        {"norm": "group_norm"},
        {"fno_skip": "identity"},
        {"use_channel_mlp": False},
        {"separable": True},
    ],
)
def test_another_architecture_is_not_converted(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"default FNO .* this has .*{next(iter(arguments))}"):
        fno_from_neuraloperator(theirs(n_modes=(8,), **{"in_channels": 10, "out_channels": 10} | arguments))


@pytest.mark.parametrize(("coarse", "fine"), [((64,), (128,)), ((63,), (189,)), ((65,), (130,)), ((40, 40), (120, 80))])
def test_it_is_the_same_map_on_every_grid(coarse: tuple[int, ...], fine: tuple[int, ...]) -> None:
    """Up to what the GELUs make beyond the coarse grid's wavenumbers, which is little for a smooth function."""
    modes = (4,) * len(coarse)
    operator = FNO(1, 1, width=8, modes=modes, depth=3).double()
    u_hat = truncated_rfft(0.3 * torch.randn(2, 1, *[9] * len(coarse), dtype=torch.float64), (2,) * len(coarse))
    on_coarse, on_fine = (operator(truncated_irfft(u_hat, points)) for points in (coarse, fine))
    step = [slice(None, None, F // C) for C, F in zip(coarse, fine, strict=True)]
    assert (on_fine[(..., *step)] - on_coarse).norm() < 1e-7 * on_coarse.norm()


@pytest.mark.parametrize("points", [(64,), (65,), (24, 30), (10, 11, 12)])
def test_a_spectral_layer_starts_by_keeping_the_variance(points: tuple[int, ...]) -> None:
    # Few wavenumbers, so that the share of those with k_d = 0 counts.
    modes = (1,) * len(points)
    layer = SpectralConv(96, 128, modes)
    v = truncated_irfft(truncated_rfft(torch.randn(64, 96, *points), modes), points)
    gain = layer(v).square().mean() / v.square().mean()
    assert gain.item() == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("batch", [1, 3])
def test_what_comes_out_lies_in_memory_as_what_went_in(batch: int) -> None:
    assert FNO(2, 3, width=4, modes=(2, 2))(torch.randn(batch, 2, 6, 7)).is_contiguous()

"""Fourier conventions: symbols, Nyquist mode, masks."""

import math

import pytest
import torch

from rollwave.solvers import Grid

BOXES = [
    ((16,), (3.0,)),
    ((15,), (2 * math.pi,)),
    ((12, 16), (1.0, 5.0)),
    ((9, 15), (2.0, 3.0)),
    ((6, 7, 8), (1.0, 2.0, 3.0)),
]


@pytest.mark.parametrize(("points", "lengths"), BOXES)
@pytest.mark.parametrize("full", [False, True])
def test_symbols_differentiate_plane_waves(points, lengths, full):
    grid = Grid(points, lengths)
    k = [2 * math.pi / length for length in lengths]
    phase = sum(factor * x for factor, x in zip(k, grid.coordinates(), strict=True))
    wave = torch.sin(phase)
    transform, inverse = (grid.fft, grid.ifft) if full else (grid.rfft, grid.irfft)

    def apply(symbol):
        return inverse(symbol * transform(wave + 0j if full else wave))

    for axis in range(grid.ndim):
        for order, expected in ((1, torch.cos(phase)), (2, -wave), (3, -torch.cos(phase)), (4, wave)):
            result = apply(grid.derivative(order, axis, full=full))
            assert (result - k[axis] ** order * expected).abs().max() < 1e-12 * k[axis] ** order * 10
    assert (apply(grid.laplacian(full=full)) + sum(factor**2 for factor in k) * wave).abs().max() < 1e-10


@pytest.mark.parametrize("full", [False, True])
def test_odd_derivatives_drop_the_nyquist_mode_and_even_ones_keep_it(full):
    grid = Grid((8,), (2 * math.pi,))
    odd, even = grid.derivative(3, full=full), grid.derivative(2, full=full)
    assert odd[4] == 0
    assert even[4] == -16
    assert (Grid((7,), (2 * math.pi,)).derivative(1, full=full)[3]) == 3j


@pytest.mark.parametrize(("points", "lengths"), [*BOXES, ((128, 128), (1.0, 1.0)), ((96,), (1.0,))])
@pytest.mark.parametrize("fraction", [2 / 3, 1 / 2])
def test_the_mask_keeps_m_and_minus_m_alike(points, lengths, fraction):
    grid = Grid(points, lengths)
    full, half = grid.dealias(fraction, full=True), grid.dealias(fraction)
    mirrored = full
    for axis in range(grid.ndim):
        mirrored = torch.roll(torch.flip(mirrored, (axis,)), 1, axis)
    assert torch.equal(full, mirrored)
    assert torch.equal(full[..., : half.shape[-1]], half)
    for axis, n in enumerate(points):
        along = full.amax(dim=[a for a in range(grid.ndim) if a != axis]) if grid.ndim > 1 else full
        assert along.sum() == 2 * math.ceil(fraction * n / 2 - 1e-9) - 1
    # AND, not OR: the mask is the product of its axes.
    assert full.sum() == math.prod(2 * math.ceil(fraction * n / 2 - 1e-9) - 1 for n in points)


@pytest.mark.parametrize(("points", "lengths"), BOXES)
def test_a_masked_state_survives_the_way_through_physical_space(points, lengths):
    grid = Grid(points, lengths)
    u_hat = grid.dealias() * grid.rfft(torch.randn(3, *points, dtype=torch.float64))
    assert (grid.rfft(grid.irfft(u_hat)) - u_hat).abs().max() < 1e-13 * u_hat.abs().max()


@pytest.mark.parametrize("points", [(24,), (25,), (24, 18)])
@pytest.mark.parametrize(("fraction", "factors"), [(2 / 3, 2), (1 / 2, 3)])
def test_products_of_masked_fields_carry_no_aliasing_on_the_mask(points, fraction, factors):
    grid, fine = Grid(points, (1.0,) * len(points)), Grid(tuple(4 * n for n in points), (1.0,) * len(points))
    mask = grid.dealias(fraction, full=True)
    u_hat = mask * grid.fft(torch.randn(points, dtype=torch.complex128))

    def low(u_hat, source, target):
        result = torch.zeros(target.points, dtype=torch.complex128)
        index = torch.meshgrid(
            *[grid.indices(axis, full=True).flatten().long() for axis in range(grid.ndim)], indexing="ij"
        )
        source_index = tuple(i % n for i, n in zip(index, source.points, strict=True))
        target_index = tuple(i % n for i, n in zip(index, target.points, strict=True))
        result[target_index] = u_hat[source_index]
        return result * math.prod(target.points) / math.prod(source.points)

    coarse_product = mask * grid.fft(grid.ifft(u_hat) ** factors)
    fine_product = mask * low(fine.fft(fine.ifft(low(u_hat, grid, fine)) ** factors), fine, grid)
    assert (coarse_product - fine_product).abs().max() < 1e-12 * fine_product.abs().max()


def test_grids_are_values():
    grid = Grid((64,), (22,))
    assert grid == Grid((64,), (22.0,))
    assert hash(grid) == hash(Grid((64,), (22.0,), device=torch.device("cpu")))
    assert grid.to(torch.zeros(1, dtype=torch.complex64)).dtype == torch.float32
    assert grid.to(torch.float32).to(torch.float64) == grid
    assert grid.to(torch.float32).laplacian().dtype == torch.float32


@pytest.mark.parametrize(
    ("points", "lengths", "word"),
    [
        ((0,), (1.0,), "positive integers"),
        ((4, 4), (1.0,), "one entry"),
        ((4,), (-1.0,), "positive"),
        ((4,), (math.nan,), "finite"),
    ],
)
def test_impossible_grids_are_refused(points, lengths, word):
    with pytest.raises(ValueError, match=word):
        Grid(points, lengths)


def test_integration_is_exact_for_trigonometric_fields():
    grid = Grid((12, 10), (2.0, 3.0))
    x, y = grid.coordinates()
    field = (1 + torch.cos(math.pi * x)) * (2 + torch.sin(2 * math.pi * y / 3))
    assert grid.integrate(field).item() == pytest.approx(12.0, abs=1e-13)


@pytest.mark.parametrize(
    ("points", "fine"), [((16,), (32,)), ((9,), (15,)), ((8, 9), (16, 18)), ((6, 6, 5), (8, 6, 7))]
)
def test_interpolation_is_exact_for_what_the_grid_resolves(points, fine):
    def field(grid):
        x = [2 * math.pi / length * axis for axis, length in zip(grid.coordinates(), grid.lengths, strict=True)]
        return torch.cos(2 * x[0] + 0.4) + torch.sin(2 * x[-1] - x[0]) + 0.5 + 0 * sum(x)

    coarse, dense = (Grid(n, (5.0, 7.0, 3.0)[: len(n)]) for n in (points, fine))
    u = torch.stack((field(coarse), 2 * field(coarse)))
    assert torch.allclose(coarse.interpolate(u, fine), torch.stack((field(dense), 2 * field(dense))), atol=1e-13)
    assert torch.equal(coarse.interpolate(u, points), u)


@pytest.mark.parametrize(("points", "fine"), [(8, 16), (8, 12), (6, 7)])
def test_interpolation_carries_the_nyquist_mode_as_a_cosine(points, fine):
    """Half of it at each sign: neither dropped nor doubled, and nothing of the sine that the grid does not see."""
    coarse, dense = (Grid((n,), (3.0,)) for n in (points, fine))
    cosine, continued = (torch.cos(2 * math.pi / 3 * (points // 2) * grid.coordinates()[0]) for grid in (coarse, dense))
    assert torch.allclose(coarse.interpolate(cosine, (fine,)), continued, atol=1e-13)


def test_interpolation_refuses_fewer_points():
    grid = Grid((8, 8), (1.0, 1.0))
    with pytest.raises(ValueError, match=r"at least those of the grid on every axis, \(8, 8\), got \(16, 4\)"):
        grid.interpolate(torch.zeros(8, 8, dtype=torch.float64), (16, 4))

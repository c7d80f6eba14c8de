"""Structure around a step: frames of reference, integrals that stay, conditions; exact for an untrained network."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rollwave.datasets import conserved_channels
from rollwave.operators import FNO, Conditioned, Conditions, Conserve, Emulator, EmulatorMetadata, Galilean, Normalizer
from rollwave.operators.galilean import shift
from rollwave.solvers import (
    Burgers,
    Equation,
    Grid,
    KleinGordon,
    KortewegDeVries,
    KuramotoSivashinsky,
    NavierStokes,
    NonlinearSchrodinger,
    VectorBurgers,
    simulate,
)
from rollwave.training import Draws, RelativeL2, Unrolled

INTERVAL = 0.3


def emulator(channels: int = 1, points: tuple[int, ...] = (32,), history: int = 1, **structure: Any) -> Emulator:
    """Untrained, in float64, with statistics that are none of zero and one."""
    torch.manual_seed(1)
    dimensions, names = len(points), ("a", "b", "c")[:channels]
    lengths = (5.0, 7.0, 3.0)[:dimensions]
    network: Any = FNO(history * channels, channels, width=8, modes=(4,) * dimensions, depth=2)
    if "conditions" in structure:
        network = Conditioned(network, conditions=structure["conditions"].count, hidden=8)
    statistics = [[0.3, -0.2, 0.1], [1.5, 0.7, 1.1], [0.4, 0.5, 0.6], [-9.0] * 3, [9.0] * 3]
    normalizer = Normalizer(*[row[:channels] for row in statistics])
    metadata = EmulatorMetadata("made_up", names, points, lengths, INTERVAL)
    return Emulator(network, normalizer=normalizer, metadata=metadata, history=history, **structure).double()


def learned(model: Emulator) -> Emulator:
    """With conditions that act, as after training."""
    with torch.no_grad():
        for parameter in model.network.film.parameters():
            parameter.normal_(0, 0.5)
    return model


def smooth(batch: int, channels: int, points: tuple[int, ...]) -> Tensor:
    """Random fields without the highest wavenumbers, of means that are not zero."""
    u = torch.randn(batch, channels, *points, dtype=torch.float64)
    still = torch.zeros(batch, len(points), dtype=torch.float64)
    return shift(u, still, (1.0,) * len(points)) + torch.randn(batch, channels, *[1] * len(points), dtype=torch.float64)


@pytest.mark.parametrize(("points", "history"), [((32,), 1), ((33,), 1), ((32,), 3), ((12, 15), 1), ((12, 15), 2)])
def test_an_untrained_emulator_in_the_frame_of_rest_commutes_with_every_boost(
    points: tuple[int, ...], history: int
) -> None:
    dimensions = len(points)
    model = emulator(dimensions, points, history, symmetry=Galilean(advection=1.7))
    lengths = model.metadata.lengths
    frames = torch.stack([smooth(3, dimensions, points) for _ in range(history)], dim=1)
    frames = frames - frames.mean(tuple(range(3, frames.ndim)), keepdim=True) + 0.4
    c = torch.randn(3, dimensions, dtype=torch.float64)

    def boosted(u: Tensor, time: float) -> Tensor:
        return shift(u, 1.7 * c * time, lengths) + c[(..., *[None] * dimensions)]

    seen = torch.stack([boosted(u, (n - history + 1) * INTERVAL) for n, u in enumerate(frames.unbind(1))], dim=1)
    expected = boosted(model(frames), INTERVAL)
    torch.testing.assert_close(model(seen), expected, rtol=0, atol=1e-12)
    plain = emulator(dimensions, points, history)
    assert (plain(seen) - boosted(plain(frames), INTERVAL)).abs().max() > 0.01


@pytest.mark.parametrize(
    ("equation", "advection"),
    [(Burgers(), 1.0), (KuramotoSivashinsky(), 1.0), (KortewegDeVries(), 6.0), (VectorBurgers(), 1.0)],
)
def test_the_solver_commutes_with_the_same_boosts(equation: Equation, advection: float) -> None:
    dimensions = len(equation.channels)
    grid = Grid((64,) if dimensions == 1 else (32, 32), (22.0,) * dimensions)
    u0, c = equation.initial_condition(grid, batch=2, seed=1), torch.tensor([[0.3, -0.1], [-0.2, 0.25]])
    c = c[:, :dimensions].double()
    offset = c[(..., *[None] * dimensions)]

    def solved(u: Tensor) -> Tensor:
        return simulate(equation, grid, u, interval=INTERVAL, frames=1, dt=INTERVAL / 100)[:, 1]

    expected = shift(solved(u0), advection * c * INTERVAL, grid.lengths) + offset
    assert (solved(u0 + offset) - expected).abs().max() < 1e-8
    # The step of the solver, wrapped, is the step of the solver.
    wrapped = Galilean(advection=advection)(
        lambda u: solved(u[:, 0]), (u0 + offset)[:, None], interval=INTERVAL, lengths=grid.lengths
    )
    assert (wrapped - expected).abs().max() < 1e-8


def test_a_shift_by_whole_points_moves_the_points() -> None:
    u = smooth(2, 3, (10, 9))
    moved = shift(u, torch.tensor([[0.4, -1.0], [0.0, 2.0]], dtype=torch.float64), (2.0, 9.0))
    torch.testing.assert_close(moved[0], u[0].roll((2, -1), (1, 2)), rtol=0, atol=1e-13)
    torch.testing.assert_close(moved[1], u[1].roll(2, 2), rtol=0, atol=1e-13)


CONSERVED = [Conserve(means=("a",)), Conserve(squares=("a", "b")), Conserve(means=("a", "b"), squares=("b",))]


def integrals(u: Tensor, conserve: Conserve) -> Tensor:
    """What `conserve` holds, of `[..., c, x]`."""
    named = {"a": u[..., 0, :], "b": u[..., 1, :]}
    rows = [named[name].mean(-1) for name in conserve.means]
    if conserve.squares:
        rows.append(torch.stack([named[name].square().mean(-1) for name in conserve.squares]).sum(0))
    return torch.stack(rows, dim=-1)


@pytest.mark.filterwarnings("ignore:rollout leaves the training range")
@pytest.mark.parametrize("conserve", CONSERVED)
def test_conserved_integrals_stay_to_rounding_over_a_hundred_steps(conserve: Conserve) -> None:
    model, u = emulator(2, conserve=conserve), smooth(3, 2, (32,))
    start, drifting = integrals(u, conserve), integrals(emulator(2).rollout(u, 100), conserve)
    kept = integrals(model.rollout(u, 100), conserve)
    assert (kept - start[:, None]).abs().max() < 1e-12 * start.abs().max()
    assert (drifting[:, -1] - start).abs().max() > 0.01
    single = integrals(model.float().rollout(u, 100), conserve)
    assert (single - start[:, None]).abs().max() < 2e-5 * start.abs().max()


@pytest.mark.parametrize("conserve", CONSERVED)
def test_the_projection_is_idempotent_and_leaves_alone_what_is_conserved_already(conserve: Conserve) -> None:
    v, u, names = smooth(3, 2, (32,)), smooth(3, 2, (32,)), ("a", "b")
    once = conserve(v, u, channels=names)
    torch.testing.assert_close(integrals(once, conserve), integrals(u, conserve), rtol=0, atol=1e-13)
    torch.testing.assert_close(conserve(once, u, channels=names), once, rtol=0, atol=1e-14)
    torch.testing.assert_close(conserve(u.roll(5, -1), u, channels=names), u.roll(5, -1), rtol=0, atol=1e-14)
    assert (once - v).abs().max() > 0.01
    zero = torch.zeros_like(u)
    assert torch.isfinite(conserve(zero, u, channels=names)).all()
    assert integrals(conserve(v, zero, channels=names), conserve).abs().max() < 1e-13


@pytest.mark.parametrize("conserve", CONSERVED)
def test_the_projection_is_the_nearest_field_and_its_gradient_is_right(conserve: Conserve) -> None:
    v, u = (smooth(1, 2, (6,)).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda v, u: conserve(v, u, channels=("a", "b")), (v, u))
    with torch.no_grad():
        nearest = conserve(v, u, channels=("a", "b"))
        # Directions along the set of fields with these integrals do not lead any nearer.
        other = conserve(nearest + 1e-3 * torch.randn(200, 2, 6).double(), u.expand(200, -1, -1), channels=("a", "b"))
        assert (other - v).square().sum((1, 2)).min() > (nearest - v).square().sum()


@pytest.mark.parametrize(
    ("equation", "means", "squares"),
    [
        (Burgers(), ("u",), ()),
        (KuramotoSivashinsky(), ("u",), ()),
        (KortewegDeVries(), ("u",), ("u",)),
        (KortewegDeVries(viscosity=0.1), ("u",), ()),
        (NavierStokes(), ("vorticity",), ()),
        (NonlinearSchrodinger(), (), ("re", "im")),
        (KleinGordon(), (), ()),
        (VectorBurgers(), (), ()),
    ],
)
def test_what_may_be_conserved_is_what_the_equation_declares(
    equation: Equation, means: tuple[str, ...], squares: tuple[str, ...]
) -> None:
    grid = Grid((48,) * equation.dimensions[-1], (22.0,) * equation.dimensions[-1])
    assert conserved_channels(equation, grid) == (means, squares)


def test_structure_is_saved_and_an_emulator_without_it_is_what_it_was(tmp_path: Any) -> None:
    model = emulator(
        symmetry=Galilean(advection=2.0),
        conserve=Conserve(means=["a"], squares=["a"]),
        conditions=Conditions(parameters={"viscosity": (0.01, 1.0)}, lead=4),
    ).float()
    learned(model).save_pretrained(tmp_path)
    restored, u = Emulator.from_pretrained(tmp_path), smooth(2, 1, (32,)).float()
    assert restored.config == model.config
    given = {"viscosity": 0.1}
    assert torch.equal(restored.rollout(u, 5, parameters=given), model.rollout(u, 5, parameters=given))
    plain = emulator()
    assert set(plain.config) == {"network", "normalizer", "metadata", "history", "residual"}
    assert Emulator.from_config(plain.config).config == plain.config
    z = smooth(2, 1, (32,))[:, None]
    spread = plain.normalizer.delta_std / plain.normalizer.std
    assert torch.equal(plain.advance(z), z[:, -1] + plain.network(z[:, 0]) * spread[:, None])
    with pytest.raises(ValueError, match=r"may hold \['symmetry', 'conserve', 'conditions'\], got .*'magic'"):
        Emulator.from_config(plain.config | {"magic": 1})


def test_the_pretrained_emulator_has_no_structure_and_loads(root: Any) -> None:
    model = Emulator.from_pretrained(root / "pretrained" / "ks_quickstart")
    assert (model.symmetry, model.conserve, model.conditions) == (None, None, None)


def test_structure_that_does_not_fit_the_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="one velocity channel for each of the 1 axes"):
        emulator(2, symmetry=Galilean())
    with pytest.raises(ValueError, match=r"names \['mass'\], which are no channels"):
        emulator(conserve=Conserve(means=("mass",)))
    with pytest.raises(ValueError, match="got none"):
        Conserve()
    with pytest.raises(ValueError, match="1 channels and 2 conditions need in_channels = 3, got a network of 1"):
        Emulator(
            FNO(1, 1, width=4, modes=(4,)),
            normalizer=emulator().normalizer,
            metadata=emulator().metadata,
            conditions=Conditions(parameters={"viscosity": (0.1, 1.0)}, lead=2),
        )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_coefficients_come_from_host_and_device() -> None:
    told = Conditions(parameters={"viscosity": (0.01, 1.0), "drag": (1.0, math.e)})
    device = torch.device("cuda")
    rows = told.table({"viscosity": 0.1, "drag": torch.tensor([1.0, math.e], device=device)}, device)
    assert rows.device.type == "cuda"
    assert rows[:, 0].tolist() == pytest.approx([0.1, 0.1])


def test_conditions_are_logarithms_of_parameters_and_lead_times() -> None:
    told = Conditions(parameters={"viscosity": (0.01, 1.0), "drag": (1.0, math.e)}, lead=8)
    x = torch.zeros(4, 1, 5, dtype=torch.float64)
    rows = told.table({"drag": torch.tensor([1.0, math.e]), "viscosity": 0.1})
    channels = told(x, rows, torch.tensor([1, 2, 4, 8]))
    assert channels.shape == (4, 3, 5)
    # Two samples, each twice, one after the other.
    expected = torch.tensor([[0, -1, 0], [0, -1, 1 / 3], [0, 1, 2 / 3], [0, 1, 1]], dtype=torch.float64)
    torch.testing.assert_close(channels[..., 2], expected, rtol=0, atol=1e-6)
    assert torch.equal(channels, channels[..., :1].expand_as(channels))


def test_at_the_start_a_conditioned_network_is_the_network_itself() -> None:
    plain, model = emulator(), emulator(conditions=Conditions(parameters={"viscosity": (0.01, 1.0)}))
    u = smooth(3, 1, (32,))
    assert torch.equal(model.rollout(u, 4, parameters={"viscosity": 0.02}), plain.rollout(u, 4))
    assert not torch.equal(learned(model).rollout(u, 4, parameters={"viscosity": 0.02}), plain.rollout(u, 4))


@pytest.mark.parametrize("batch", [5, 40])
def test_permuting_parameters_with_the_batch_permutes_the_result(batch: int) -> None:
    """Also where the network cuts the batch into parts, as it does the larger one."""
    model = learned(emulator(points=(4096,), conditions=Conditions(parameters={"viscosity": (0.01, 1.0)})))
    u, order = smooth(batch, 1, (4096,)), torch.randperm(batch)
    viscosity = torch.logspace(-2, 0, batch)
    together = model.rollout(u, 2, parameters={"viscosity": viscosity})
    permuted = model.rollout(u[order], 2, parameters={"viscosity": viscosity[order]})
    torch.testing.assert_close(permuted, together[order], rtol=1e-9, atol=1e-9)
    alone = model.rollout(u[-1:], 2, parameters={"viscosity": float(viscosity[-1])})
    torch.testing.assert_close(alone, together[-1:], rtol=1e-6, atol=1e-6)
    assert (model.rollout(u, 2, parameters={"viscosity": 0.5}) - together).abs().max() > 1e-3


def test_a_checkpointed_unroll_knows_its_parameters_in_the_backward_pass_too() -> None:
    model = learned(emulator(conditions=Conditions(parameters={"viscosity": (0.01, 1.0)})))
    z = torch.stack([smooth(3, 1, (32,)) for _ in range(4)], dim=1)

    def gradients(*, checkpoint: bool) -> list[Tensor]:
        model.zero_grad()
        with model.given({"viscosity": torch.tensor([0.02, 0.1, 0.5])}):
            loss = Unrolled(3, checkpoint=checkpoint)(model, z, loss=RelativeL2(), draws=Draws(0, 0)).mean()
        loss.backward()
        return [parameter.grad for parameter in model.network.parameters() if parameter.grad is not None]

    plain = gradients(checkpoint=False)
    assert plain
    for ours, expected in zip(gradients(checkpoint=True), plain, strict=True):
        torch.testing.assert_close(ours, expected)


def test_parameters_that_are_missing_unknown_or_impossible_are_refused() -> None:
    model, u = emulator(conditions=Conditions(parameters={"viscosity": (0.01, 1.0)})), smooth(3, 1, (32,))
    # What one rollout is given the next one does not have.
    model.rollout(u, 1, parameters={"viscosity": 0.1})
    for wrong, message in (
        (None, r"3 samples need the parameters \['viscosity'\].*got none"),
        ({"drag": 1.0}, r"needs the parameters \['viscosity'\], got \['drag'\]"),
        ({"viscosity": -1.0}, "must be positive"),
        ({"viscosity": torch.ones(2)}, "3 samples need the parameters .* got 2 values each"),
    ):
        with pytest.raises(ValueError, match=message):
            model.rollout(u, 1, parameters=wrong)
    with pytest.raises(ValueError, match="takes no parameters"):
        emulator().rollout(u, 1, parameters={"viscosity": 1.0})
    with pytest.raises(ValueError, match="takes single steps"):
        emulator().advance(u[:, None], lead=2)
    with pytest.raises(ValueError, match=r"lead must be in 1 \.\. 4, got 5"):
        emulator(conditions=Conditions(lead=4)).advance(u[:, None], lead=5)


def test_a_lead_time_moves_the_frame_of_rest_by_as_many_intervals() -> None:
    model = emulator(symmetry=Galilean(), conditions=Conditions(lead=4))
    u, leads = smooth(3, 1, (32,))[:, None], torch.tensor([1, 2, 4])
    c = torch.full((3, 1), 0.8, dtype=torch.float64)
    z, boosted = model.encode(u), model.encode(u + 0.8)
    expected = shift(model.decode(model.advance(z, lead=leads)), c * INTERVAL * leads[:, None], (5.0,)) + 0.8
    torch.testing.assert_close(model.decode(model.advance(boosted, lead=leads)), expected, rtol=0, atol=1e-12)


def test_a_conditioned_network_compiles_copies_and_names_a_network_that_has_no_layers() -> None:
    model = learned(emulator(conditions=Conditions(lead=4)))
    twin, z = copy.deepcopy(model), smooth(3, 1, (32,))[:, None]
    expected = model.advance(z, lead=3)
    assert torch.equal(twin.advance(z, lead=3), expected)
    with torch.no_grad():
        twin.network.film[2].bias.add_(1.0)
    assert torch.equal(model.advance(z, lead=3), expected)
    assert not torch.equal(twin.advance(z, lead=3), expected)
    model.network.compile(fullgraph=True, backend="eager")
    torch.testing.assert_close(model.advance(z, lead=3), expected)
    with pytest.raises(ValueError, match=r"\.blocks and \.width, got Linear"):
        Conditioned(torch.nn.Linear(2, 2), conditions=1)


def test_layers_that_are_computed_without_being_called_do_not_pass_conditions_over_in_silence() -> None:
    model, z = emulator(conditions=Conditions(lead=4)), smooth(3, 1, (32,))[:, None]
    block = model.network.network.blocks[1]
    model.network.network.blocks[1].__class__ = type("Bare", (type(block),), {"__call__": type(block).forward})
    with pytest.raises(RuntimeError, match=r"layers of FNO saw \[3, 0\] of 3 samples"):
        model.advance(z)

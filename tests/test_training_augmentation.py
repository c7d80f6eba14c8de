"""The symmetries that augment training: an equation's own, all of them known, none that it lacks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor
from training_helpers import small_task, write_waves

from rollwave.datasets import DatasetMetadata, TrajectoryDataModule
from rollwave.datasets.instantiate import describe
from rollwave.operators import EmulatorMetadata
from rollwave.solvers import (
    Burgers,
    DiagonalForcing,
    Equation,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    KortewegDeVries,
    KuramotoSivashinsky,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    VectorBurgers,
    simulate,
)
from rollwave.training import (
    Augmentation,
    Boost,
    Draws,
    Flip,
    OneStep,
    Phase,
    QuarterTurn,
    Symmetry,
    Translation,
    augmentation_for,
    conserve_for,
    galilean_for,
    legal_symmetries,
)

KOLMOGOROV = NavierStokes(viscosity=0.02, forcing=KolmogorovForcing(1.0, 4))
X, Y = Translation(0), Translation(1)
MIRROR, BOOST = Flip((-1,), (0,)), Boost(0.4)
BACKWARD, SIGN, MIRRORED = Flip((1, -1), reverse=True), Flip((-1, -1)), Flip((1, 1), (0,))
# Equation, points, length, and the symmetries that generate all that are known.
CASES: dict[str, tuple[Equation, tuple[int, ...], float, tuple[Symmetry, ...]]] = {
    "burgers": (Burgers(), (64,), 6.0, (X, MIRROR, BOOST)),
    "ks": (KuramotoSivashinsky(), (64,), 22.0, (X, MIRROR, BOOST)),
    "kdv": (KortewegDeVries(), (64,), 20.0, (X, Flip((1,), (0,), reverse=True), Boost(0.4, 6.0))),
    "damped kdv": (KortewegDeVries(viscosity=0.1), (64,), 20.0, (X, Boost(0.4, 6.0))),
    "nlse": (NonlinearSchrodinger(), (128,), 20.0, (X, SIGN, MIRRORED, BACKWARD, Phase())),
    "kg": (KleinGordon(), (96,), 20.0, (X, SIGN, MIRRORED, BACKWARD)),
    "kg 2d": (
        KleinGordon(Phi4()), (24, 24), 20.0, (X, Y, SIGN, MIRRORED, Flip((1, 1), (1,)), BACKWARD, QuarterTurn())
    ),
    "ns": (NavierStokes(viscosity=0.02), (24, 24), 6.0, (X, Y, MIRROR, Flip((-1,), (1,)), QuarterTurn())),
    "kolmogorov": (
        KOLMOGOROV, (24, 24), 6.0,
        (X, Translation(1, 4), Flip((-1,), (0,), glide=(0.0, 0.125)), Flip((-1,), (1,), glide=(0.0, 0.125))),
    ),
    "vector burgers": (
        VectorBurgers(), (24, 24), 6.0,
        (X, Y, Flip((-1, 1), (0,)), Flip((1, -1), (1,)), QuarterTurn(vector=True), BOOST),
    ),
}  # fmt: skip


def metadata(equation: Equation, points: tuple[int, ...], length: float) -> DatasetMetadata:
    lengths = (length,) * len(points)
    return DatasetMetadata(
        "made", equation.name, equation.channels, points, lengths, 0.1, "", {}, {}, equation_config=describe(equation)
    )


@pytest.mark.parametrize("name", CASES)
def test_the_symmetries_of_an_equation_are_the_known_ones(name: str) -> None:
    equation, points, length, symmetries = CASES[name]
    assert legal_symmetries(metadata(equation, points, length)) == symmetries


def test_a_force_along_the_diagonal_leaves_no_translation_along_an_axis() -> None:
    forced = NavierStokes(forcing=DiagonalForcing())
    assert not any(isinstance(symmetry, Translation) for symmetry in legal_symmetries(metadata(forced, (32, 32), 1.0)))


def frames_of(equation: Equation, grid: Grid, u: Tensor, interval: float) -> Tensor:
    return simulate(equation, grid, u, interval=interval, frames=2, dt=interval / 24)


@pytest.mark.parametrize("name", CASES)
def test_stepping_the_image_gives_the_image_of_the_steps(name: str) -> None:
    """Errors of the scheme are some 1e-7; runs of time need them of both directions."""
    equation, points, length, symmetries = CASES[name]
    fine = points if len(points) == 1 else (48, 48)
    grid, interval = Grid(fine, (length,) * len(points)), 0.1
    # A state some time after the start, at which nothing is zero.
    u0 = frames_of(equation, grid, equation.initial_condition(grid, batch=3, seed=3), 0.2)[:, -1]
    window, times = frames_of(equation, grid, u0, interval), interval * torch.arange(3, dtype=torch.float64)
    chance = torch.tensor([[0.3, 0.2, 0.1], [0.45, 0.9, 0.4], [0.95, 0.6, 0.2]], dtype=torch.float64)
    for symmetry in symmetries:
        image = symmetry(window, chance, times=times, lengths=grid.lengths)
        stepped = frames_of(equation, grid, image[:, 0].contiguous(), interval)
        assert (stepped - image).abs().max() < 2e-6 * image.abs().max(), symmetry
        assert (image - window).abs().max() > 0.01, symmetry


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("burgers", Flip((1,), (0,))),
        ("burgers", Flip((-1,))),
        ("burgers", Boost(0.4, advection=2.0)),
        ("ks", Flip((-1,), (0,), reverse=True)),
        ("damped kdv", Flip((1,), (0,), reverse=True)),
        ("nlse", Flip((1, -1))),
        ("kg", Flip((1, 1), reverse=True)),
        ("kg", Phase()),
        ("ns", Flip((1,), (0,))),
        ("kolmogorov", Translation(1)),
        ("kolmogorov", Translation(1, 8)),
        ("kolmogorov", Flip((-1,), (0,))),
        ("vector burgers", QuarterTurn()),
        ("vector burgers", Flip((-1, -1), (0,))),
    ],
)
def test_a_symmetry_that_the_equation_lacks_is_refused_with_those_that_it_has(name: str, wrong: Any) -> None:
    equation, points, length, symmetries = CASES[name]
    with pytest.raises(ValueError, match="does not have the symmetry") as caught:
        augmentation_for(metadata(equation, points, length), symmetries=[symmetries[0], wrong])
    assert all(str(symmetry) in str(caught.value) for symmetry in symmetries)


def test_what_the_equation_lacks_is_refused_as_structure_of_an_emulator_too() -> None:
    made = {name: metadata(*case[:3]) for name, case in CASES.items()}
    assert galilean_for(made["kdv"]).advection == 6.0
    assert galilean_for(made["vector burgers"]).advection == 1.0
    for name in ("ns", "nlse", "kg"):
        with pytest.raises(ValueError, match="set symmetry=null"):
            galilean_for(made[name])
    with pytest.raises(ValueError, match="with a = 2"):
        galilean_for(made["burgers"], advection=2.0)
    assert conserve_for(made["kdv"]).config["squares"] == ["u"]
    assert conserve_for(made["kdv"], squares=[]).squares == ()
    for name, asked in (
        ("vector burgers", {}),
        ("nlse", {"squares": []}),
        ("nlse", {"means": ["re"]}),
        ("nlse", {"squares": ["re"]}),
        ("damped kdv", {"squares": ["u"]}),
    ):
        with pytest.raises(ValueError, match="set conserve=null"):
            conserve_for(made[name], **asked)


def test_members_are_drawn_from_seed_and_step_and_shared_by_processes() -> None:
    augmentation = Augmentation((X, MIRROR, BOOST))
    described = EmulatorMetadata("burgers", ("u",), (16,), (6.0,), 0.1)
    window = torch.randn(1, 3, 1, 16).expand(6, -1, -1, -1)

    def images(step: int, rank: int = 0, world_size: int = 1) -> Tensor:
        part = window[rank * 6 // world_size : (rank + 1) * 6 // world_size]
        return augmentation(part, described, draws=Draws(0, step, rank, world_size))

    assert torch.equal(images(3), images(3))
    assert not torch.equal(images(3), images(4))
    assert torch.equal(torch.cat([images(3, rank, 2) for rank in (0, 1)]), images(3))
    # Samples have members of their own; the energy about the mean is the same for all.
    assert (images(3)[1:] - images(3)[:1]).abs().amax((1, 2, 3)).min() > 0.01
    assert images(3).dtype == window.dtype


def test_chances_choose_every_member_alike() -> None:
    u = torch.arange(8.0).reshape(1, 1, 1, 8).expand(4000, -1, -1, -1)
    chance, rest = torch.rand(4000, 3, dtype=torch.float64), {"times": torch.zeros(1), "lengths": (1.0,)}
    first = torch.bincount(X(u, chance, **rest)[:, 0, 0, 0].long(), minlength=8)
    assert first.min() > 400
    assert first.max() < 600
    assert set(Translation(0, 2)(u, chance, **rest)[:, 0, 0, 0].tolist()) == {0.0, 4.0}
    flipped = (Flip((-1,))(u, chance, **rest)[:, 0, 0, 1] < 0).double().mean()
    assert abs(flipped - 0.5) < 0.04
    square = torch.randn(1, 1, 1, 4, 4).expand(4000, -1, -1, -1, -1)
    turned = QuarterTurn()(square, chance, times=torch.zeros(1), lengths=(1.0, 1.0))
    assert torch.unique(turned.flatten(1), dim=0, return_counts=True)[1].min() > 850
    with pytest.raises(ValueError, match="must divide the 8 points"):
        Translation(0, 3)(u, chance, **rest)


def test_training_sees_images_and_without_augmentation_what_it_saw(tmp_path: Path) -> None:
    data = TrajectoryDataModule(
        write_waves(tmp_path / "waves", {"train": 3, "valid": 1}), batch_size=8, validation_steps=5
    )
    data.setup("fit")
    seen: list[Tensor] = []

    class Spy(OneStep):
        def __call__(self, emulator: Any, z: Tensor, **rest: Any) -> Tensor:
            seen.append(emulator.decode(z).detach())
            return super().__call__(emulator, z, **rest)

    def fitted(augmentation: Augmentation | None) -> tuple[Tensor, float]:
        seen.clear()
        quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
        program = Trainer(max_steps=3, accelerator="cpu", use_distributed_sampler=False, **quiet)
        torch.manual_seed(0)
        program.fit(small_task(data, objective=Spy(), augmentation=augmentation), datamodule=data)
        return torch.cat(seen), float(program.callback_metrics["train/loss"])

    (plain, loss), (images, _) = fitted(None), fitted(Augmentation((Flip((-1,)),)))
    signs = (images / plain).flatten(1).mean(1)
    assert set(signs.round(decimals=3).tolist()) == {-1.0, 1.0}
    assert torch.equal(fitted(None)[0], plain)
    assert fitted(None)[1] == loss

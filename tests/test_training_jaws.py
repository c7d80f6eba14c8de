"""Jacobian penalties, their weights learned and given, against what they are by hand."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from test_train import TWO, fit, folder, last, only, program, start
from test_training_resume import SaveEverywhere, assert_same_bits, run
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from training_helpers import small_emulator, small_task

from rollwave.datasets import TrajectoryDataModule
from rollwave.operators import Emulator, EmulatorMetadata, Normalizer
from rollwave.training import (
    JAWS,
    Averaged,
    DoubleBackward,
    Draws,
    FiniteDifference,
    ForwardMode,
    InPlace,
    JacobianPenalty,
    JacobianProbe,
    LastCheckpoint,
    OneSided,
    Permuted,
    SlopeWeight,
    TolerancePrior,
    UniformWeight,
    compile_network,
)
from rollwave.training.compatibility import recipe_of
from rollwave.training.jacobian import JacobianProduct
from rollwave.training.tolerances import Placement, ToleranceHead, slopes

__all__ = ["folder", "program"]

POINTS = 16
FREE = TolerancePrior(strength=0.0, floor=0.0)
AT_DATA = JacobianProbe(own_steps=0)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Scale(nn.Module):
    """`a` times the mean of the channels."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, z: Tensor) -> Tensor:
        return self.a * z.mean(1, keepdim=True)


def emulator_of(network: nn.Module, *, history: int = 1, residual: bool = False) -> Emulator:
    one, shape = [1.0], ((POINTS,), (1.0,))
    metadata = EmulatorMetadata("test", ("u",), *shape, 1.0)
    normalizer = Normalizer([0.0], one, one, [-1.0], one)
    return Emulator(network, normalizer=normalizer, metadata=metadata, history=history, residual=residual)


class Bent(nn.Module):
    """A map that is not linear, its sensitivity different at every point."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 4, 5, padding=2, padding_mode="circular")
        self.last = nn.Conv1d(4, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(z)))


def bent() -> Emulator:
    return emulator_of(Bent())


def window(frames: int = 2, batch: int = 4) -> Tensor:
    """Smooth at one end of the box, steep at the other."""
    x = torch.arange(POINTS) / POINTS
    return torch.tanh(5 * torch.randn(batch, frames, 1, 1) * (x - 0.5)) + torch.rand(batch, frames, 1, 1)


def draws(step: int = 0, **place: int) -> Draws:
    return Draws(seed=1, step=step, **place)


def gradient(value: Tensor, module: nn.Module) -> Tensor:
    found = torch.autograd.grad(value, list(module.parameters()), retain_graph=True, materialize_grads=True)
    return torch.cat([g.flatten() for g in found])


def test_signs_are_signs_and_uncorrelated_and_each_process_has_its_rows() -> None:
    like = torch.zeros(4000, 3)
    v = draws().rademacher_like(like, stream=5)
    assert set(v.unique().tolist()) == {-1.0, 1.0}
    assert ((v.T @ v / 4000 - torch.eye(3)).abs() < 5 / 4000**0.5).all()
    halves = [draws(rank=rank, world_size=2).rademacher_like(like[:2000], stream=5) for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), v)
    assert not torch.equal(draws().rademacher_like(like, stream=6), v)


def test_the_probe_is_at_the_data_half_of_the_time_and_else_one_to_own_steps_further() -> None:
    emulator, z = emulator_of(Scale(0.5)), torch.ones(1, 2, 1, POINTS)
    steps = Counter(
        round(math.log(float(JacobianProbe(own_steps=3).state(emulator, z, draws(step))[0, 0, 0, 0]), 0.5))
        for step in range(600)
    )
    assert steps.keys() == {0, 1, 2, 3}
    for k, share in ((0, 1 / 2), (1, 1 / 6), (2, 1 / 6), (3, 1 / 6)):
        assert abs(steps[k] / 600 - share) < 4 * (share * (1 - share) / 600) ** 0.5
    z = z.requires_grad_()
    assert not any(JacobianProbe().state(emulator, z, draws(step)).requires_grad for step in range(8))


@pytest.mark.parametrize("history", [1, 2, 4])
def test_the_energy_is_of_the_whole_history(history: int) -> None:
    """Each of `h` frames enters with `a / h`: `r = a^2 / h`."""
    emulator, z = emulator_of(Scale(0.6), history=history), torch.randn(200, history + 1, 1, POINTS)
    state, energies = JacobianProbe()(emulator, z, draws=draws())
    assert state.shape == (200, history, 1, POINTS)
    spread = 0.36 / history * (2 * (1 - 1 / history)) ** 0.5
    assert energies.mean().item() - 0.36 / history == pytest.approx(0, abs=1e-6 + 5 * spread / energies.numel() ** 0.5)


def test_a_map_that_changes_nothing_has_no_energy_without_its_identity() -> None:
    z = window()
    emulator = emulator_of(Scale(0.0), residual=True)
    assert torch.equal(JacobianProbe()(emulator, z, draws=draws())[1], torch.ones(4, 1, POINTS))
    assert torch.equal(JacobianProbe(identity=1.0)(emulator, z, draws=draws())[1], torch.zeros(4, 1, POINTS))
    with pytest.raises(ValueError, match="identity=0"):
        JAWS(1, 1, weight=1.0, probe=JacobianProbe(identity=1.0))(emulator, z, draws=draws(), progress=1.0)


def test_free_tolerances_become_the_logarithms_of_the_energies() -> None:
    """And the bracket then pulls every row by the same share: the slope of `log r`."""
    jaws = JAWS(1, 1, weight=1.0, prior=FREE)
    scale = torch.linspace(-1.0, 2.0, POINTS).exp().requires_grad_()
    r = scale.square() * torch.linspace(0.1, 3.0, POINTS)
    s = torch.zeros(POINTS, requires_grad=True)
    optimizer = torch.optim.LBFGS([s], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=0.0)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = jaws.penalty(s[None, None], r.detach()[None, None], draws()).sum()
        value.backward()
        return value

    optimizer.step(loss)
    assert torch.allclose(s, r.log(), atol=2e-3)
    ours = torch.autograd.grad(jaws.penalty(r.detach().log()[None, None], r[None, None], draws()).sum(), scale)
    assert torch.allclose(*ours, 2 / scale, rtol=1e-5)


def test_one_product_gives_gradients_without_bias() -> None:
    """The mean over many probes of a linear map `A` against `mean_i [exp(-s_i) sum_j A_ij^2 + s_i]`, in `A` and in the
    head; logarithms of single energies would be off by 1.27.
    """
    linear = nn.Linear(POINTS, POINTS, bias=False)
    emulator, z = emulator_of(linear), window(batch=1).expand(2000, -1, -1, -1)
    jaws = JAWS(1, 1, weight=1.0, prior=FREE, probe=AT_DATA)
    jaws(emulator, z[:1], draws=draws(), progress=1.0)
    nn.init.normal_(jaws.head.layers[4].weight, std=0.5)
    s = jaws.head(z[:1, 0])[0, 0]
    r = linear.weight.square().sum(1)
    exact = (torch.exp(-s.detach()) * r + torch.exp(-s) * r.detach() - torch.exp(-s.detach()) * r.detach() + s).mean()
    for module in (linear, jaws.head.layers):
        wanted = gradient(exact, module)
        found = torch.stack(
            [gradient(jaws(emulator, z, draws=draws(step), progress=1.0).mean(), module) for step in range(10)]
        )
        deviation = found.std(0).norm() / 10**0.5
        assert deviation < 0.05 * wanted.norm()
        assert (found.mean(0) - wanted).norm() < 3 * deviation


def test_training_begins_as_an_exactly_uniform_penalty() -> None:
    emulator, z, prior = bent(), window(), TolerancePrior(floor=0.0)
    jaws = JAWS(1, 1, weight=0.3, probe=AT_DATA, prior=prior)
    value = jaws(emulator, z, draws=draws(), progress=1.0).mean()
    _, r = AT_DATA(emulator, z, draws=draws())
    mean = r.mean().item()
    assert torch.equal(jaws.head(z[:, 0]).unique(), jaws.head.level[None])
    assert value.item() == pytest.approx(0.3 * (1 + math.log(mean)), rel=1e-5)
    uniform = JacobianPenalty(0.3, UniformWeight(1 / mean), AT_DATA)(emulator, z, draws=draws(), progress=1.0).mean()
    assert torch.allclose(gradient(value, emulator.network), gradient(uniform, emulator.network), rtol=1e-4, atol=1e-7)


def test_the_head_starts_once() -> None:
    jaws, z = JAWS(1, 1, weight=1.0), window()
    jaws(emulator_of(Scale(0.5)), z, draws=draws(), progress=0.0)
    state = {name: value.clone() for name, value in jaws.state_dict().items()}
    assert float(state["head.level"]) == pytest.approx(math.log(0.25), rel=1e-5)
    jaws(emulator_of(Scale(2.0)), 3 * z, draws=draws(), progress=0.0)
    restored = JAWS(1, 1, weight=1.0)
    restored.load_state_dict(state)
    restored(emulator_of(Scale(2.0)), 3 * z, draws=draws(), progress=0.0)
    for other in (jaws, restored):
        assert_same_bits(state, dict(other.state_dict()))


def test_tolerances_see_slopes_in_units_of_the_first_batch_and_commute_with_shifts() -> None:
    for dimensions in (1, 2):
        head, u = ToleranceHead(2, dimensions), torch.randn(3, 2, *[8] * dimensions)
        head.start(u, torch.ones_like(u))
        seen: list[Tensor] = []
        head.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))  # noqa: B023
        head(u)
        assert torch.equal(seen[0][:, :2], u)
        assert torch.allclose(seen[0][:, 2:].square().transpose(0, 1).flatten(1).mean(1), torch.ones(2 * dimensions))
        nn.init.normal_(head.layers[4].weight)
        s = head(u)
        assert s.std() > 0.1
        assert torch.allclose(head(u.roll(3, -1)), s.roll(3, -1), atol=1e-5)
        assert (head(100 * u) - head.level).abs().max() <= head.bound
    steps = slopes(torch.tensor([[[0.0, 1.0, 5.0, 2.0]]]), 1)
    assert steps.tolist() == [[[0.5, 2.5, 0.5, 2.5]]]


def worth_of_collapse(prior: TolerancePrior) -> tuple[float, float]:
    """The penalty, and the log of the largest weight, after energies fell from 1 to 1e-6 and the head followed."""
    network, jaws, z = Scale(1.0), JAWS(1, 1, weight=1.0, prior=prior, probe=AT_DATA), window()
    jaws(emulator_of(network), z, draws=draws(), progress=1.0)
    nn.init.constant_(network.a, 1e-3)
    # The state is no matter here: tolerances alike everywhere.
    optimizer = torch.optim.Adam([jaws.head.layers[4].bias], lr=0.5, betas=(0.5, 0.9))
    for step in range(100):
        optimizer.zero_grad()
        value = jaws(emulator_of(network), z, draws=draws(step), progress=1.0).mean()
        value.backward()
        optimizer.step()
    return value.item(), -jaws.head(z[:, 0]).min().item()


def test_floor_bounds_and_prior_keep_a_constant_map_from_being_worth_everything() -> None:
    """`exp(-s) (r + e) + s >= 1 + log e`; `>= s_0 - S` without a floor; `s + s^2 / 2` is least at -1."""
    for prior, least, s in (
        (TolerancePrior(strength=0.0, floor=0.0, bound=50.0), 1 + math.log(1e-6), math.log(1e-6)),
        (TolerancePrior(strength=0.0, floor=0.01, bound=50.0), 1 + math.log(0.010001), math.log(0.010001)),
        (TolerancePrior(strength=0.0, floor=0.0, bound=3.0), -3.0, -3.0),
        (TolerancePrior(strength=1.0, floor=0.0, bound=50.0), -0.5, -1.0),
    ):
        value, largest = worth_of_collapse(prior)
        assert value == pytest.approx(least, abs=0.02)
        assert largest == pytest.approx(-s, abs=0.1)


@pytest.mark.parametrize("kind", [lambda w: JAWS(1, 1, weight=w), JacobianPenalty], ids=["jaws", "jacobian"])
def test_the_weight_rises_after_a_twentieth_of_the_training(kind: Any) -> None:
    emulator, z, penalty = bent(), window(), kind(2.0)
    values = [penalty(emulator, z, draws=draws(), progress=p).mean() for p in (0.0, 0.05, 0.1, 0.15, 1.0)]
    full = values[-1].item()
    assert full != 0
    assert [value.item() for value in values] == pytest.approx([0, 0, full / 2, full, full], rel=1e-5)
    assert not gradient(values[0], emulator.network).any()
    assert gradient(values[2], emulator.network).any()
    assert kind(1.0)(emulator, z, draws=draws(), progress=1.0).mean().item() == pytest.approx(full / 2, rel=1e-5)


def test_permuted_weights_are_the_same_weights() -> None:
    weights = torch.rand(3, 1, POINTS)
    moved = Permuted()(weights, draws())
    assert torch.equal(moved.sort(-1).values, weights.sort(-1).values)
    assert not torch.equal(moved, weights)
    assert not torch.equal(moved, Permuted()(weights, draws(1)))


@pytest.mark.parametrize("control", [Permuted(), Averaged()])
def test_weights_that_act_elsewhere_teach_the_head_the_same(control: Placement) -> None:
    emulator, z = bent(), window()
    jaws = JAWS(1, 1, weight=1.0, probe=AT_DATA)
    jaws(emulator, z, draws=draws(), progress=1.0)
    nn.init.normal_(jaws.head.layers[4].weight)
    slopes_of = []
    for placement in (InPlace(), control):
        jaws.placement = placement
        value = jaws(emulator, z, draws=draws(), progress=1.0).mean()
        slopes_of.append((gradient(value, jaws.head.layers), gradient(value, emulator.network)))
    (head, map_), (other_head, other_map) = slopes_of
    assert torch.equal(head, other_head)
    assert head.norm() > 0
    assert (map_ - other_map).norm() > 0.01 * map_.norm()


@pytest.mark.parametrize("dimensions", [1, 2])
def test_averaged_weights_are_one_a_sample_and_channel_and_their_sum_is_the_same(dimensions: int) -> None:
    weights = torch.rand(3, 2, *[8] * dimensions, dtype=torch.float64)
    spread = Averaged()(weights, draws())
    assert spread.shape == weights.shape
    assert torch.allclose(spread.flatten(2).sum(2), weights.flatten(2).sum(2), rtol=1e-12)
    assert spread.flatten(2).std(2).max() < 1e-15
    assert spread.flatten(2)[..., 0].flatten().unique().numel() == 6


def test_only_expansion_costs_where_the_penalty_has_one_side() -> None:
    for a, expected in ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.5, 0.25), (3.0, 4.0)):
        emulator = emulator_of(Scale(a))
        value = JacobianPenalty(1.0, OneSided())(emulator, window(), draws=draws(), progress=1.0).mean()
        assert value.item() == pytest.approx(expected, abs=1e-6)
        assert gradient(value, emulator.network).item() == pytest.approx(max(0.0, 2 * (a - 1)), abs=1e-5)


def test_slope_weights_are_weak_where_the_frame_is_steep_on_every_mesh() -> None:
    """For `sin 2 pi x` squared slopes are `2 cos^2 2 pi x` of their mean: weights between `1 / (1 + 2 kappa)` and 1."""
    for points in (16, 64):
        x = torch.arange(points, dtype=torch.float64) / points
        u = 3 * torch.sin(2 * torch.pi * x).expand(2, 1, 1, -1)
        weights = SlopeWeight(4.0).weights(u)
        assert torch.allclose(weights[0, 0], 1 / (1 + 8 * torch.cos(2 * torch.pi * x).square()), rtol=1e-9)
    assert torch.equal(SlopeWeight(4.0).weights(torch.ones(1, 1, 1, 8)), torch.ones(1, 1, 8))
    r = torch.rand(2, 1, 64, dtype=torch.float64)
    assert torch.allclose(SlopeWeight(4.0)(u, r), (weights * r).mean((1, 2)))
    assert torch.allclose(SlopeWeight(0.0)(u, r), UniformWeight()(u, r))


@pytest.mark.parametrize(
    "regularizer",
    [JAWS(1, 1, weight=1.0, placement=Permuted()), JacobianPenalty(1.0, SlopeWeight())],
    ids=["jaws_permuted", "jacobian_oracle"],
)
def test_two_processes_see_the_gradient_of_one(regularizer: Any) -> None:
    emulator, z = bent(), window(batch=6)
    regularizer(emulator, z, draws=draws(), progress=1.0)
    whole = regularizer(emulator, z, draws=draws(7), progress=1.0).mean()
    halves = [
        regularizer(emulator, part, draws=draws(7, rank=rank, world_size=2), progress=1.0).mean()
        for rank, part in enumerate(z.split(3))
    ]
    modules = [emulator.network] + ([regularizer.head.layers] if isinstance(regularizer, JAWS) else [])
    for module in modules:
        wanted = gradient(whole, module)
        found = (gradient(halves[0], module) + gradient(halves[1], module)) / 2
        assert wanted.norm() > 0
        assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-6 * float(wanted.norm()))


def test_resuming_changes_no_bit_of_emulator_and_head(folder: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_epochs": 2}
    whole, logged = run(folder, tmp_path, SaveEverywhere(tmp_path), regularizer=JAWS(1, 1, weight=0.1), **settings)
    assert whole["weights"]["regularizer.head.layers.4.weight"].any()
    checkpoints = [path for path in sorted(tmp_path.glob("step-*.ckpt")) if path.name <= "step-05.ckpt"]
    for checkpoint in checkpoints[:1] + checkpoints[-1:]:
        resumed, rest = run(folder, tmp_path, resume=checkpoint, regularizer=JAWS(1, 1, weight=0.1), **settings)
        assert_same_bits(whole, resumed, checkpoint.name)
        assert rest.losses.items() <= logged.losses.items()


def trainer(**settings: Any) -> Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", use_distributed_sampler=False, log_every_n_steps=1, **quiet | settings)


@pytest.fixture
def data(folder: Path) -> TrajectoryDataModule:
    data = TrajectoryDataModule(folder, batch_size=8, validation_steps=5)
    data.setup("fit")
    return data


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_the_emulator_leaves_the_head_behind(
    data: TrajectoryDataModule, tmp_path: Path, ema_decay: float | None
) -> None:
    task = small_task(data, regularizer=JAWS(1, 1, weight=0.1), ema_decay=ema_decay)
    trainer(max_epochs=1, callbacks=[LastCheckpoint(tmp_path)]).fit(task, datamodule=data)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert "regularizer.head.level" in checkpoint["state_dict"]
    names = small_emulator(data).state_dict().keys()
    for emulator in (task.trained_emulator(), Emulator.from_checkpoint(tmp_path / "last.ckpt")):
        assert emulator.state_dict().keys() == names
        assert_same_bits(dict(emulator.state_dict()), dict(task.trained_emulator().state_dict()))


def test_a_run_in_bfloat16_follows_the_run_in_float32(data: TrajectoryDataModule) -> None:
    """Penalties themselves are computed in float32; the states of rollouts and the weights are rounded before."""
    penalties = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(1)
        runner = trainer(max_epochs=2, precision=precision, enable_checkpointing=False)
        runner.fit(small_task(data, regularizer=JAWS(1, 1, weight=0.1)), datamodule=data)
        penalties.append(float(runner.callback_metrics["train/penalty"]))
    assert penalties[1] == pytest.approx(penalties[0], rel=0.03)
    assert penalties[1] != penalties[0]


@pytest.mark.parametrize(
    "how", [ForwardMode(), DoubleBackward(), FiniteDifference()], ids=lambda how: type(how).__name__
)
def test_a_compiled_network_has_the_same_penalties_and_stays_compiled(how: JacobianProduct) -> None:
    plain, compiled, z = bent(), bent(), window()
    compiled.load_state_dict(plain.state_dict())
    graphs = CompileCounterWithBackend("aot_eager")
    compile_network(compiled, backend=graphs)
    probe = JacobianProbe(product=how, own_steps=0)
    for penalty in (JAWS(1, 1, weight=1.0, probe=probe), JacobianPenalty(1.0, probe=probe)):
        found = []
        for emulator in (plain, compiled):
            value = penalty(emulator, z, draws=draws(), progress=1.0).mean()
            found.append((value.item(), gradient(value, emulator.network)))
        (value, slope), (other, other_slope) = found
        assert other == pytest.approx(value, rel=1e-3)
        assert (other_slope - slope).norm() < 1e-2 * slope.norm()
    assert graphs.frame_count == isinstance(how, FiniteDifference)
    compiled.advance(z[:, :1].contiguous())
    assert graphs.frame_count == 1


def test_a_config_is_plain_data_and_names_every_part() -> None:
    one, other = JAWS(1, 1, weight=0.1), JAWS(1, 1, weight=0.1, placement=Permuted())
    assert recipe_of(one)["probe"]["product"] == {"name": "ForwardMode"}
    assert recipe_of(one) != recipe_of(other)
    assert recipe_of(one) == recipe_of(JAWS(1, 1, weight=0.1))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: JAWS(1, 1, weight=-1.0), "not be negative, got -1"),
        (lambda: JacobianPenalty(-1.0), "not be negative, got -1"),
        (lambda: SlopeWeight(-1.0), "kappa must not be negative"),
        (lambda: TolerancePrior(bound=0.0), "bound > 0"),
        (lambda: JacobianProbe(own_steps=-1), "own_steps of a probe must not be negative"),
    ],
)
def test_settings_without_a_sense_are_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.slow
def test_two_processes_train_emulator_and_head_as_one_does(
    root: Path, program: Any, folder: Path, tmp_path: Path
) -> None:
    """The start of the head included: its level is a mean over both."""
    same = ["regularizer=jaws", "regularizer.weight=0.1", "trainer.precision=64-true"]
    one = fit(program, folder, tmp_path / "one", *same)
    result = start(root, folder, tmp_path, *same, "trainer=ddp", *TWO)
    assert result.returncode == 0, result.stderr
    ours, theirs = last(one)["state_dict"], last(only(tmp_path))["state_dict"]
    assert ours["regularizer.head.layers.4.weight"].any()
    for name, value in ours.items():
        if value.is_floating_point():
            assert torch.allclose(theirs[name], value, rtol=1e-8, atol=1e-10), name

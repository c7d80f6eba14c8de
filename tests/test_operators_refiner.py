"""PDE-Refiner: what its calls are shown, what they give, and how they are trained."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rollwave.operators import FNO, Emulator, EmulatorMetadata, Galilean, Normalizer, Refiner
from rollwave.training import Draws, OneStep, Refinement

INNER: dict[str, Any] = {"_target_": "rollwave.operators.FNO", "width": 6, "modes": [3], "depth": 2}


class Answering(nn.Module):
    """A network of `u`, estimate and level, one channel each, that gives what a function of them says."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer
        self.config = {"_target_": "rollwave.operators.FNO", "in_channels": 3, "out_channels": 1}
        self.seen: list[Tensor] = []

    def forward(self, v: Tensor) -> Tensor:
        self.seen.append(v)
        out: Tensor = self.answer(*v.split(1, dim=1))
        return out


def refiner(**changes: Any) -> Refiner:
    torch.manual_seed(0)
    return Refiner(1, 1, **({"network": INNER} | changes))


def emulator(network: nn.Module, *, residual: bool = True, history: int = 1) -> Emulator:
    metadata = EmulatorMetadata("some", ("u",), (64,), (1.0,), 1.0)
    normalizer = Normalizer([1.0], [2.0], [0.5], [-100.0], [100.0])
    return Emulator(network, normalizer=normalizer, metadata=metadata, history=history, residual=residual)


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).square().flatten(1).mean(1)


def perfect(steps: int, min_noise: float = 4e-7) -> Answering:
    """Knows that the target is `sin(u)`, and says what stands upon it."""

    def answer(u: Tensor, estimate: Tensor, level: Tensor) -> Tensor:
        noise = (estimate - u.sin()) / min_noise ** (level / 2)
        return torch.where(level == 0, u.sin(), noise)

    return Answering(answer)


def test_without_refinement_it_is_the_plain_network() -> None:
    operator, u = refiner(steps=0), torch.randn(2, 1, 32)
    assert isinstance(operator.network, FNO)
    assert torch.equal(operator(u), operator.network(torch.cat([u, torch.zeros(2, 2, 32)], dim=1)))


def test_the_noise_of_call_k_has_its_variance_and_is_another_one() -> None:
    """A network that finds no noise: the estimate grows by the noise of each call."""
    K, points, min_noise = 3, 2**15, 1e-3
    spy = Answering(lambda u, estimate, level: 0 * u)
    Refiner(1, 1, network=spy, steps=K, min_noise=min_noise)(torch.randn(1, 1, points))
    estimates = [seen[0, 1] for seen in spy.seen]
    added = [after - before for before, after in itertools.pairwise(estimates)]
    assert [float(seen[0, 2, 0]) for seen in spy.seen] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for k, noise in enumerate(added, 1):
        # Of N squares of normal numbers the mean has a relative deviation of sqrt(2 / N), here 0.8 %.
        assert float(noise.square().mean()) == pytest.approx(min_noise ** (k / K), rel=0.04)
    assert torch.corrcoef(torch.stack(added)).triu(1).abs().max() < 5 / points**0.5


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_perfect_denoiser_recovers_the_target(steps: int) -> None:
    u = torch.randn(2, 1, 64, dtype=torch.float64)
    operator = Refiner(1, 1, network=perfect(steps), steps=steps)
    torch.testing.assert_close(operator(u), u.sin(), rtol=0, atol=1e-12)


def test_an_error_below_the_noise_of_a_call_is_all_that_is_left() -> None:
    """A denoiser whose answer is off by `e` leaves `s_K e`, whatever the first prediction was."""
    exact = perfect(2, 1e-2).answer
    wrong = Answering(lambda u, y, level: exact(u, y, level) + 0.5)
    u = torch.randn(2, 1, 64, dtype=torch.float64)
    left = Refiner(1, 1, network=wrong, steps=2, min_noise=1e-2)(u) - u.sin()
    torch.testing.assert_close(left, torch.full_like(left, -0.1 * 0.5))


def test_a_rollout_is_a_function_of_state_and_seed() -> None:
    model, u = emulator(refiner()), torch.randn(3, 1, 64)
    once = model.rollout(u, 4)
    torch.rand(3)
    assert torch.equal(once, model.rollout(u, 4))
    torch.testing.assert_close(once[1:2], model.rollout(u[1:2], 4))
    torch.testing.assert_close(once[:, 2:], model.rollout(once[:, 1], 2))
    assert not torch.equal(once, emulator(refiner(seed=1)).rollout(u, 4))


def test_a_saved_refiner_is_the_same_map(tmp_path: Path) -> None:
    model, u = emulator(refiner(min_noise=1e-3)), torch.randn(2, 1, 64)
    model.save_pretrained(tmp_path)
    assert torch.equal(Emulator.from_pretrained(tmp_path).rollout(u, 3), model.rollout(u, 3))


def test_a_refiner_works_in_two_dimensions_with_several_channels() -> None:
    operator = Refiner(2, 3, network=INNER | {"modes": [3, 2]})
    assert operator(torch.randn(2, 2, 8, 12)).shape == (2, 3, 8, 12)


def test_a_refiner_compiles_into_one_graph() -> None:
    operator, u = refiner(steps=2, network=INNER | {"depth": 1}), torch.randn(2, 1, 32)
    torch._dynamo.reset()
    compiled = torch.compile(operator, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(u), operator(u))
    torch.testing.assert_close(compiled(2 * u), operator(2 * u))


def test_a_refiner_has_forward_derivatives() -> None:
    operator, u, v = refiner().double(), *torch.randn(2, 1, 1, 32, dtype=torch.float64)
    _, derivative = torch.func.jvp(operator, (u,), (v,))
    difference = (operator(u + 1e-6 * v) - operator(u - 1e-6 * v)) / 2e-6
    assert (derivative - difference).norm() < 1e-5 * derivative.norm()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "steps must not be negative"),
        ({"min_noise": 1.0}, r"min_noise must lie in \(0, 1\)"),
        ({"network": FNO(2, 1, width=4, modes=(2,))}, r"needs \{'in_channels': 3, .*got \{'in_channels': 2\}"),
    ],
)
def test_wrong_arguments_are_explained(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        refiner(**arguments)


@pytest.mark.parametrize("residual", [True, False])
def test_the_perfect_denoiser_has_no_refinement_loss(residual: bool) -> None:
    """With the window that it makes; a window of another flow has one."""
    model = emulator(Refiner(1, 1, network=perfect(3), steps=3), residual=residual)
    first = torch.randn(64, 1, 64, dtype=torch.float64)
    after = first + 0.25 * first.sin() if residual else first.sin()
    z = torch.stack([first, after], dim=1)
    for step in range(3):
        value = Refinement()(model, z, loss=squared, draws=Draws(0, step))
        assert value.shape == (64,)
        assert value.max() < 1e-12
        other = Refinement()(model, z + 0.1, loss=squared, draws=Draws(0, step))
        assert other.min() > 1e-6


def test_every_call_is_trained_equally_often_and_shown_its_noise() -> None:
    K, min_noise, spy = 3, 1e-2, Answering(lambda u, estimate, level: 0 * u)
    model = emulator(Refiner(1, 1, network=spy, steps=K, min_noise=min_noise), residual=False)
    z = torch.zeros(4000, 2, 1, 32)
    value = Refinement()(model, z, loss=squared, draws=Draws(0, 0))
    _, estimate, level = spy.seen[0].split(1, dim=1)
    k = (K * level[:, 0, 0]).round().int()
    counts = torch.bincount(k, minlength=K + 1)
    # Binomial: 1000 +- 27.
    assert counts.min() > 880
    assert len(counts) == K + 1
    for call in range(K + 1):
        shown = float(estimate[k == call].square().mean())
        assert shown == pytest.approx(min_noise ** (call / K) if call else 0, rel=0.05)
    # The answer 0 misses the target 0 by nothing and noise of unit variance by 1.
    assert value[k == 0].max() == 0
    assert float(value[k > 0].mean()) == pytest.approx(1, rel=0.05)


def test_processes_train_the_calls_of_the_global_batch() -> None:
    model, z = emulator(refiner()), torch.randn(6, 2, 1, 64)
    whole = Refinement()(model, z, loss=squared, draws=Draws(1, 2))
    parts = [Refinement()(model, z[2 * r : 2 * r + 2], loss=squared, draws=Draws(1, 2, r, 3)) for r in range(3)]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_refinement_wants_a_refiner_and_a_refiner_takes_other_objectives() -> None:
    z = torch.randn(2, 2, 1, 64)
    with pytest.raises(ValueError, match=r"trains a Refiner, got FNO; use operator=refiner"):
        Refinement()(emulator(FNO(1, 1, width=4, modes=(2,))), z, loss=squared, draws=Draws(0, 0))
    model = emulator(refiner())
    model.symmetry = Galilean(advection=1.0)
    with pytest.raises(ValueError, match="bare network of an emulator; set symmetry=null"):
        Refinement()(model, z, loss=squared, draws=Draws(0, 0))
    model.symmetry = None
    OneStep()(model, z, loss=squared, draws=Draws(0, 0)).mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_training_by_refinement_lowers_its_loss() -> None:
    model = emulator(refiner(min_noise=1e-3), residual=False)
    x = 2 * torch.pi * (torch.arange(32) / 32 + torch.rand(64, 1, 1))
    z = torch.stack([x.sin(), 0.8 * (x - 0.5).sin()], dim=1)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-2), []
    for step in range(100):
        optimizer.zero_grad()
        losses.append(Refinement()(model, z, loss=squared, draws=Draws(0, step)).mean())
        losses[-1].backward()
        optimizer.step()
    assert sum(losses[-10:]) < 0.3 * sum(losses[:10])

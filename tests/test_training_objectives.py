"""Each objective against its definition, computed with a map that needs no network."""

import math
from pathlib import Path

import pytest
import torch
from test_datasets_flow import frames
from torch import Tensor, nn

from rollwave.datasets import flow
from rollwave.operators import Emulator, EmulatorMetadata, Normalizer
from rollwave.training import Diverted, Draws, Noise, OneStep, Pushforward, RelativeL2, Unrolled

DRAWS = Draws(seed=1, step=2)


class Scale(nn.Module):
    """`a` times the mean of the frames of the history."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))
        self.calls = 0

    def forward(self, z: Tensor) -> Tensor:
        self.calls += 1
        return self.a * z.mean(1, keepdim=True)


def scaling(a: float = 0.5, history: int = 1, mean: float = 0.0, std: float = 1.0) -> Emulator:
    one = [1.0]
    metadata = EmulatorMetadata("scaling", ("u",), (8,), (1.0,), 1.0)
    normalizer = Normalizer([mean], [std], one, [-1.0], one)
    return Emulator(Scale(a), normalizer=normalizer, metadata=metadata, history=history, residual=False)


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).square().flatten(1).mean(1)


def window(frames: int, batch: int = 3) -> Tensor:
    return torch.randn(batch, frames, 1, 8)


def test_one_step_compares_the_next_frame_only() -> None:
    z = window(3)
    expected = squared(0.5 * (z[:, 0] + z[:, 1]) / 2, z[:, 2])
    assert torch.allclose(OneStep()(scaling(history=2), z, loss=squared, draws=DRAWS), expected)


def test_unrolled_is_the_mean_over_the_steps_of_its_own_states() -> None:
    z = window(4)
    expected = torch.stack([squared(0.5**k * z[:, 0], z[:, k]) for k in (1, 2, 3)]).mean(0)
    assert torch.allclose(Unrolled(3)(scaling(), z, loss=squared, draws=DRAWS), expected)


@pytest.mark.parametrize("history", [1, 2])
def test_recomputing_activations_changes_no_gradient(history: int) -> None:
    gradients = []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        emulator = scaling(history=history)
        Unrolled(3, checkpoint=checkpoint)(emulator, window(history + 3), loss=squared, draws=DRAWS).mean().backward()
        gradients.append(emulator.network.a.grad)
        assert emulator.network.calls == (6 if checkpoint else 3)
    assert torch.equal(*gradients)


def test_truncation_cuts_the_gradient_after_every_mth_step_and_nothing_else() -> None:
    """With `f(u) = a u` and targets zero the term of step `k` is `a^{2k} u^2`; its slope through the last `j` calls is
    `2 j a^{2k - 1} u^2`.
    """
    a, K = 0.7, 5
    z = torch.zeros(1, K + 1, 1, 8)
    z[:, 0] = 1.0
    for m in (1, 2, 3, K, None):
        emulator = scaling(a)
        value = Unrolled(K, gradient_steps=m)(emulator, z, loss=squared, draws=DRAWS).mean()
        value.backward()
        calls = [(k - 1) % (m or K) + 1 for k in range(1, K + 1)]
        expected = sum(2 * j * a ** (2 * k - 1) for k, j in enumerate(calls, 1)) / K
        assert value.item() == pytest.approx(sum(a ** (2 * k) for k in range(1, K + 1)) / K, rel=1e-6)
        assert float(emulator.network.a.grad) == pytest.approx(expected, rel=1e-6)


def test_pushforward_differentiates_the_last_call_only() -> None:
    """With `f(u) = a u` from `u = 1` and targets zero, after `m` free calls: `(a^m a)^2`, with slope `2 a^{2m} a`."""
    a, seen = 0.7, set()
    z = torch.zeros(1, 5, 1, 8)
    z[:, 0] = 1.0
    for step in range(40):
        emulator, draws = scaling(a), Draws(seed=0, step=step)
        m = draws.integer(4)
        Pushforward(4)(emulator, z, loss=squared, draws=draws).mean().backward()
        assert emulator.network.calls == m + 1
        assert float(emulator.network.a.grad) == pytest.approx(2 * a ** (2 * m + 1), rel=1e-5)
        seen.add(m)
    assert seen == {0, 1, 2, 3}


def test_pushforward_compares_with_the_frame_after_the_pushed_ones() -> None:
    z = window(6)
    draws = next(Draws(0, step) for step in range(40) if Draws(0, step).integer(4) == 3)
    h1, h2 = z[:, 0], z[:, 1]
    for _ in range(3):
        h1, h2 = h2, 0.25 * (h1 + h2)
    expected = squared(0.25 * (h1 + h2), z[:, 5])
    assert torch.allclose(Pushforward(4)(scaling(history=2), z, loss=squared, draws=draws), expected)


def doubled(u: Tensor) -> Tensor:
    return 2 * u


@pytest.mark.parametrize("gradient", [False, True])
def test_diverted_compares_each_own_state_with_the_flow(gradient: bool) -> None:
    """With `f(u) = a u` and `Phi(u) = 2 u` from `u = 1` it is `S (a - 2)^2`, `S = (1 + a^2 + a^4) / 3`; without a
    gradient of the states `S` counts as a constant.
    """
    a, emulator = 0.7, scaling(0.7)
    value = Diverted(doubled, 3, gradient)(emulator, torch.ones(2, 2, 1, 8), loss=squared, draws=DRAWS)
    sizes, slope = (1 + a**2 + a**4) / 3, (2 * a + 4 * a**3) / 3
    assert value.tolist() == pytest.approx([sizes * (a - 2) ** 2] * 2, rel=1e-6)
    value.mean().backward()
    expected = 2 * (a - 2) * sizes + gradient * slope * (a - 2) ** 2
    assert float(emulator.network.a.grad) == pytest.approx(expected, rel=1e-6)


def test_diverted_follows_histories_and_keeps_samples_apart() -> None:
    z, chain = window(3), Diverted(doubled, 2)
    own = 0.5 * (z[:, 0] + z[:, 1]) / 2
    terms = squared(own, 2 * z[:, 1]), squared(0.5 * (z[:, 1] + own) / 2, 2 * own)
    torch.testing.assert_close(chain(scaling(history=2), z, loss=squared, draws=DRAWS), sum(terms) / 2)


def test_a_state_that_the_solver_cannot_start_from_makes_the_objective_nan(tmp_path: Path) -> None:
    folder, u = frames(tmp_path)
    value = Diverted(flow(folder), 2)(scaling(1e300), u[:, :2], loss=squared, draws=DRAWS)
    assert value.isnan().all()


def test_one_state_of_a_diverted_objective_is_one_step_training(tmp_path: Path) -> None:
    """The targets are the solver's own frames, stored in float32."""
    folder, u = frames(tmp_path)
    emulator = scaling(mean=0.3, std=0.7)
    ours, theirs = (
        objective(emulator, emulator.encode(u[:, :2]), loss=squared, draws=DRAWS)
        for objective in (Diverted(flow(folder), 1), OneStep())
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)


def test_noise_has_its_standard_deviation_and_leaves_the_target_alone() -> None:
    """For `f = a` and target 0, `E (a (u + s xi))^2 = a^2 (u^2 + s^2)`."""
    z = torch.zeros(4000, 2, 1, 8)
    z[:, 0] = 1.0
    value = Noise(0.5)(scaling(2.0), z, loss=squared, draws=DRAWS).mean()
    assert value.item() == pytest.approx(4 * 1.25, rel=0.02)
    assert torch.equal(
        Noise(0.0)(scaling(), z, loss=squared, draws=DRAWS), OneStep()(scaling(), z, loss=squared, draws=DRAWS)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Unrolled(0),
        lambda: Unrolled(3, gradient_steps=0),
        lambda: Pushforward(0),
        lambda: Noise(-0.1),
        lambda: Diverted(None, 2),
        lambda: Diverted(doubled, 0),
    ],
)
def test_numbers_that_mean_nothing_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"must|needs the flow"):
        wrong()


def test_draws_depend_on_seed_step_and_stream_and_on_nothing_else() -> None:
    z = torch.zeros(4, 2, 3)
    first = Draws(1, 2).normal_like(z)
    torch.rand(5)
    assert torch.equal(first, Draws(1, 2).normal_like(z))
    others = [Draws(2, 2).normal_like(z), Draws(1, 3).normal_like(z), Draws(1, 2).normal_like(z, stream=1)]
    assert all(not torch.equal(first, other) for other in others)


def test_processes_share_the_noise_of_the_global_batch() -> None:
    whole = Draws(1, 2).normal_like(torch.zeros(6, 2, 3))
    parts = [Draws(1, 2, rank, 3).normal_like(torch.zeros(2, 2, 3)) for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)
    assert len({Draws(1, 2, rank, 3).integer(1000) for rank in range(3)}) == 1


def test_draws_are_normal_and_uniform() -> None:
    numbers = torch.cat([Draws(0, step).normal_like(torch.zeros(64, 4)).flatten() for step in range(64)])
    assert float(numbers.mean()) == pytest.approx(0, abs=4 / math.sqrt(len(numbers)))
    assert float(numbers.std()) == pytest.approx(1, abs=0.02)
    counts = torch.bincount(torch.tensor([Draws(0, step).integer(4) for step in range(400)]))
    assert counts.min() > 70


def test_unrolling_costs_memory_that_recomputing_saves() -> None:
    """Bytes saved for the backward pass: K-fold for a plain unroll of K steps, states alone when recomputed."""

    def saved_bytes(objective: Unrolled | OneStep) -> int:
        total = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.nbytes
            return tensor

        torch.manual_seed(0)
        emulator = scaling()
        emulator.network = nn.Sequential(
            nn.Conv1d(1, 32, 1), nn.GELU(), nn.Conv1d(32, 32, 1), nn.GELU(), nn.Conv1d(32, 1, 1)
        )
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            objective(emulator, torch.randn(2, 9, 1, 64), loss=RelativeL2(), draws=DRAWS)
        return total

    one = saved_bytes(Unrolled(1))
    assert saved_bytes(Unrolled(8)) > 7 * one
    assert saved_bytes(Unrolled(8, checkpoint=True)) < one

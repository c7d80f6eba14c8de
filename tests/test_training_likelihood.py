"""Errors whose variance is learned, alone and with a tolerance that the Jacobian shares, against what they are by
hand.
"""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from test_configs import composed
from test_train import TWO, fit, folder, last, only, program, start
from test_training_jaws import AT_DATA, FREE, POINTS, Scale, bent, draws, emulator_of, gradient, window
from test_training_resume import SaveEverywhere, assert_same_bits, run
from torch import Tensor, nn

from rollwave.operators import Emulator
from rollwave.training import JAWS, Likelihood, RelativeL2, ToleranceHead
from rollwave.training.compatibility import recipe_of
from rollwave.training.tolerances import SharedTolerances

__all__ = ["folder", "program"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def value(objective: Likelihood, emulator: Emulator, z: Tensor) -> Tensor:
    return objective(emulator, z, loss=RelativeL2(), draws=draws())


def bend(head: ToleranceHead) -> None:
    """Tolerances that differ from point to point."""
    nn.init.normal_(head.layers[4].weight, std=0.5)


def errors(emulator: Emulator, z: Tensor) -> Tensor:
    return (emulator.advance(z[:, :1]) - z[:, 1]).square()


def test_the_first_value_is_one_plus_the_log_of_the_mean_square_error() -> None:
    emulator, z, objective = bent(), window(), Likelihood(1, 1, beta=0.0)
    found = value(objective, emulator, z).mean().item()
    level = math.log(errors(emulator, z).mean().item())
    assert found == pytest.approx(1 + level, rel=1e-5)
    assert objective.head.level.item() == pytest.approx(level, rel=1e-5)


def test_the_best_tolerance_is_the_mean_square_error_whatever_beta() -> None:
    """Four states, told apart by their height, whose errors are 1/2, 1, 2 and 4."""
    squares = 2.0 ** torch.arange(-1, 3)[:, None, None].expand(4, 1, POINTS)
    u = torch.arange(4.0)[:, None, None].expand(4, 1, POINTS).contiguous()
    for beta in (0.0, 0.5, 1.0):
        objective = Likelihood(1, 1, beta=beta)
        optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
        for _ in range(300):
            optimizer.zero_grad()
            objective.cost(u, squares).mean().backward()
            optimizer.step()
        assert torch.allclose(objective.head(u), squares.log(), atol=0.05), beta


def test_beta_goes_from_weights_of_one_over_the_variance_to_the_mean_square_error() -> None:
    emulator, z = bent(), window()
    for beta in (0.0, 0.5, 1.0):
        objective = Likelihood(1, 1, beta=beta)
        value(objective, emulator, z)
        bend(objective.head)
        weights = torch.exp((beta - 1) * objective.head(z[:, 0])).detach()
        wanted = gradient((weights * errors(emulator, z)).mean(), emulator.network)
        found = gradient(value(objective, emulator, z).mean(), emulator.network)
        assert wanted.norm() > 0
        assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_an_unroll_looks_at_its_own_states_and_sends_no_gradient_through_their_tolerances() -> None:
    emulator, z, objective = bent(), window(frames=4), Likelihood(1, 1, steps=3)
    value(objective, emulator, z)
    bend(objective.head)
    assert objective.horizon == 3
    seen: list[Tensor] = []
    objective.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    found = gradient(value(objective, emulator, z).mean(), emulator.network)
    states, terms = [z[:, 0]], []
    for step in range(3):
        frame = emulator.advance(states[-1][:, None])
        weights = torch.exp(-0.5 * objective.head(states[-1]).detach())
        terms.append((weights * (frame - z[:, step + 1]).square()).mean())
        states.append(frame)
    assert all(torch.allclose(u, state) and not u.requires_grad for u, state in zip(seen, states[:3], strict=False))
    assert torch.allclose(found, gradient(torch.stack(terms).mean(), emulator.network), rtol=1e-4, atol=1e-6)


def tied(weight: float = 1.0) -> tuple[Likelihood, JAWS]:
    """Errors and a Jacobian with one tolerance."""
    objective = Likelihood(1, 1)
    return objective, JAWS(1, 1, weight=weight, prior=FREE, probe=AT_DATA, tied_to=objective.head)


def test_a_shared_tolerance_starts_at_both_means_and_differs_by_a_constant() -> None:
    emulator, z = emulator_of(Scale(0.5)), window()
    objective, jaws = tied()
    value(objective, emulator, z)
    first = jaws(emulator, z, draws=draws(), progress=1.0)
    # `exp(-s) r + s` at `s = log r`.
    assert first.mean().item() == pytest.approx(1 + math.log(0.25), rel=1e-5)
    bend(objective.head)
    difference = jaws.head(z[:, 0]) - objective.head(z[:, 0])
    wanted = math.log(0.25) - math.log(errors(emulator, z).mean().item())
    assert torch.allclose(difference, torch.full_like(difference, wanted), atol=1e-5)
    assert objective.head(z[:, 0]).std() > 0.01


def test_errors_and_jacobian_teach_a_shared_tolerance_together_and_the_constant_is_the_jacobians() -> None:
    emulator, z = bent(), window()
    objective, jaws = tied()
    value(objective, emulator, z)
    jaws(emulator, z, draws=draws(), progress=1.0)
    bend(objective.head)
    both = (value(objective, emulator, z) + jaws(emulator, z, draws=draws(), progress=1.0)).mean()
    parts = [value(objective, emulator, z).mean(), jaws(emulator, z, draws=draws(), progress=1.0).mean()]
    for module in (objective.head.layers, emulator.network):
        each = [gradient(part, module) for part in parts]
        assert min(float(g.norm()) for g in each) > 0
        assert torch.allclose(gradient(both, module), each[0] + each[1], rtol=1e-4, atol=1e-6)
    constant = jaws.head.constant
    assert isinstance(constant, nn.Parameter)
    assert torch.autograd.grad(parts[0], constant, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(parts[1], constant)[0] != 0


def test_the_programs_regularizer_shares_the_head_of_its_objective_or_says_what_it_needs(
    program: ModuleType, folder: Path, tmp_path: Path
) -> None:
    places = (f"data.folder={folder}", f"paths.data={tmp_path}", "data.validation_steps=5")
    cfg = composed("train", "regularizer=jaws_tied", *places)
    objective = program.build_objective(cfg)
    data = program.open_data(cfg, objective)
    regularizer = program.build_regularizer(cfg, data, objective)
    assert isinstance(regularizer.head, SharedTolerances)
    assert regularizer.head.head is objective.head
    names = [
        name
        for name, _ in program.build_task(cfg, objective, program.build_emulator(cfg, data), data).named_parameters()
    ]
    assert sum("layers" in name and "head" in name for name in names) == 6
    cfg = composed("train", "regularizer=jaws_tied", "objective=one_step", *places)
    with pytest.raises(ValueError, match="shares the tolerances of objective=likelihood, got OneStep"):
        program.build_regularizer(cfg, data, program.build_objective(cfg))


def test_resuming_changes_no_bit_of_emulator_and_shared_head(folder: Path, tmp_path: Path) -> None:
    def parts() -> dict[str, Any]:
        objective = Likelihood(1, 1)
        return {"objective": objective, "regularizer": JAWS(1, 1, weight=0.1, tied_to=objective.head)}

    whole, logged = run(folder, tmp_path, SaveEverywhere(tmp_path), max_epochs=2, **parts())
    assert whole["weights"]["objective.head.layers.4.weight"].any()
    assert whole["weights"]["regularizer.head.constant"] != 0
    resumed, rest = run(folder, tmp_path, resume=tmp_path / "step-03.ckpt", max_epochs=2, **parts())
    assert_same_bits(whole, resumed)
    assert rest.losses.items() <= logged.losses.items()


def test_a_config_is_plain_data_and_names_every_part() -> None:
    assert recipe_of(Likelihood(1, 1)) == {"name": "Likelihood", "steps": 1, "beta": 0.5, "width": 16, "bound": 16.0}
    assert recipe_of(tied()[1])["tied"]
    assert not recipe_of(JAWS(1, 1, weight=1.0))["tied"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Likelihood(1, 1, steps=0), "steps of a likelihood must be at least 1, got 0"),
        (lambda: Likelihood(1, 1, beta=1.5), r"beta of a likelihood must lie in \[0, 1\], got 1.5"),
        (
            lambda: Likelihood(1, 1).cost(torch.ones(1, 1, POINTS), torch.zeros(1, 1, POINTS)),
            "finite positive mean .* got 0",
        ),
    ],
)
def test_settings_without_a_sense_are_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.slow
def test_two_processes_train_emulator_and_shared_head_as_one_does(
    root: Path, program: ModuleType, folder: Path, tmp_path: Path
) -> None:
    """The start of both heads included: their levels are means over both processes."""
    same = ["regularizer=jaws_tied", "regularizer.weight=0.1", "trainer.precision=64-true"]
    one = fit(program, folder, tmp_path / "one", *same)
    result = start(root, folder, tmp_path, *same, "trainer=ddp", *TWO)
    assert result.returncode == 0, result.stderr
    ours, theirs = last(one)["state_dict"], last(only(tmp_path))["state_dict"]
    assert ours["objective.head.layers.4.weight"].any()
    for name, entry in ours.items():
        if entry.is_floating_point():
            assert torch.allclose(theirs[name], entry, rtol=1e-8, atol=1e-10), name

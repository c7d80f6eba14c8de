"""Gradients through long runs: exact, also when steps are made again, and then in memory as the root of the steps."""

import math
from collections.abc import Callable

import pytest
import torch

from rollwave.solvers import (
    Burgers,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    KuramotoSivashinsky,
    Linear,
    NavierStokes,
    NonlinearSchrodinger,
    Phi4,
    StoermerVerlet,
    Strang,
    simulate,
)

LINE, BOX = Grid((32,), (2 * math.pi,)), Grid((16, 16), (2 * math.pi, 2 * math.pi))


def number(value):
    return torch.tensor(value, dtype=torch.float64)


# How to build the equation from its coefficients, the coefficients, grid, step, scheme.
CASES: dict[str, tuple[Callable, list[float], Grid, float, type | None]] = {
    "burgers": (Burgers, [0.1], LINE, 0.01, None),
    "kuramoto_sivashinsky": (KuramotoSivashinsky, [], Grid((32,), (22.0,)), 0.05, None),
    "navier_stokes": (
        lambda nu, mu, f: NavierStokes(nu, mu, KolmogorovForcing(f, 2)),
        [0.05, 0.1, 0.7],
        BOX,
        0.01,
        None,
    ),
    "schrodinger": (NonlinearSchrodinger, [], LINE, 0.01, None),
    "schrodinger_split": (NonlinearSchrodinger, [], LINE, 0.01, Strang),
    "klein_gordon": (lambda a, v: KleinGordon(Phi4(a, v)), [0.8, 1.1], LINE, 0.02, StoermerVerlet),
    "klein_gordon_split": (lambda m: KleinGordon(Linear(m)), [1.3], LINE, 0.02, Strang),
}


def loss_of(name, steps, *, frames=1, checkpoint=False):
    """A scalar of the frames after so many steps, as a function of `u0` and the coefficients, and where to take it."""
    build, values, grid, dt, stepper = CASES[name]
    equation = build(*values)
    u0 = 0.5 * equation.initial_condition(grid, batch=1, seed=4)
    weight = torch.randn(1, frames + 1, *u0.shape[1:], generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def loss(u0, *coefficients):
        interval = steps * dt / frames
        options = {"dt": dt, "stepper": stepper, "checkpoint": checkpoint}
        return (weight * simulate(build(*coefficients), grid, u0, interval=interval, frames=frames, **options)).sum()

    return loss, [u0, *map(number, values)]


def gradients_of(loss, arguments):
    leaves = [argument.clone().requires_grad_() for argument in arguments]
    return torch.autograd.grad(loss(*leaves), leaves)


@pytest.mark.parametrize("name", CASES)
def test_gradients_through_a_hundred_steps_are_central_differences(name):
    """Fourth-order differences: truncation and rounding both stay far below 1e-6."""
    loss, arguments = loss_of(name, 100)
    direction = torch.randn(arguments[0].shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for index, gradient in enumerate(gradients_of(loss, arguments)):
        move, step = (direction if index == 0 else number(1.0)), 1e-3

        def along(distance, index=index, move=move):
            with torch.no_grad():
                return loss(*[a + distance * move if i == index else a for i, a in enumerate(arguments)])

        near, far = along(step) - along(-step), along(2 * step) - along(-2 * step)
        exact = (gradient * move).sum()
        assert exact.abs() > 1e-3
        assert ((8 * near - far) / (12 * step) - exact).abs() < 1e-6 * exact.abs()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("steps", "frames"), [(60, 4), (150, 2)])
def test_steps_made_again_give_the_same_gradients(name, steps, frames):
    plain = gradients_of(*loss_of(name, steps, frames=frames))
    again = gradients_of(*loss_of(name, steps, frames=frames, checkpoint=True))
    for a, b in zip(plain, again, strict=True):
        assert a.abs().max() > 1e-3
        assert (a - b).abs().max() <= 1e-13 * a.abs().max()


def stored_bytes(name, steps, checkpoint):
    """Bytes of distinct memory that the tape of a run holds on to before the backward pass."""
    saved = []

    def pack(tensor):
        # Kept alive, so that no address is counted for two.
        saved.append(tensor)
        return tensor

    loss, arguments = loss_of(name, steps, checkpoint=checkpoint)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss(*[argument.clone().requires_grad_() for argument in arguments])
    assert value.requires_grad
    return sum({storage.data_ptr(): storage.nbytes() for storage in (t.untyped_storage() for t in saved)}.values())


@pytest.mark.parametrize("name", ["burgers", "navier_stokes", "schrodinger", "klein_gordon"])
def test_memory_grows_as_the_root_of_the_steps_with_checkpoints_and_in_proportion_without(name):
    def growth(checkpoint):
        few, some, many = (stored_bytes(name, steps, checkpoint) for steps in (25, 100, 400))
        # What does not depend on the steps, as the weights of the scheme, drops out of the differences.
        return (many - some) / (some - few)

    assert growth(checkpoint=False) == pytest.approx(4, abs=0.1)
    assert growth(checkpoint=True) == pytest.approx(2, abs=0.1)
    assert stored_bytes(name, 400, checkpoint=True) < stored_bytes(name, 400, checkpoint=False) / 20


def test_the_backward_pass_makes_each_step_again_once(monkeypatch):
    made, step = [], Burgers.default_stepper.step
    monkeypatch.setattr(Burgers.default_stepper, "step", lambda self, state: made.append(None) or step(self, state))
    gradients_of(*loss_of("burgers", 400, checkpoint=True))
    assert len(made) == 800

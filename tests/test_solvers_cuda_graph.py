"""Replayed steps are the steps: the host's side with a graph that is none, the device's side on a GPU."""

import math
import threading
from contextlib import nullcontext
from unittest.mock import MagicMock

import pytest
import torch

import rollwave.solvers
from rollwave.solvers import (
    ETDRK4,
    Burgers,
    Grid,
    KleinGordon,
    KolmogorovForcing,
    KortewegDeVries,
    KuramotoSivashinsky,
    NavierStokes,
    NonlinearSchrodinger,
    Stepper,
    VectorBurgers,
    simulate,
)
from rollwave.solvers.cuda_graph import Replayed, overwrite, recorded, traced
from rollwave.solvers.run import run

LINE, BOX = Grid((64,), (22.0,)), Grid((32, 32), (2 * math.pi, 2 * math.pi))
EQUATIONS = (
    Burgers(),
    KuramotoSivashinsky(),
    KortewegDeVries(),
    VectorBurgers(),
    NavierStokes(1e-2, 0.1, KolmogorovForcing()),
    NonlinearSchrodinger(),
    KleinGordon(),
)
SCHEMES = [
    value
    for value in (getattr(rollwave.solvers, name) for name in rollwave.solvers.__all__)
    if isinstance(value, type) and issubclass(value, Stepper) and value is not Stepper
]
ADAPTIVE = {"DormandPrince853"}
CASES = {
    f"{scheme.__name__}-{equation.name}": (equation, LINE if 1 in equation.dimensions else BOX, scheme)
    for scheme in SCHEMES
    for equation in EQUATIONS
    if isinstance(equation, scheme.requires)
}


class FakeGraph:
    """What a CUDA graph does, on the host: the recorded step, from fixed memory to fixed memory."""

    def __init__(self, step, memory):
        self.step, self.memory = step, memory

    def __call__(self):
        overwrite(self.memory, self.step(self.memory))


@pytest.mark.parametrize("name", CASES)
def test_replayed_steps_are_the_steps(name):
    equation, grid, stepper = CASES[name]
    scheme = stepper(equation, grid, 0.01)
    start = scheme.encode(equation.initial_condition(grid, batch=2))
    other = scheme.encode(equation.initial_condition(grid, batch=2, seed=1))
    memory = tuple(part.clone() for part in other) if isinstance(other, tuple) else other.clone()
    replayed, kept = Replayed(FakeGraph(scheme.step, memory), memory), scheme.decode(start).clone()
    plain = start
    for _ in range(7):
        plain = scheme.step(plain)
    first = replayed(replayed(start, 3), 4)
    assert torch.equal(scheme.decode(first), scheme.decode(plain))
    # Neither what went in nor what came out lies in the memory that the next replay overwrites.
    replayed(other, 2)
    assert torch.equal(scheme.decode(first), scheme.decode(plain))
    assert torch.equal(scheme.decode(start), kept)


def test_a_state_whose_parts_change_places_in_memory_is_not_torn():
    memory = (torch.zeros(3), torch.ones(3))
    overwrite(memory, (memory[1], memory[0]))
    assert torch.equal(memory[0], torch.ones(3))
    assert torch.equal(memory[1], torch.zeros(3))


def test_only_states_on_a_gpu_without_gradients_are_recorded():
    u = torch.zeros(2, 3)
    assert recorded(lambda state: state, u) is None
    assert not traced(u)
    assert traced((u, torch.zeros(2, requires_grad=True)))
    with torch.autograd.forward_ad.dual_level():
        assert traced(torch.autograd.forward_ad.make_dual(u, torch.ones_like(u)))


class Device(torch.Tensor):
    """A tensor of the host that says it is on a GPU."""

    is_cuda = True


@pytest.mark.parametrize(("error", "hidden"), [(RuntimeError, True), (torch.cuda.OutOfMemoryError, False)])
def test_only_a_lack_of_memory_is_not_hidden(monkeypatch, error, hidden):
    """On a device that is none: a step that cannot be recorded runs as it is, one without memory says so."""
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", MagicMock())
    monkeypatch.setattr(torch.cuda, "Stream", MagicMock())
    monkeypatch.setattr(torch.cuda, "current_stream", MagicMock())

    def failing(_):
        raise error("no")

    state = torch.zeros(2, 3).as_subclass(Device)
    if hidden:
        assert recorded(failing, state) is None
    else:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            recorded(failing, state)


@pytest.mark.gpu
def test_another_thread_may_use_the_device_while_a_step_is_recorded():
    u0 = Burgers().initial_condition(LINE, batch=2).cuda()
    scheme, began, ended = ETDRK4(Burgers(), LINE.to(u0), 0.01), threading.Event(), threading.Event()

    def waiting(state):
        if torch.cuda.is_current_stream_capturing():
            began.set()
            ended.wait(60)
        return scheme.step(state)

    def pinning():
        began.wait(60)
        torch.empty(2**20).pin_memory()
        torch.empty(2**26, device="cuda")
        ended.set()

    thread = threading.Thread(target=pinning)
    thread.start()
    assert recorded(waiting, scheme.encode(u0)) is not None
    thread.join()


def plainly(scheme, u, steps):
    state = scheme.encode(u)
    for _ in range(steps):
        state = scheme.step(state)
    return scheme.decode(state)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_captured_steps_are_the_steps_on_a_gpu(name):
    equation, grid, stepper = CASES[name]
    u0 = equation.initial_condition(grid, batch=2).cuda()
    scheme = stepper(equation, grid.to(u0), 0.01)
    # A scheme that chooses its own steps looks at values, and runs as it is.
    assert (recorded(scheme.step, scheme.encode(u0)) is not None) == (stepper.__name__ not in ADAPTIVE)
    u = run(scheme, u0, 25, 4)
    exact = torch.stack([plainly(scheme, u0, 25 * frame) for frame in range(1, 5)], dim=1)
    assert (u[:, 1:] - exact).abs().max() < 1e-12 * exact.abs().max()


@pytest.mark.gpu
def test_what_cannot_be_captured_runs_all_the_same():
    """A step that looks at a value, and a gradient."""
    u0 = Burgers().initial_condition(LINE, batch=2).cuda()
    scheme = ETDRK4(Burgers(), LINE.to(u0), 0.01)

    def hesitant(state):
        return scheme.step(state) if state.abs().sum().item() > 0 else state

    assert recorded(hesitant, scheme.encode(u0)) is None
    viscosity = torch.tensor(0.1, dtype=torch.float64, device="cuda", requires_grad=True)
    simulate(Burgers(viscosity), LINE, u0, interval=0.2, frames=1, dt=0.01).square().sum().backward()
    assert viscosity.grad.item() < 0

"""Klein-Gordon: energy, momentum, time reversal."""

import math
from functools import partial

import torch
from torch import Tensor

from rollwave.solvers.exact import breather, kink_antikink, sine_gordon_kink_antikink
from rollwave.solvers.grid import Grid
from rollwave.solvers.klein_gordon import KleinGordon, Phi4, SineGordon
from rollwave.solvers.stepper import Stepper
from rollwave.solvers.symplectic import StoermerVerlet, SymplecticRKN4, SymplecticRKN6

from .case import Case, Result, described, largest, solve, stepped

LINE = Grid((512,), (80.0,))


SINE_GORDON, PHI4 = KleinGordon(SineGordon()), KleinGordon(Phi4())


def kink_energy() -> Result:
    grid, potential = Grid((2048,), (100.0,)), Phi4(coupling=2.0, vacuum=1.3)
    u = kink_antikink(grid, 0.0, speed=0.3, separation=50.0, coupling=2.0, vacuum=1.3)
    exact = 2 / math.sqrt(1 - 0.3**2) * 2 * math.sqrt(2) / 3 * math.sqrt(2.0) * 1.3**3
    return Result(
        "energy 2 gamma (2 sqrt 2 / 3) sqrt(lambda) v^3 of boosted kinks, lambda = 2, v = 1.3",
        described(grid),
        "initial field",
        abs(KleinGordon(potential).invariants(u, grid)["energy"].item() / exact - 1),
        "relative error",
        (0, 1e-13),
        "the formula; rounding",
    )


def breather_energy() -> Result:
    found = SINE_GORDON.invariants(breather(LINE, 1.0, frequency=0.5), LINE)["energy"].item()
    return Result(
        "energy 16 sqrt(1 - w^2) of the sine-Gordon breather, w = 0.5",
        described(LINE),
        "initial field",
        abs(found / (16 * math.sqrt(0.75)) - 1),
        "relative error",
        (0, 1e-13),
        "the formula; rounding",
    )


def energy_drift(scheme: type[Stepper], steps: int, *, dt: float, high: float, source: str) -> Result:
    grid, energies = Grid((128,), (40.0,)), []
    stepper = scheme(SINE_GORDON, grid, dt)
    state = stepper.encode(breather(grid, 0.0, frequency=0.5)[None])
    for index in range(steps + 1):
        if index % 10 == 0:
            energies.append(SINE_GORDON.invariants(stepper.decode(state), grid)["energy"].item())
        state = stepper.step(state)
    drift, tenth = (torch.tensor(energies, dtype=torch.float64) / energies[0] - 1).abs(), len(energies) // 10
    first, last = drift[:tenth].max().item(), drift[-tenth:].max().item()
    return Result(
        f"energy of the sine-Gordon breather over {steps:g} steps: the error of the last tenth over that of the first",
        described(grid),
        stepped(scheme, dt, f"; largest relative error {drift.max().item():.1e}"),
        last / first if drift.max().item() < high else float("nan"),
        "ratio",
        (0.5, 1.5),
        f"bounded, without secular growth; and below {source}",
    )


def momentum() -> Result:
    start = sine_gordon_kink_antikink(LINE, -10.0, speed=0.5) + 0
    moving = start.roll(40, -1) + breather(LINE, 0.0, frequency=0.8, position=5.0) * torch.tensor([[0.3], [0.0]])
    moving[1] += 0.4 * torch.exp(-((LINE.coordinates()[0] - 20) ** 2)) * torch.tanh(LINE.coordinates()[0] - 19)
    end = solve(SINE_GORDON, LINE, moving, SymplecticRKN4, time=20.0, dt=0.05)
    change = SINE_GORDON.invariants(end, LINE)["momentum"] - SINE_GORDON.invariants(moving, LINE)["momentum"]
    return Result(
        "momentum -int phi_t phi_x of a field without symmetry, t = 20",
        described(LINE),
        stepped(SymplecticRKN4, 0.05),
        largest(change / SINE_GORDON.invariant_sizes(moving, LINE)["momentum"]),
        "drift over the integral of absolute values",
        (0, 1e-10),
        "kicks and drifts conserve it but for aliasing: the field at the Nyquist mode",
    )


def energy_rate() -> Result:
    u = SINE_GORDON.initial_condition(LINE, batch=1, seed=6)[0]
    u[1] = 0.5 * u[0].roll(30)

    def energy(field: Tensor) -> Tensor:
        return SINE_GORDON.invariants(field, LINE)["energy"]

    change = torch.func.jvp(energy, (u,), (SINE_GORDON.tendency(u, LINE),))[1]
    return Result(
        "energy of the semi-discrete system: its rate of change over int phi_t^2",
        described(LINE),
        "tendency",
        largest(change) / LINE.integrate(u[1].square()).item(),
        "rate",
        (0, 1e-13),
        "the force is the slope of the energy: rounding",
    )


def reversal(scheme: type[Stepper]) -> Result:
    grid = Grid((128,), (40.0,))
    u, flip = PHI4.initial_condition(grid, batch=1, seed=8)[0], torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    there = solve(PHI4, grid, u, scheme, time=20.0, dt=0.05)
    back = solve(PHI4, grid, there * flip, scheme, time=20.0, dt=0.05) * flip
    return Result(
        "time reversal: phi_t to -phi_t returns to the start, t = 20",
        described(grid),
        stepped(scheme, 0.05),
        largest(back - u),
        "largest difference",
        (0, 1e-10),
        "a symmetric scheme: rounding, grown by e^{0.3 t}",
    )


QUICK: list[Case] = [
    kink_energy,
    breather_energy,
    partial(energy_drift, StoermerVerlet, 10000, dt=0.05, high=2.5e-3, source="dt^2"),
    partial(energy_drift, SymplecticRKN4, 2000, dt=0.1, high=1e-4, source="dt^4"),
    momentum,
    energy_rate,
    partial(reversal, StoermerVerlet),
    partial(reversal, SymplecticRKN4),
    partial(reversal, SymplecticRKN6),
]
FULL: list[Case] = [
    partial(energy_drift, StoermerVerlet, 100000, dt=0.05, high=2.5e-3, source="dt^2"),
]

"""Whether a run balances its books: `dE/dt = sum of terms`, integrated over the steps of the scheme itself.

    R(t) = E(t) - E(0) - int_0^t sum_k T_k dt',    error = max_t |R| / max(int_0^T sum_k |T_k| dt, max_t size E)

An exact solution has `R = 0`; a run has what its scheme left, of the scheme's order in `dt`.
`size E` is that of `invariant_sizes`, which does not cancel.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .equation import Equation, relative_drift
from .grid import Grid
from .shapes import Float
from .stepper import Stepper

# The integrand is a polynomial of this degree through the nearest steps: an error of order `dt^8`, below that of the
# schemes, as long as the terms vary slowly over a step. A rough initial field whose short waves die within one does not
# satisfy that.
DEGREE = 7
METHODS = {"energy": "budget", "enstrophy": "enstrophy_budget", "momentum": "momentum_budget"}


def budgets(equation: Equation) -> dict[str, Callable[..., dict[str, Tensor]]]:
    """The methods that give the terms of `d/dt` of an invariant, by its name: `budget` is that of the energy."""
    return {name: getattr(equation, method) for name, method in METHODS.items() if hasattr(equation, method)}


@torch.no_grad()
def budget_errors(scheme: Stepper, u0: Float[Tensor, "b c *space"], steps: int) -> dict[str, float]:
    """The error above of every budget of the scheme's equation, of the worst sample, over `steps` steps from `u0`."""
    methods, grid = budgets(scheme.equation), scheme.grid.to(torch.float64)
    if not methods or not steps:
        return {}
    rows: dict[str, list[Tensor]] = {name: [] for name in methods}
    sizes: dict[str, list[Tensor]] = {name: [] for name in methods}
    state, eps = scheme.encode(u0), torch.finfo(u0.dtype).eps
    for step in range(steps + 1):
        u = scheme.decode(state).to(torch.float64)
        invariants, size = scheme.equation.invariants(u, grid), scheme.equation.invariant_sizes(u, grid, eps)
        for name, method in methods.items():
            sizes[name].append(size[name])
            rows[name].append(torch.stack([invariants[name], *method(u, grid).values()]))
        state = scheme.step(state) if step < steps else state
    return {
        name: _residual(torch.stack(row, -1), torch.stack(sizes[name], -1), scheme.dt) for name, row in rows.items()
    }


def invariant_drifts(
    equation: Equation, grid: Grid, u: Float[Tensor, "b t c *space"], eps: float | None = None
) -> dict[str, float]:
    """Largest change of every invariant from its first value, over its size, of the worst sample; `eps` is that of the
    type in which `u` was computed, see `Equation.invariant_sizes`.
    """
    grid = grid.to(u)
    sizes, invariants = equation.invariant_sizes(u, grid, eps), equation.invariants(u, grid)
    return {
        name: float(relative_drift((value - value[:, :1]).abs(), sizes[name]).max())
        for name, value in invariants.items()
    }


def _residual(row: Float[Tensor, "term b t"], sizes: Float[Tensor, "b t"], dt: float) -> float:
    """The error of one budget, from the invariant, its terms and its sizes at every step."""
    energy, terms = row[0], row[1:]
    rest = energy - energy[:, :1] - cumulative_integral(terms.sum(0), dt)
    scale = torch.maximum(cumulative_integral(terms.abs().sum(0), dt)[:, -1], sizes.amax(-1))
    return float((rest.abs().amax(-1) / scale.clamp(min=torch.finfo(scale.dtype).tiny)).max())


def cumulative_integral(values: Float[Tensor, "b t"], spacing: float) -> Float[Tensor, "b t"]:
    """`int_0^t f` at equally spaced times: exact for polynomials of degree `DEGREE`, where there are as many steps."""
    steps = values.shape[-1] - 1
    degree = min(DEGREE, steps)
    first = (torch.arange(steps) - degree // 2).clamp(0, steps - degree)
    weights = _weights(degree).to(values)[(torch.arange(steps) - first).to(values.device)]
    parts = spacing * (values.unfold(-1, degree + 1, 1)[:, first.to(values.device)] * weights).sum(-1)
    return torch.cat((torch.zeros_like(values[:, :1]), parts.cumsum(-1)), dim=-1)


def _weights(degree: int) -> Float[Tensor, "step node"]:
    """Row `s` integrates from `s` to `s + 1` the polynomial through the values at `0, ..., degree`."""
    nodes = torch.arange(degree + 1, dtype=torch.float64) - degree / 2
    powers = torch.arange(degree + 1, dtype=torch.float64)[:, None] + 1
    moments = (nodes[1:] ** powers - nodes[:-1] ** powers) / powers
    return torch.linalg.solve(nodes ** (powers - 1), moments).T

"""What every equation offers, and the capabilities that schemes ask for."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from .grid import Grid, Number
from .initial_conditions import InitialCondition, sample
from .shapes import Complex, Float

if TYPE_CHECKING:
    from .stepper import Stepper

Coefficient: TypeAlias = Number | Float[Tensor, ""]
Map: TypeAlias = Callable[[Tensor], Tensor]


class Equation(ABC):
    """A partial differential equation and its coefficients; grids and schemes come from outside.

    Concrete equations are frozen dataclasses. Their coefficients are numbers, or 0-d tensors when gradients with
    respect to them are wanted. Fields are real, `[..., channel, *space]`, in the units named below.

    Attributes:
        name: the file's stem.
        channels: names of the channels.
        dimensions: numbers of space axes it is defined on.
        units: unit of each channel, in terms of length and time.
        conserved: the integrals that no solution changes: whatever the coefficients where it is a constant, with these
            coefficients where an equation computes it.
        default_stepper: scheme for reference data.
        default_initial_condition: the random fields of `initial_condition`.
    """

    name: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    dimensions: ClassVar[tuple[int, ...]]
    units: ClassVar[tuple[str, ...]]
    default_stepper: ClassVar[type["Stepper"]]
    default_initial_condition: ClassVar[InitialCondition]

    @property
    @abstractmethod
    def conserved(self) -> tuple[str, ...]:
        """Names of the `invariants` that stay."""

    def initial_condition(
        self, grid: Grid, *, batch: int, seed: int = 0, first: int = 0
    ) -> Float[Tensor, "b c *space"]:
        """Random initial fields: sample `i` depends on `(seed, first + i)` alone, and is the same function on every
        grid.
        """
        self.check(grid)
        return sample(self.default_initial_condition, grid, batch=batch, seed=seed, first=first)

    def check(self, grid: Grid) -> None:
        """Refuse a grid with the wrong number of axes."""
        if grid.ndim not in self.dimensions:
            raise ValueError(
                f"{type(self).__name__} lives on {self.dimensions} space axes, got {grid.ndim}: {grid.points}"
            )

    @abstractmethod
    def tendency(self, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        """The time derivative `u_t` of `u [..., channel, *space]`, on the modes that the equation keeps."""

    @abstractmethod
    def densities(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """What the `invariants` of `u [..., channel, *space]` are integrals of, by name, each `[..., *space]`."""

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Integrals over the box of the `densities` of `u [..., channel, *space]`, by name, each `[...]`."""
        return {name: grid.integrate(density) for name, density in self.densities(u, grid).items()}

    def invariant_sizes(
        self, u: Float[Tensor, "..."], grid: Grid, eps: float | None = None
    ) -> dict[str, Float[Tensor, "..."]]:
        """The scale of each invariant, `max(int |density(u)|, int |density(u + d) - density(u)|)`, which cannot cancel.

        `d` is white noise of `sqrt(eps)` times the largest channel's root mean square. Where a density vanishes, as the
        momentum does at rest, rounding of `u` moves the integral by some `sqrt(eps)` of that scale and no more.

        Args:
            eps: of the type in which `u` was computed, by default of its own.
        """
        eps = torch.finfo(u.dtype).eps if eps is None else eps
        space = tuple(range(-grid.ndim, 0))
        size = u.square().mean(space, keepdim=True).sqrt().amax(-1 - grid.ndim, keepdim=True)
        densities, moved = self.densities(u, grid), self.densities(u + eps**0.5 * size * _noise(u, grid.ndim), grid)
        return {
            name: torch.maximum(grid.integrate(density.abs()), grid.integrate((moved[name] - density).abs()))
            for name, density in densities.items()
        }

    @abstractmethod
    def suggested_step(self, grid: Grid) -> float:
        """A step to start from, for fields of order one."""


@dataclass(frozen=True)
class Scaled:
    """The map `factor * core(v)`, whose factor a scheme may put into its weights.

    Attributes:
        factor: of every coefficient.
        core: the rest of the map; what it gives where the factor is zero does not matter.
    """

    factor: Tensor
    core: Map

    def __call__(self, u_hat: Tensor) -> Tensor:
        return self.factor * self.core(u_hat)


@runtime_checkable
class Semilinear(Protocol):
    """`v_t = L v + N(v)` for Fourier coefficients `v`, with `L` diagonal."""

    def transform(self, u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
        """Coefficients of a field, on the modes the equation keeps."""
        ...

    def inverse(self, u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        """Field of the coefficients."""
        ...

    def linear(self, grid: Grid) -> Complex[Tensor, "..."]:
        """The symbol `L`, complex, shaped to broadcast against the coefficients."""
        ...

    def nonlinear(self, grid: Grid) -> Map:
        """The map `N`, with its constants bound to the grid once."""
        ...


@runtime_checkable
class Split(Protocol):
    """`u_t = A u + B(u)` whose two parts can be solved exactly, one after the other."""

    def pack(self, u: Float[Tensor, "..."]) -> Tensor:
        """The state that both flows act on."""
        ...

    def unpack(self, state: Tensor) -> Float[Tensor, "..."]:
        """The field of a state."""
        ...

    def linear_flow(self, grid: Grid, dt: float) -> Map:
        """The exact solution of `u_t = A u` after `dt`."""
        ...

    def nonlinear_flow(self, grid: Grid, dt: float) -> Map:
        """The exact solution of `u_t = B(u)` after `dt`."""
        ...


@runtime_checkable
class Reversible(Split, Protocol):
    """A split equation without damping: both flows also run backward, and the nonlinear one leaves unchanged what it
    depends on (`|psi|^2`, `phi`), so that `[B,[B,[B,A]]] = 0`.
    """

    def largest_frequency(self, grid: Grid) -> float:
        """The highest linear frequency on the grid, in radians per time."""
        ...


@runtime_checkable
class Separable(Protocol):
    """`q_tt = F(q)`: fields carry the channels `(q, q_t)`."""

    def force(self, grid: Grid) -> Map:
        """The map `F`, with its constants bound to the grid once."""
        ...

    def largest_frequency(self, grid: Grid) -> float:
        """The highest linear frequency on the grid, in radians per time."""
        ...


def _noise(u: Float[Tensor, "..."], ndim: int) -> Float[Tensor, "..."]:
    """Signs, always the same, on the channels and points of a field."""
    generator = torch.Generator().manual_seed(0)
    return (2 * torch.randint(2, u.shape[-1 - ndim :], generator=generator) - 1).to(u)


def relative_drift(change: Float[Tensor, "... t"], sizes: Float[Tensor, "... t"]) -> Float[Tensor, "... t"]:
    """Change of an invariant over the root mean square over time of the truth's `invariant_sizes`, with `0 / 0 = 0`."""
    scale = sizes.square().mean(-1, keepdim=True).sqrt()
    return torch.where(change == 0, change, change / scale)


def not_negative(**coefficients: Coefficient) -> None:
    """Refuse numbers below zero, or that are none, by name; tensors pass, so that they may be traced."""
    for name, value in coefficients.items():
        if not isinstance(value, Tensor) and not 0 <= value < math.inf:
            raise ValueError(f"{name} must not be negative nor infinite, got {value}")


def semilinear_tendency(equation: Semilinear, u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
    """`u_t = inverse(L v + N(v))` with `v = transform(u)`."""
    grid = grid.to(u)
    u_hat = equation.transform(u, grid)
    return equation.inverse(equation.linear(grid) * u_hat + equation.nonlinear(grid)(u_hat), grid)

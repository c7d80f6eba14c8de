"""Products with the Jacobian `J(u) = df/du` of a map, and what is measured with them.

A state and its Jacobian's products are `[b, ..]`; samples do not see one another, so `J` stands for one Jacobian a
sample. Nothing here detaches: whoever wants `J` at a fixed state detaches `u`.

All of it computes without autocast: a difference of two states that nearly agree is rounding in bfloat16, and of a
derivative squared no more than two digits would be left. Exact products run a compiled map as it is written.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

Map: TypeAlias = Callable[[Tensor], Tensor]


class JacobianProduct(Protocol):
    """`(f, u, v) -> (f(u), J(u) v)`, both differentiable in the parameters of `f`."""

    def __call__(
        self, f: Map, u: Float[Tensor, "b ..."], v: Float[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b ..."]]: ...


@dataclass(frozen=True)
class ForwardMode:
    """`J v`, exactly, in one pass through dual numbers `u + epsilon v`, `epsilon^2 = 0`.

    Its gradient is reverse over forward mode. An operation without a forward derivative is refused.
    """

    def __call__(self, f: Map, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        check_alike(u, v)
        try:
            # Not `torch.func.jvp`: through an operation without a forward derivative that one gives zeros. A dual
            # number may not share its memory with another.
            with uncompiled(u), forward_ad.dual_level():
                y, tangent = forward_ad.unpack_dual(f(forward_ad.make_dual(u.contiguous(), v.contiguous())))
        except NotImplementedError as error:
            raise ValueError(
                f"the map has no forward derivative: {error} Use DoubleBackward() or FiniteDifference()"
            ) from error
        return y, torch.zeros_like(y) if tangent is None else tangent


@dataclass(frozen=True)
class DoubleBackward:
    """`J v = d/dw (J^T w) v`, exactly: the product `J^T w` is linear in `w`, and its transpose is `J`.

    Two backward passes and the graph of the first; for layers that have a gradient of their gradient and no forward
    mode.
    """

    def __call__(self, f: Map, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        check_alike(u, v)
        kept = torch.is_grad_enabled()
        with torch.enable_grad(), uncompiled(u):
            u = u if u.requires_grad else u.detach().requires_grad_()
            y = f(u)
            w = torch.zeros_like(y, requires_grad=True)
            (g,) = torch.autograd.grad(y, u, w, create_graph=True)
            (product,) = torch.autograd.grad(g, w, v, create_graph=kept)
        return (y, product) if kept else (y.detach(), product)


@dataclass(frozen=True)
class FiniteDifference:
    """`J v ~ (f(u + h v) - f(u)) / h`, with `h = step rms(u) / rms(v)` for each sample: two plain calls of any map.

    The error is `h |f''| |v|^2 / 2`, and the rounding of `f` over `h`; for an FNO in float32 both are some 1e-3 of
    `J v` at the step of 1e-3, for a map with sharper bends they may be as large as `J v`.

    Attributes:
        step: size of the displacement, relative to the state.
    """

    step: float = 1e-3

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise ValueError(f"step of a finite difference must be positive, got {self.step}")

    def __call__(self, f: Map, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        check_alike(u, v)
        if self.step < 4 * torch.finfo(u.dtype).eps:
            raise ValueError(
                f"a step of {self.step} drowns in the rounding of {u.dtype}; expected float32 or float64 states: "
                "train with trainer.precision=32-true or bf16-mixed, or use ForwardMode()"
            )
        with exact(u):
            scale = self.step * norms(u).detach().clamp_min(torch.finfo(u.dtype).tiny ** 0.5) / norms(v)
            h = scale.reshape(-1, *[1] * (u.ndim - 1))
            y = f(u)
            difference = f(u + h * v) - y
        return y, difference / h.reshape(-1, *[1] * (y.ndim - 1))


def transposed_product(
    f: Map, u: Float[Tensor, "b ..."], w: Float[Tensor, "b ..."]
) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b ..."]]:
    """`(f(u), J(u)^T w)`, exactly, by reverse mode; differentiable where gradients are enabled."""
    kept = torch.is_grad_enabled()
    with torch.enable_grad(), uncompiled(u):
        u = u if u.requires_grad else u.detach().requires_grad_()
        y = f(u)
        check_alike(y, w)
        (product,) = torch.autograd.grad(y, u, w, create_graph=kept)
    return (y, product) if kept else (y.detach(), product)


def row_energies(
    f: Map, u: Float[Tensor, "b ..."], v: Float[Tensor, "b ..."], how: JacobianProduct | None = None
) -> Float[Tensor, "b ..."]:
    """`((J v)_i)^2`: for random `v` with `E[v v^T] = I` its mean is `r_i = sum_j J_ij^2`, the sensitivity of the
    output at `i` to the whole input.

    Random signs have the least variance (Hutchinson). `how` is forward mode unless another way is given.
    """
    _, product = (how or ForwardMode())(f, u, v)
    return product.square()


def column_energies(f: Map, u: Float[Tensor, "b ..."], w: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
    """`((J^T w)_j)^2`: for random `w` with `E[w w^T] = I` its mean is `sum_i J_ij^2`, the influence of the input at `j`
    on the whole output. Not the row energies, and nowhere to multiply by weights of the output.
    """
    _, product = transposed_product(f, u, w)
    return product.square()


def weighted_energy(
    f: Map, u: Float[Tensor, "b ..."], w: Float[Tensor, "b ..."], weights: Float[Tensor, "b ..."]
) -> Float[Tensor, " b"]:
    """`||J^T (sqrt(lambda) w)||^2`: for random `w` with `E[w w^T] = I` its mean is `sum_i lambda_i r_i`.

    The weights go in before the product, where they belong to outputs; a gradient reaches them.
    """
    _, product = transposed_product(f, u, weights.sqrt() * w)
    return product.square().flatten(1).sum(1)


def spectral_norm(
    f: Map, u: Float[Tensor, "b ..."], start: Float[Tensor, "b ..."], *, iterations: int = 30
) -> Float[Tensor, " b"]:
    """`sigma_max(J(u))` of each sample, from below, by power iteration `v <- J^T J v` from `start`; no gradient.

    The relative error falls as `(sigma_2 / sigma_1)^(4 iterations)`; `start` is random, so that every direction is
    in it.
    """
    if iterations < 1:
        raise ValueError(f"a power iteration needs at least 1 iteration, got {iterations}")
    check_alike(u, start)
    with torch.enable_grad(), uncompiled(u):
        # One graph for all iterations: the state stays.
        u = u.detach().requires_grad_()
        y = f(u)
        w = torch.zeros_like(y, requires_grad=True)
        (g,) = torch.autograd.grad(y, u, w, create_graph=True)
        v = start
        for _ in range(iterations):
            (forth,) = torch.autograd.grad(g, w, unit(v), retain_graph=True)
            (v,) = torch.autograd.grad(y, u, forth, retain_graph=True)
        (forth,) = torch.autograd.grad(g, w, unit(v))
    return forth.flatten(1).norm(dim=1).detach()


def unit(v: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
    """`v / ||v||` of each sample; zero where `v` is."""
    length = v.flatten(1).norm(dim=1).clamp_min(torch.finfo(v.dtype).tiny)
    return v / length.reshape(-1, *[1] * (v.ndim - 1))


def norms(u: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """`rms(u)` of each sample."""
    return u.flatten(1).square().mean(1).sqrt()


def exact(u: Tensor) -> torch.autocast:
    """A context without autocast on the device of `u`."""
    return torch.autocast(u.device.type, enabled=False)


@contextmanager
def uncompiled(u: Tensor) -> Iterator[None]:
    """`exact`, and whatever is compiled runs as it is written: a compiled graph has no derivative of its derivative
    and no forward mode.
    """
    with exact(u), torch.compiler.set_stance("force_eager"):
        yield


def check_alike(u: Tensor, v: Tensor) -> None:
    """Raise a `ValueError` unless a direction has the shape of what it is a direction of: no broadcasting."""
    if u.shape != v.shape:
        raise ValueError(f"a direction must have the shape of its state, {tuple(u.shape)}, got {tuple(v.shape)}")

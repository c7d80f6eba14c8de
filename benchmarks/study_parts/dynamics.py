"""What the learned map does to small perturbations."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator
from rollwave.training.jacobian import DoubleBackward, ForwardMode, spectral_norm, unit

# Steps of the emulator: before the average, and of it.
TRANSIENT, AVERAGED, ITERATIONS = 30, 200, 20


def leading_exponent(emulator: Emulator, u: Float[Tensor, "b c *space"], interval: float) -> dict[str, Any]:
    """`lambda_1 = lim 1/T sum_n log ||J(u_n) q_n||` of the learned map, `q` normalised after every step, in 1 / time.

    The mean over the starts whose runs stay finite, and the standard error of it; None where none does.
    """
    z = emulator.encode(u[:, None])
    generator = torch.Generator().manual_seed(0)
    q = unit(torch.randn(z.shape, generator=generator))
    growth = []
    with torch.no_grad():
        for _ in range(TRANSIENT + AVERAGED):
            frame, pushed = product(emulator, z, q)
            growth.append(pushed.flatten(1).norm(dim=1).log())
            z, q = frame[:, None], unit(pushed)[:, None]
    each = torch.stack(growth[TRANSIENT:]).mean(0) / interval
    each = each[each.isfinite()]
    if not len(each):
        return {"mean": None, "standard_error": None}
    spread = float(each.std() / math.sqrt(len(each))) if len(each) > 1 else None
    return {"mean": float(each.mean()), "standard_error": spread}


def product(emulator: Emulator, z: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """The next frame and the Jacobian's product with a direction, in whichever mode the network has."""

    def advance(w: Tensor) -> Tensor:
        return emulator.advance(w)

    try:
        return ForwardMode()(advance, z, q)
    except ValueError:
        return DoubleBackward()(advance, z, q)


def largest_stretch(emulator: Emulator, u: Float[Tensor, "b c *space"]) -> dict[str, float]:
    """`sigma_max(J)` of one step, median and largest over states."""
    z = emulator.encode(u[:, None])
    start = torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    found = spectral_norm(lambda w: emulator.advance(w)[:, None], z, start, iterations=ITERATIONS)
    return {"median": float(found.median()), "largest": float(found.max())}

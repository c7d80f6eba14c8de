"""Coefficients of symmetric compositions of two exact flows, and how large a step they bear."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Composition:
    """One step `B(b_1 h) A(a_1 h) B(b_2 h) ... A(a_s h) B(b_{s+1} h)`, the same from either end.

    Both sequences sum to one. Orders above two take negative coefficients: both flows must run backward. Those of
    Blanes & Moan hold where `[B,[B,[B,A]]] = 0`: kicks that depend on what they leave unchanged, as potentials do.

    Attributes:
        order: of convergence in `h`.
        kicks: `b_1, ..., b_{s+1}`.
        drifts: `a_1, ..., a_s`.
    """

    order: int
    kicks: tuple[float, ...]
    drifts: tuple[float, ...]

    def stages(self) -> tuple[tuple[float, float], ...]:
        """Pairs `(a_j, b_{j+1})` of a step that starts within a kick: its last one is joined with the next step's."""
        return tuple(zip(self.drifts, (*self.kicks[1:-1], self.kicks[-1] + self.kicks[0]), strict=True))

    def half_trace(self) -> np.polynomial.Polynomial:
        """`cos(numerical angle)` of one step of `q_tt = -w^2 q`, a polynomial in `(w h)^2`."""
        square, one = np.polynomial.Polynomial([0, 1]), np.polynomial.Polynomial([1])
        q_q, q_v, v_q, v_v = one, 0 * one, 0 * one, one
        for drift, kick in zip((0.0, *self.drifts), self.kicks, strict=True):
            # `q += drift v`, `v -= kick (w h)^2 q` for both columns of the matrix, with `h v` for the velocity.
            q_q, q_v = q_q + drift * v_q, q_v + drift * v_v
            v_q, v_v = v_q - kick * square * q_q, v_v - kick * square * q_v
        return (q_q + v_v) / 2

    def stability_limit(self) -> float:
        """The largest `w h` below which every oscillation of `q_tt = -w^2 q` stays bounded."""
        cosine = self.half_trace()
        roots = np.concatenate([(cosine - 1).roots(), (cosine + 1).roots()])
        touched = sorted(root.real for root in roots if abs(root.imag) < 1e-6 * abs(root) and root.real > 1e-6)
        for root, following in zip(touched, [*touched[1:], touched[-1] + 1], strict=True):
            if abs(cosine((root + following) / 2)) > 1:
                return math.sqrt(root)
        raise ArithmeticError(f"no limit found among {touched}")


def symmetric(order: int, kicks: tuple[float, ...], drifts: tuple[float, ...]) -> Composition:
    """The composition of its first kicks and drifts; the longer of the two has the middle one."""
    if len(kicks) == len(drifts):
        return Composition(order, kicks + kicks[::-1], drifts + drifts[-2::-1])
    return Composition(order, kicks + kicks[-2::-1], drifts + drifts[::-1])


# Strang (1968), doi:10.1137/0705041; Stoermer-Verlet: Hairer, Lubich & Wanner (2003), doi:10.1017/S0962492902000144.
SECOND_ORDER = symmetric(2, (0.5,), (1.0,))

# Three steps of second order, the middle one backward: Yoshida (1990), doi:10.1016/0375-9601(90)90092-3.
OUTER = 1 / (2 - 2 ** (1 / 3))
TRIPLE_JUMP = symmetric(4, (OUTER / 2, (1 - OUTER) / 2), (OUTER, 1 - 2 * OUTER))

# Blanes & Moan (2002), doi:10.1016/S0377-0427(01)00492-7, 6 stages of order 4 and 11 of order 6; the digits beyond the
# published fifteen make the order conditions hold to rounding.
SIX_STAGES = symmetric(
    4,
    (0.082984406417405019, 0.39630980149836808, -0.039056304922348435, 0.11952419401315067),
    (0.24529895718427116, 0.60487266571107998, -0.35017162289535114),
)
ELEVEN_STAGES = symmetric(
    6,
    (
        0.041464998518262843,
        0.19812867191806654,
        -0.040006192104152687,
        0.075253984301580341,
        -0.01151138742068777,
        0.23666992478693111,
    ),
    (
        0.12322977594627115,
        0.29055379779955827,
        -0.12704921262541692,
        -0.2463317610620754,
        0.35720887279592775,
        0.20477705429147029,
    ),
)

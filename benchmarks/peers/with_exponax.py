"""exponax: one jitted loop of `step_fourier`, over the whole batch at once or sample by sample.

The state stays in Fourier space between steps, and the equations in one dimension take the conservative form (one
transform each way, where the default of Burgers has three): both are faster than calling the stepper on fields. The
conservative form in two dimensions is another equation. Its vorticity is the negative of `v_x - u_y`.
"""

from collections.abc import Callable
from typing import Any

import exponax
import jax
import numpy as np
import torch
from torch import Tensor

from rollwave import solvers

from . import Candidate, Problem


def stepper(problem: Problem, conservative: bool = True) -> Any:
    """The stepper of the same equation, of order four; in one dimension in either form."""
    equation, grid = problem.equation, problem.grid
    start, last = (grid.ndim, grid.lengths[0], grid.points[0], problem.dt), {"order": 4}
    kind = exponax.stepper
    if len(set(grid.points)) > 1 or len(set(grid.lengths)) > 1 or problem.scheme is not solvers.ETDRK4:
        return None
    form = {"conservative": conservative, "single_channel": True}
    if isinstance(equation, solvers.Burgers):
        return kind.Burgers(*start, diffusivity=equation.viscosity, **form, **last)
    if isinstance(equation, solvers.VectorBurgers):
        return kind.Burgers(*start, diffusivity=equation.viscosity, **last)
    if isinstance(equation, solvers.KortewegDeVries):
        terms = {"convection_scale": equation.advection, "dispersivity": equation.dispersion}
        damping = {"diffusivity": equation.viscosity, "hyper_diffusivity": equation.hyperviscosity}
        return kind.KortewegDeVries(*start, **terms, **damping, **form, **last)
    if isinstance(equation, solvers.KuramotoSivashinsky):
        return kind.KuramotoSivashinskyConservative(*start, **form, **last)
    if isinstance(equation, solvers.NavierStokes) and equation.forcing is None:
        return kind.NavierStokesVorticity(*start, diffusivity=equation.viscosity, drag=-equation.drag, **last)
    return None


def candidates(problem: Problem, u: Tensor, threads: int) -> dict[str, Candidate]:
    """`vmap`, the whole batch in each step; in one dimension also in the form that is Burgers' default, and in two also
    `map`, one sample after another.
    """
    jax.config.update("jax_enable_x64", problem.dtype == torch.float64)
    made = stepper(problem)
    if made is None:
        return {}
    sign = -1 if isinstance(problem.equation, solvers.NavierStokes) else 1
    axes, points = problem.grid.axes, problem.grid.points
    kind = np.complex64 if problem.dtype == torch.float32 else np.complex128
    start = jax.numpy.asarray(np.fft.rfftn(sign * u.numpy(), axes=axes).astype(kind))

    def field(coefficients: Any) -> Tensor:
        return torch.from_numpy(sign * np.fft.irfftn(np.asarray(coefficients, np.complex128), s=points, axes=axes))

    ways = {"vmap": whole(made)}
    if problem.grid.ndim > 1:
        ways["map"] = one_by_one(made)
    elif isinstance(problem.equation, solvers.Burgers):
        ways["vmap-default"] = whole(stepper(problem, conservative=False))
    return {
        way: Candidate(lambda steps, go=go: go(start, steps).block_until_ready(), field, len(u), way=f"jit, {way}")
        for way, go in ways.items()
    }


def whole(made: Any) -> Callable[[Any, int], Any]:
    """Every step takes the whole batch."""
    step = jax.vmap(made.step_fourier)
    return jax.jit(lambda state, steps: jax.lax.fori_loop(0, steps, lambda _, v: step(v), state))


def one_by_one(made: Any) -> Callable[[Any, int], Any]:
    """All steps of one sample, then of the next: large planes stay in the cache."""
    step = made.step_fourier

    def go(state: Any, steps: int) -> Any:
        return jax.lax.map(lambda sample: jax.lax.fori_loop(0, steps, lambda _, v: step(v), sample), state)

    return jax.jit(go)

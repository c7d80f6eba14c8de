"""Whether a grid resolves a field: the share of its highest modes.

The error of an unresolved field is about the square root of that share or larger: 1e-2 goes with errors of a tenth, on
Burgers fronts, chaotic flames, two-dimensional turbulence and focusing waves alike, 1e-4 with some thousandths.
"""

import warnings

import torch
from torch import Tensor

from .grid import Number
from .run import SimulationError
from .shapes import Float
from .stepper import Stepper

UNRESOLVED = 1e-2
DOUBTFUL = 1e-4


@torch.no_grad()
def refuse_unresolved(scheme: Stepper, u: Float[Tensor, "b t c *space"], interval: Number, start: Number) -> None:
    """Raise if the frames after the first, which is the caller's own, are wrong for want of points; warn in doubt."""
    if u.shape[1] < 2:
        return
    tail, points = spectral_tail(u[:, 1:], highest_modes(scheme)), scheme.grid.points
    share = float(tail.max())
    sample, frame = divmod(int(tail.argmax()), tail.shape[1])
    time = start + (frame + 1) * interval
    message = (
        f"sample {sample} of {type(scheme.equation).__name__} at t = {time:.6g} has {share:.1e} of its squared field "
        f"in the highest quarter of the modes that a grid of points = {points} keeps, more than "
    )
    if share > UNRESOLVED:
        remedy = f"{UNRESOLVED:.0e}: it is not resolved; give more points, a smoother u0, or dt to have it all the same"
        raise SimulationError(message + remedy, time=time, sample=sample)
    if share > DOUBTFUL:
        # From here through `simulate` to its caller.
        warnings.warn(f"{message}{DOUBTFUL:.0e}: errors may exceed a thousandth; give more points", stacklevel=3)


@torch.no_grad()
def spectral_tail(
    u: Float[Tensor, "b t c *space"], highest: tuple[int, ...], eps: float | None = None
) -> Float[Tensor, "b t"]:
    """`sum' |u_m|^2 / sum |u_m|^2` of the worst channel, the upper sum over the modes above 3/4 of an axis's `highest`.

    The mean, which says nothing about resolution, is in neither sum; nor does a channel count that is rounding of the
    largest, by `eps` or that of the type.
    """
    eps = torch.finfo(u.dtype).eps if eps is None else eps
    tails = [_tail(frame.detach(), highest, eps) for frame in u.unbind(1)]
    return torch.stack(tails, dim=1)


def _tail(u: Float[Tensor, "b c *space"], highest: tuple[int, ...], eps: float) -> Float[Tensor, " b"]:
    power = torch.fft.fftn(u, dim=tuple(range(2, u.ndim))).abs().square()
    total = power.flatten(2).sum(dim=2).amax(dim=1, keepdim=True)
    power.flatten(2)[..., 0] = 0.0
    beyond = torch.zeros(u.shape[2:], dtype=torch.bool, device=u.device)
    for axis, mode in enumerate(highest):
        modes = torch.fft.fftfreq(u.shape[2 + axis], d=1 / u.shape[2 + axis], device=u.device).abs()
        beyond |= (4 * modes > 3 * mode).reshape([-1 if i == axis else 1 for i in range(len(highest))])
    floor = (eps * total).clamp(min=torch.finfo(u.dtype).tiny)
    share = (power * beyond).flatten(2).sum(dim=2) / torch.maximum(power.flatten(2).sum(dim=2), floor)
    return share.amax(dim=1)


@torch.no_grad()
def highest_modes(scheme: Stepper) -> tuple[int, ...]:
    """The highest mode on each axis that a scheme keeps, seen on a field that has them all."""
    grid = scheme.grid
    spike = torch.zeros((1, len(scheme.equation.channels), *grid.points), dtype=grid.dtype, device=grid.device)
    spike.flatten(2)[..., 0] = 1.0
    kept = torch.fft.fftn(scheme.decode(scheme.encode(spike)), dim=grid.axes).abs().sum(dim=(0, 1)) > 1e-3
    indices = (grid.indices(axis, full=True).abs().expand(grid.points) for axis in range(grid.ndim))
    return tuple(int((index * kept).max()) for index in indices)

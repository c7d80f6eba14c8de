"""What a model has to beat, and what nothing can: persistence, climatology, and the solver from a perturbed start."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import Equation, Grid, Stepper, simulate


@runtime_checkable
class Forecast(Protocol):
    """Anything that continues a history: the `steps` frames after its last one, in physical units."""

    def __call__(self, history: Float[Tensor, "b h c *space"], steps: int, /) -> Float[Tensor, "b t c *space"]: ...


@dataclass(frozen=True)
class Persistence:
    """`u(t) = u(0)`: the last input frame, again and again."""

    def __call__(self, history: Float[Tensor, "b h c *space"], steps: int) -> Float[Tensor, "b t c *space"]:
        return history[:, -1:].expand(-1, steps, *history.shape[2:])


@dataclass(frozen=True)
class Climatology:
    """`u(t) = <u>`: the mean of each channel over the training split, at every point and time.

    Its correlation is 0, and its VRMSE 1 where the mean of a frame is that of the training split.

    Attributes:
        mean: mean of each channel.
    """

    mean: tuple[float, ...]

    def __call__(self, history: Float[Tensor, "b h c *space"], steps: int) -> Float[Tensor, "b t c *space"]:
        space = history.shape[3:]
        frame = history.new_tensor(self.mean).reshape(-1, *[1] * len(space))
        return frame.expand(len(history), steps, -1, *space)


@dataclass(frozen=True)
class PerturbedSolver:
    """The solver of the truth, in float64, started from `u(0) + amplitude rms(u(0)) g`.

    `g` is Gaussian noise of unit variance and zero mean in the wavenumbers below half of Nyquist, the same for every
    sample; `rms` is taken for each sample and channel. What separates it from the truth is the growth of that
    perturbation (and of the float32 rounding, about 3e-8, with which frames are stored), so no model can be expected to
    stay right for much longer.

    Where the data keeps every `stride`-th point of the solver's grid, the stored frame is interpolated back by its
    Fourier series: what the solver carried beyond the stored grid's Nyquist wavenumber is lost, and is part of the
    perturbation.

    Attributes:
        equation: the equation, with the coefficients of the data.
        grid: the solver's grid.
        interval: time between the predicted frames.
        stepper: the scheme of the data.
        dt: its step.
        stride: points of the solver's grid per stored point, along each axis.
        amplitude: size of the perturbation, relative to the field.
        seed: seed of the noise.
    """

    equation: Equation
    grid: Grid
    interval: float
    stepper: type[Stepper] | None = None
    dt: float | None = None
    stride: int = 1
    amplitude: float = 1e-6
    seed: int = 0

    def __call__(self, history: Float[Tensor, "b h c *space"], steps: int) -> Float[Tensor, "b t c *space"]:
        stored_grid = Grid(tuple(history.shape[3:]), self.grid.lengths)
        u = stored_grid.interpolate(history[:, -1].to(torch.float64), self.grid.points)
        rms = u.flatten(2).square().mean(-1).sqrt().reshape(*u.shape[:2], *[1] * self.grid.ndim)
        noise = smooth_noise(u.shape[1], self.grid.points, self.seed).to(u)
        trajectory = simulate(
            self.equation,
            self.grid,
            u + self.amplitude * rms * noise,
            interval=self.interval,
            frames=steps,
            stepper=self.stepper,
            dt=self.dt,
        )
        stored = (slice(None, None, self.stride),) * self.grid.ndim
        return trajectory[(slice(None), slice(1, None), slice(None), *stored)]


def smooth_noise(channels: int, points: tuple[int, ...], seed: int) -> Float[Tensor, "c *space"]:
    """Gaussian noise of zero mean and unit variance in each channel, in wavenumbers below half of Nyquist."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(channels, *points, generator=generator, dtype=torch.float64)
    axes = tuple(range(1, noise.ndim))
    noise_hat = torch.fft.fftn(noise, dim=axes)
    for axis, n in zip(axes, points, strict=True):
        keep = torch.fft.fftfreq(n, 1 / n).abs() < max(n / 4, 1.5)
        noise_hat *= keep.reshape([-1 if i == axis else 1 for i in range(noise.ndim)])
    noise_hat[(slice(None), *[0] * len(points))] = 0
    noise = torch.fft.ifftn(noise_hat, dim=axes).real
    return noise / noise.square().mean(axes, keepdim=True).sqrt()

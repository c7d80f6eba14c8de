import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .configurable import PREFIX, build, plain


class Refiner(nn.Module):
    """PDE-Refiner: a network that predicts, and then improves its prediction in `K` steps of denoising,

        x_0 = N(u, 0, 0),    x_k = y_k - s_k N(u, y_k, k/K)  with  y_k = x_{k-1} + s_k xi_k,   k = 1, .., K,

    and `u -> x_K`. `xi_k` is white and standard normal, `s_k^2 = min_noise^(k/K)`: call `k` is shown the prediction
    under noise of that variance and says what the noise is. What lies below `s_k` in the spectrum is drowned, so call
    by call the network must get smaller amplitudes right, which a one-step loss hardly sees. `K = 0` is the plain
    network. Train it with `rollwave.training.Refinement`; other objectives send their gradient through all `K + 1`
    calls.

    `xi_k` depends on `(seed, k)` and the grid alone, the same for every sample and every call: the operator is a map of
    its input, so a rollout can be repeated, resumed, split into batches and differentiated. It does not commute with
    shifts, which the source's does in distribution. Needs float32: below bfloat16's resolution the last noises vanish.

    Args:
        in_channels: channels of the input field.
        out_channels: channels of the output field, which should have about unit variance.
        network: `N`, an operator of `in_channels + out_channels + 1` channels (`u`, `y_k` and the constant `k/K`), or
            its recipe: `_target_` and arguments, without channels.
        steps: K.
        min_noise: variance of the last noise.
        seed: of the noise.

    Reference:
        Lippe et al. (2023), arXiv:2308.05732, section 3 and appendix; the variances are those of the code that came
        with it, K = 3 and 4e-7.
    """

    config: dict[str, Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        network: nn.Module | Mapping[str, Any],
        steps: int = 3,
        min_noise: float = 4e-7,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if steps < 0 or not 0 < min_noise < 1:
            raise ValueError(
                f"steps must not be negative and min_noise must lie in (0, 1), got steps={steps}, min_noise={min_noise}"
            )
        channels = {"in_channels": in_channels + out_channels + 1, "out_channels": out_channels}
        self.network = network if isinstance(network, nn.Module) else build({**plain(network), **channels})
        inner = plain(self.network)
        if given := {key: inner.get(key) for key in channels if inner.get(key) != channels[key]}:
            raise ValueError(f"the network of this refiner needs {channels}, got {given}")
        self.out_channels, self.steps, self.min_noise, self.seed = out_channels, steps, min_noise, seed
        own = {"in_channels": in_channels, "out_channels": out_channels, "network": inner}
        self.config = {"_target_": PREFIX + "Refiner", **own, "steps": steps, "min_noise": min_noise, "seed": seed}

    def forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        nothing = u.new_zeros(len(u), self.out_channels, *u.shape[2:])
        x = self.call(u, nothing, nothing[:, :1])
        shape = (self.out_channels, *u.shape[2:])
        for k in range(1, self.steps + 1):
            std = self.variance(k) ** 0.5
            y = x + std * noise(self.seed, k, shape, u.device, u.dtype)
            x = y - std * self.call(u, y, torch.full_like(nothing[:, :1], k / self.steps))
        return x

    def call(
        self,
        u: Float[Tensor, "b i *space"],
        estimate: Float[Tensor, "b o *space"],
        level: Float[Tensor, "b 1 *space"],
    ) -> Float[Tensor, "b o *space"]:
        """`N(u, y, k/K)`: the prediction where `level` is 0, elsewhere the noise in the estimate."""
        out: Tensor = self.network(torch.cat([u, estimate, level], dim=1))
        return out

    def variance(self, k: int) -> float:
        """`min_noise^(k/K)`, of the noise of call `k = 1, .., K`."""
        return float(self.min_noise ** (k / self.steps))


@torch.library.custom_op("rollwave::refiner_noise", mutates_args=())
def noise(seed: int, k: int, shape: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers for call `k`, the same on every device; a compiler does not look inside."""
    return _drawn(seed, k, tuple(shape)).to(device, dtype, copy=True)


@noise.register_fake
def _(seed: int, k: int, shape: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, device=device, dtype=dtype)


@functools.lru_cache(maxsize=32)
def _drawn(seed: int, k: int, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed((seed << 16) + k)
    return torch.randn(shape, generator=generator, dtype=torch.float64)

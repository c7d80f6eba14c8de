import functools

import torch
from torch import Tensor


@functools.lru_cache(maxsize=256)
def constant(values: tuple[float | tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers as a tensor, copied to a device once and kept there: a card does not wait for the host in every step."""
    # Whoever asks first may be validating in inference mode, whose tensors no later training could use.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)

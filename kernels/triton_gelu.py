"""The exact GELU `z Phi(z)` and its slope `Phi(z) + z phi(z)`, for the beginnings and ends of Triton kernels.

`Phi` and `phi` are the distribution and the density of the standard normal; the definitions are
`torch.nn.functional.gelu` and its derivative.
"""

import triton
import triton.language as tl


@triton.jit
def gelu(z: tl.tensor) -> tl.tensor:
    """`z (1 + erf(z / sqrt 2)) / 2`."""
    return 0.5 * z * (1.0 + tl.erf(z * 0.7071067811865476))


@triton.jit
def gelu_slope(z: tl.tensor) -> tl.tensor:
    """`(1 + erf(z / sqrt 2)) / 2 + z exp(-z^2 / 2) / sqrt(2 pi)`."""
    return 0.5 * (1.0 + tl.erf(z * 0.7071067811865476)) + z * tl.exp(-0.5 * z * z) * 0.3989422804014327

"""Matrix products of float32 on a CPU, by the faster of the libraries that PyTorch carries.

`torch.mm` asks MKL, which on processors of AMD computes with half of their vector width; oneDNN, which PyTorch asks for
convolutions, has kernels for the whole width and is nearly twice as fast there. A call of it costs ten microseconds.
The operation that asks it is one of PyTorch's own, not promised to last; where it is missing, MKL does the work.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

# Multiplications from which oneDNN is faster, and the shortest side; measured on one core with AVX-512.
LEAST, SHORTEST = 2**20, 8


def product(a: Float[Tensor, "m k"], b: Float[Tensor, "n k"]) -> Float[Tensor, "m n"]:
    """`a b^T`; not differentiable, and fast where the rows of `a` are contiguous, `b` may be any view."""
    (m, k), n = a.shape, len(b)
    if m * n * k < LEAST or min(m, n, k) < SHORTEST or not _widely(a):
        return torch.mm(a, b.T)
    y: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return y


def _widely(a: Tensor) -> bool:
    """Whether oneDNN may be asked: a compiler has its own ways."""
    single = a.dtype == torch.float32 and a.device.type == "cpu"
    return single and not torch.compiler.is_compiling() and _has_onednn()


@cache
def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")

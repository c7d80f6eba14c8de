"""The transforms of `truncated_dft` for fields `[c, b, *space]`, whose every axis is one large product.

Not differentiable: what blocks use whose gradient is by hand. `field` is the transpose of `coefficients` with the same
matrices.
"""

import math

from jaxtyping import Float
from torch import Tensor

from .product import product
from .truncated_dft import Matrices, _merge, _split


def coefficients(v: Float[Tensor, "c b *space"], matrices: Matrices) -> Float[Tensor, "*k 2 b c"]:
    """Coefficients of a field; every product moves its axis to the front, in the order that they keep."""
    axes, ends = len(matrices), v.shape[:2]
    for matrix in reversed(matrices):
        v = product(matrix, v.reshape(-1, matrix.shape[1]))
    v = v.reshape(*(size for matrix in matrices for size in (2, len(matrix) // 2)), *ends)
    for axis in range(axes - 2, -1, -1):
        v = _merge(v, 2 * axis, 2 * axis + 2)
    return v.permute(*range(1, axes + 1), 0, axes + 2, axes + 1).contiguous()


def field(
    u_hat: Float[Tensor, "*k 2 b c"], matrices: Matrices, out: Float[Tensor, "c b *space"] | None = None
) -> Float[Tensor, "c b *space"]:
    """The field of coefficients; added to `out`, in its memory, where that is given."""
    axes, ends = len(matrices), (u_hat.shape[-1], u_hat.shape[-2])
    v = u_hat.permute(axes, *range(axes), axes + 2, axes + 1)
    for axis in range(axes - 1):
        v = _split(v, 2 * axis)
    v = v.reshape(*(len(matrix) for matrix in matrices), math.prod(ends))
    for axis, matrix in enumerate(matrices[:-1]):
        v = v.movedim(axis, 0)
        v = product(matrix.T, v.reshape(len(matrix), -1).T).view(-1, *v.shape[1:]).movedim(0, axis)
    # One transpose of few numbers, written as that of a matrix, which is the fast one.
    v = v.reshape(-1, math.prod(ends)).T.contiguous().view(-1, len(matrices[-1]))
    v = product(v, matrices[-1].T).view(*ends, *(matrix.shape[1] for matrix in matrices))
    return v if out is None else out.add_(v)

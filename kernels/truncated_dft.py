"""Truncated Fourier transforms of real fields as matrix products, one axis at a time.

On every axis a field is multiplied with the rows `cos(2 pi k n / N)` and `sin(2 pi k n / N)`, `0 <= k <= K`, real
numbers throughout: half the work of complex second passes. A butterfly on the few products then makes the coefficients
of `k` and `-k`. With `Z_c, Z_s` the complex products of the last axis that belong to the cosine and sine of a leading
one,

    U_k = Z_c - i Z_s,    U_-k = Z_c + i Z_s.

Coefficients are planar and come wavenumber by wavenumber, `[*k, 2, b, c]`: real and imaginary part, batch and channel
of one wavenumber lie together, which is the layout that a matrix product with its weights reads. Fields put their
channels last. `synthesise` is the transpose of `analyse` with the same matrices, so each is the other's backward pass.
"""

import functools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .truncated_fft import check_modes

Matrices = tuple[Tensor, ...]


def analysis(points: Sequence[int], modes: Sequence[int], like: Tensor) -> Matrices:
    """Matrices `[2 K_j + 2, N_j]` that take a field to the coefficients of `truncated_rfft`."""
    check_modes(points, modes)
    return _matrices(tuple(points), tuple(modes), False, like.dtype, like.device)


def synthesis(points: Sequence[int], modes: Sequence[int], like: Tensor) -> Matrices:
    """Matrices whose transposes take coefficients to the field of `truncated_irfft`."""
    check_modes(points, modes)
    return _matrices(tuple(points), tuple(modes), True, like.dtype, like.device)


@functools.lru_cache(maxsize=256)
def _matrices(
    points: tuple[int, ...], modes: tuple[int, ...], back: bool, dtype: torch.dtype, device: torch.device
) -> Matrices:
    """The rows of every axis: cosines, then sines, of which the last axis's are negative, scaled for one direction."""
    # Whoever asks first may be validating in inference mode, whose tensors no later training could use.
    with torch.inference_mode(False):
        return tuple(_rows(points, modes, back, axis).to(device, dtype) for axis in range(len(points)))


def _rows(points: tuple[int, ...], modes: tuple[int, ...], back: bool, axis: int) -> Tensor:
    """`_matrices` of one axis."""
    N, K, last = points[axis], modes[axis], axis == len(points) - 1
    k = torch.arange(K + 1)[:, None]
    # The angle is reduced in integers: exact.
    angle = (k * torch.arange(N) % N).to(torch.float64) * (2 * math.pi / N)
    if back:
        scale = torch.where((k == 0) | (not last), 1.0, 2.0).to(torch.float64)
    else:
        scale = torch.where(2 * k == N, 0.5, 1.0).to(torch.float64) / N
    sine = torch.where(2 * k * torch.arange(N) % N == 0, 0.0, torch.sin(angle))
    return torch.cat((scale * torch.cos(angle), (-scale if last else scale) * sine))


def analyse(v: Float[Tensor, "b *space c"], matrices: Matrices) -> Float[Tensor, "*k 2 b c"]:
    """Coefficients of a field."""
    batch, channels = v.shape[0], v.shape[-1]
    before, sizes = batch, [*v.shape[1:-1], channels]
    for axis, matrix in enumerate(matrices):
        rest = math.prod(sizes[axis + 1 :])
        v = torch.bmm(matrix.expand(before, -1, -1), v.reshape(before, -1, rest))
        sizes[axis] = len(matrix)
        before *= len(matrix)
    pairs = [size for matrix in matrices for size in (2, len(matrix) // 2)]
    v = v.reshape(batch, *pairs, channels)
    for axis in range(len(matrices) - 2, -1, -1):
        v = _merge(v, 1 + 2 * axis, 1 + 2 * axis + 2)
    # Now [b, 2, k_1, .., k_d, c]: `_merge` takes the pair of its axis out and moves the parts to its place.
    return v.permute(*range(2, v.ndim - 1), 1, 0, v.ndim - 1).contiguous()


def synthesise(
    u_hat: Float[Tensor, "*k 2 b c"], matrices: Matrices, out: Tensor | None = None
) -> Float[Tensor, "b *space c"]:
    """The field of coefficients; added to `out`, in its memory, where that is given."""
    axes = len(matrices)
    v = u_hat.permute(axes + 1, axes, *range(axes), axes + 2)
    for axis in range(axes - 1):
        v = _split(v, 1 + 2 * axis)
    batch, channels = v.shape[0], v.shape[-1]
    rows, points = [len(matrix) for matrix in matrices], [matrix.shape[1] for matrix in matrices]
    for axis in range(axes - 1, -1, -1):
        before, rest = batch * math.prod(rows[:axis]), math.prod(points[axis + 1 :]) * channels
        matrix, v = matrices[axis].T.expand(before, -1, -1), v.reshape(before, rows[axis], rest)
        if axis == 0 and out is not None:
            out.view(batch, points[0], rest).baddbmm_(matrix, v)
            return out
        v = torch.bmm(matrix, v)
    return v.reshape(batch, *points, channels)


def _merge(v: Tensor, axis: int, parts: int) -> Tensor:
    """`[.., 2, K + 1, 2, ..]`, cosine and sine before a leading axis and real and imaginary part after it, to the parts
    and `2 K + 1` coefficients in the order `0 .. K, -K .. -1`.
    """
    cosine, sine = v.unbind(axis)
    (c_r, c_i), (s_r, s_i) = cosine.unbind(parts - 1), sine.unbind(parts - 1)
    plus, minus = torch.stack((c_r + s_i, c_i - s_r), axis), torch.stack((c_r - s_i, c_i + s_r), axis)
    minus = minus.narrow(axis + 1, 1, minus.shape[axis + 1] - 1).flip(axis + 1)
    return torch.cat((plus, minus), axis + 1)


def _split(v: Tensor, axis: int) -> Tensor:
    """The transpose of `_merge`."""
    K = v.shape[axis + 1] // 2
    plus, minus = v.narrow(axis + 1, 0, K + 1), v.narrow(axis + 1, K + 1, K).flip(axis + 1)
    minus = torch.cat((torch.zeros_like(plus.narrow(axis + 1, 0, 1)), minus), axis + 1)
    (p_r, p_i), (m_r, m_i) = plus.unbind(axis), minus.unbind(axis)
    cosine = torch.stack((p_r + m_r, p_i + m_i), axis + 1)
    sine = torch.stack((m_i - p_i, p_r - m_r), axis + 1)
    return torch.stack((cosine, sine), axis)

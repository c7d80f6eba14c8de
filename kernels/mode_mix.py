"""A complex matrix for every wavenumber, `Y_k = X_k W_k`, in real arithmetic.

With `P = [X_r; X_i] [W_r, W_i]`, one real matrix product a wavenumber on the weights as they are stored,

    Y_r = P_rr - P_ii,    Y_i = P_ri + P_ir.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def mode_mix(x_hat: Float[Tensor, "*k 2 b i"], weight: Float[Tensor, "*k i o 2"]) -> Float[Tensor, "*k 2 b o"]:
    """`Y[k, b, o] = sum_i X[k, b, i] W[k, i, o]` of planar coefficients and paired weights."""
    *modes, parts, batch, inner = x_hat.shape
    products = torch.bmm(x_hat.reshape(-1, parts * batch, inner), weight.reshape(-1, inner, 2 * weight.shape[-2]))
    (rr, ri), (ir, ii) = (part.unbind(-1) for part in products.reshape(-1, 2, batch, weight.shape[-2], 2).unbind(1))
    return torch.stack((rr - ii, ri + ir), 1).reshape(*modes, 2, batch, -1)


def mode_mix_backward(
    gradient: Float[Tensor, "*k 2 b o"], x_hat: Float[Tensor, "*k 2 b i"], weight: Float[Tensor, "*k i o 2"]
) -> tuple[Float[Tensor, "*k 2 b i"], Float[Tensor, "*k i o 2"]]:
    """Gradients of both factors: `gX = gP [W_r, W_i]^T` and `[gW_r, gW_i] = [X_r; X_i]^T gP`."""
    *_, batch, outer = gradient.shape
    inner = x_hat.shape[-1]
    g_r, g_i = gradient.reshape(-1, 2, batch, outer).unbind(1)
    # Rows are the parts of X, columns those of W.
    products = torch.stack((torch.stack((g_r, g_i), -1), torch.stack((g_i, -g_r), -1)), 1)
    products = products.reshape(-1, 2 * batch, 2 * outer)
    g_x = torch.bmm(products, weight.reshape(-1, inner, 2 * outer).mT)
    g_w = torch.bmm(x_hat.reshape(-1, 2 * batch, inner).mT, products)
    return g_x.reshape(x_hat.shape), g_w.reshape(weight.shape)

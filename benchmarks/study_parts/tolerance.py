"""What a penalty with learned tolerances has learned: how strong it is in the mean, and where."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.datasets import TrajectoryDataModule, flow
from rollwave.training import row_energies
from rollwave.training.jacobian import Map

from .program import program

# States at which tolerances are compared with the solver, and products with its Jacobian at each.
STATES, PRODUCTS = 8, 32


def learned_tolerance(cfg: Any, folder: Path) -> dict[str, float]:
    """Of a run whose penalty has learned tolerances `s`, over validation states; nothing of another.

    `mean_weight` is `alpha <exp(-s)>` over space and every frame. In one dimension and one channel, `s_with_truth` is
    the rank correlation of `s_i` with the row energies `r_i` of the solver's own map over the interval, and
    `s_with_compression` that with `-u_x`: where a flow is compressed its map expands differences.
    """
    if cfg.get("regularizer") is None:
        return {}
    objective = program().build_objective(cfg)
    data: TrajectoryDataModule = program().open_data(cfg, objective)
    penalty = program().build_regularizer(cfg, data, objective)
    head = getattr(penalty, "head", None)
    if head is None:
        return {}
    state = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    penalty.load_state_dict(
        {k.removeprefix("regularizer."): v for k, v in state.items() if k.startswith("regularizer.")}
    )
    emulator = program().build_emulator(cfg, data)
    windows = torch.cat([window for _, window in data.val_dataloader()])
    with torch.no_grad():
        weight = torch.stack([torch.exp(-head(emulator.encode(window))).mean() for window in windows]).mean()
    found = {"mean_weight": float(penalty.weight * weight)}
    if windows.shape[2] == 1 and windows.ndim == 4:
        # Middles of windows: where these begin with the trajectory, its fronts have formed.
        u = windows[:: max(1, len(windows) // STATES)][:STATES, windows.shape[1] // 2]
        with torch.no_grad():
            s = head(emulator.encode(u))
        found["s_with_truth"] = rank_correlation(
            s, true_row_energies(u, flow(data.folder, time_stride=data.time_stride))
        )
        found["s_with_compression"] = rank_correlation(s, u.roll(1, -1) - u.roll(-1, -1))
    return found


def true_row_energies(u: Float[Tensor, "b c n"], truth: Map) -> Float[Tensor, "b c n"]:
    """`r_i = sum_j J_ij^2` of the solver's map over the interval, estimated by random signs."""
    signs = torch.randint(0, 2, (PRODUCTS, *u.shape), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    states = u.double().expand(PRODUCTS, *u.shape).flatten(0, 1)
    with torch.no_grad():
        return row_energies(truth, states, signs.flatten(0, 1)).reshape(signs.shape).mean(0)


def rank_correlation(x: Float[Tensor, "b ..."], y: Float[Tensor, "b ..."]) -> float:
    """Spearman's, within each state, the mean over states; of values without ties."""
    ranks = [values.double().flatten(1).argsort(1).argsort(1).double() for values in (x, y)]
    centred = [rank - rank.mean(1, keepdim=True) for rank in ranks]
    return float(torch.nn.functional.cosine_similarity(*centred, dim=1).mean())

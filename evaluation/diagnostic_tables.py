"""The tables of a report that depend on the equation: wave diagnostics and budgets, and what they mean."""

from collections.abc import Mapping
from typing import Any

from .tables import COLUMNS, cell, lay_out

WAVES = {
    "wave_entropy_error": "Shannon entropy, difference",
    "wave_renyi_error": "Renyi entropy of order 2, difference",
    "wave_tsallis_error": "Tsallis entropy of order 1/2, difference",
    "wave_spectral_entropy_error": "spectral entropy, difference",
    "wave_complexity_error": "complexity, difference",
    "wave_peak_error": "peak, relative difference",
    "wave_permutation_entropy_error": "permutation entropy, difference",
    "wave_ordinal_complexity_error": "ordinal complexity, difference",
    "wave_entropy_delta": "Cliff's delta of the Shannon entropy",
    "wave_spectral_entropy_delta": "Cliff's delta of the spectral entropy",
    "wave_peak_delta": "Cliff's delta of the peak",
}

WAVE_DEFINITIONS = {
    "difference": "mean over the rollout of the absolute difference from the truth's value in the same frame.",
    "Shannon entropy": (
        "`S + ln dV` of `p_j = rho_j / sum rho`, with `S = -sum p ln p`, `rho` the density in the table's title and "
        "`dV` the volume of a cell: the logarithm of the volume over which the density is spread, in nats. A frame "
        "without any counts as evenly spread."
    ),
    "Renyi entropy of order 2": "the same with `-ln sum p^2`, which sees the peaks.",
    "Tsallis entropy of order 1/2": "`2 (sum sqrt(p) - 1)`, which sees the tails, over that of an even spread.",
    "spectral entropy": (
        "`-sum p ln p` of `p_k = |u_hat_k|^2 / sum |u_hat|^2` over all modes, of each channel, or of the complex field."
    ),
    "complexity": "`S / ln n` times `n sum (p - 1/n)^2`: 0 for an even spread over `n` points and for one point.",
    "peak": "the largest value of the density, differences relative to its mean over the true rollout.",
    "permutation entropy, ordinal complexity": (
        "of the first channel in the middle of the box, as a series in time: entropy of the orders in which values "
        "follow one another (0 monotone, 1 noise), and its product with the Jensen-Shannon divergence from noise. One "
        "value a rollout, and its absolute difference."
    ),
    "Cliff's delta": (
        "`P(p > u) - P(p < u)` over all pairs of a frame of the prediction and a frame of the truth: 1 if the "
        "prediction's values are all larger, -1 if all smaller, 0 if neither tends to be. It compares the values of a "
        "rollout, not their order in time, and has no value for a rollout that does not stay finite."
    ),
}

BUDGET_DEFINITIONS = {
    "budget": "terms of the rate of change of an integral over the box, at each frame; means are over the rollout.",
    "relative error": "`|<r_p> - <r_u>| / <|r_u|>`, the error of a term's mean relative to the truth's mean size.",
    "residual": (
        "`|I(t_n) - I(t_1) - int sum r dt| / int sum |r_u| dt`: how far a rollout is from gaining what its own "
        "terms say, in units of what the truth gains and loses. The truth's is the floor: quadrature between frames, "
        "rounding, scales that the stored grid leaves out."
    ),
}


def wave_table(metrics: Mapping[str, Any]) -> str:
    """The wave diagnostics of every candidate; empty where the equation has none."""
    columns = {name: metrics["candidates"][name]["scalars"] for name in COLUMNS if name in metrics["candidates"]}
    there = [(key, heading) for key, heading in WAVES.items() if key in columns["model"]]
    return _table(columns, there)


def budget_table(metrics: Mapping[str, Any]) -> str:
    """The budgets of the truth, where the metrics still hold it, and of every candidate; empty where there are none.

    Terms that are zero everywhere, such as the drag of a flow without drag, are left out.
    """
    candidates = {"truth": metrics["truth"]} if "scalars" in metrics.get("truth", {}) else {}
    candidates |= metrics["candidates"]
    columns = {name: candidates[name]["scalars"] for name in COLUMNS if name in candidates}
    keys = [key for key in columns["model"] if key.startswith("budget_")]
    silent = {
        key.removesuffix("_mean")
        for key in keys
        if key.endswith("_mean") and not any(_sizes(scalars.get(key)) for scalars in columns.values())
    }
    shown = [key for key in keys if key.rsplit("_", 1)[0] not in silent]
    return _table(columns, [(key, _heading(key)) for key in shown])


def sections(metrics: Mapping[str, Any]) -> list[str]:
    """Both tables under their titles, those that there are."""
    waves, budgets = wave_table(metrics), budget_table(metrics)
    density = metrics["dataset"].get("wave_density")
    return ([f"**Wave diagnostics of the {density} density**", waves] if waves else []) + (
        ["**Budgets**", budgets] if budgets else []
    )


def definitions(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What the rows of `sections` mean."""
    waves, budgets = wave_table(metrics), budget_table(metrics)
    return (WAVE_DEFINITIONS if waves else {}) | (BUDGET_DEFINITIONS if budgets else {})


def _table(columns: Mapping[str, Mapping[str, Any]], rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    return lay_out(columns, [(heading, [cell(s.get(key)) for s in columns.values()]) for key, heading in rows])


def _heading(key: str) -> str:
    """`budget_energy_production_error` as `energy: production, relative error`."""
    integral, _, rest = key.removeprefix("budget_").partition("_")
    for suffix, words in (("_mean", ", mean"), ("_error", ", relative error")):
        rest = rest.removesuffix(suffix) + words if rest.endswith(suffix) else rest
    return f"{integral}: {rest.replace('_', ' ')}"


def _sizes(entry: Mapping[str, Any] | None) -> bool:
    """Whether a scalar is anything but zero."""
    return entry is not None and any(entry[name] not in (0, None) for name in ("q25", "median", "q75"))

"""`report.md`: the numbers of `metrics.json` beside one another, and what each of them means."""

from collections.abc import Mapping
from typing import Any

from . import diagnostic_tables
from .tables import COLUMNS, cell, lay_out, number

DEFINITIONS = {
    "nRMSE": "`||p - u|| / ||u||` over channels and space. Two independent fields of zero mean: about 1.4.",
    "VRMSE": "root mean square error over the truth's standard deviation in space, averaged over channels.",
    "GMean": "geometric mean of the nRMSE over the first steps, each step capped at 100.",
    "correlation time": (
        "the last time before the Pearson correlation over space (centred in each channel, averaged over channels) "
        "first falls below the threshold. `>=`: the median rollout was still good when the truth ended."
    ),
    "valid prediction time": (
        "the last time before `sqrt(mean (p - u)^2 / sigma^2)` first exceeds 0.5, with `sigma` the standard deviation "
        "of each channel over the training split."
    ),
    "spectrum error": (
        "`mean |log10 E_p(k) - log10 E_u(k)|` of the time-averaged energy spectra, over thirds of `log k`; 1 is a "
        "factor of ten. Energies below 1e-12 of the most energetic shell count as that much."
    ),
    "drift": (
        "difference of a conserved integral over the domain from the truth's at the last step, relative to the root "
        "mean square over time of the integral of the truth's absolute density, which cannot cancel. `difference`: the "
        "same of an integral that is not conserved, and differs as the trajectories do."
    ),
    "persistence": "the last input frame, again and again.",
    "climatology": "the mean of each channel over the training split.",
    "perturbed solver": (
        "the solver of the data, rebuilt from its recipe, from a last input frame perturbed by smooth noise: what is "
        "left between it and the truth is the growth of small errors, which no model escapes."
    ),
}


READING = (
    "Numbers are `median [first quartile, third quartile]` over rollouts. The input frames are in none of them. A "
    "prediction that is not finite counts as infinitely wrong from that step on. `metrics.json` holds every curve and "
    'the value of every rollout; infinities are the strings "inf" and "-inf" there, and null is "undefined".'
)


def render(metrics: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """The report as Markdown.

    Args:
        metrics: what `metrics.json` holds.
        figures: captions by file name.
    """
    dataset, emulator, protocol = metrics["dataset"], metrics["emulator"], metrics["protocol"]
    meanings = DEFINITIONS | diagnostic_tables.definitions(metrics)
    parts = [
        f"# {emulator['network']} on {dataset['name']}",
        _opening(dataset, emulator, protocol),
        table(metrics),
        *diagnostic_tables.sections(metrics),
        *_survival(metrics["survival"]),
        *(f"- {note}" for note in metrics["notes"]),
        *(f"![{caption}]({file})\n\n{caption}" for file, caption in figures.items()),
        "## How to read it",
        "\n".join(f"- **{name}**: {text}" for name, text in meanings.items()),
        READING,
        "## Facts",
        _facts(metrics),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(dataset: Mapping[str, Any], emulator: Mapping[str, Any], protocol: Mapping[str, Any]) -> str:
    points = " x ".join(str(n) for n in dataset["points"])
    horizon = protocol["steps"] * protocol["interval"]
    rate = dataset["lyapunov_exponent"]
    lyapunov = f", {horizon * rate:.3g} Lyapunov times" if rate else ""
    return (
        f"{protocol['rollouts']} rollouts of {protocol['steps']} steps (time {horizon:.6g}{lyapunov}) over the "
        f"{protocol['trajectories']} trajectories of the {protocol['split']} split, {points} points, "
        f"{protocol['history']} input frame{'s' if protocol['history'] > 1 else ''}. "
        f"{emulator['parameters']:,} parameters."
    )


def rows(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys of the scalars that a table shows, in order, and their headings."""
    steps = metrics["protocol"]["steps"]
    named = {
        "nrmse_first": "nRMSE, 1 step",
        "vrmse_first": "VRMSE, 1 step",
        "vrmse_6_12": "VRMSE, steps 6 to 12",
        "vrmse_13_30": "VRMSE, steps 13 to 30",
        "nrmse_gmean100": f"GMean of nRMSE, {min(steps, 100)} steps",
        "nrmse_last": f"nRMSE, {steps} steps",
        "correlation_time_0.9": "correlation time, 0.9",
        "correlation_time_0.8": "correlation time, 0.8",
        "valid_prediction_time": "valid prediction time",
        "valid_prediction_time_lyapunov": "valid prediction time, Lyapunov times",
        "spectrum_low": "spectrum error, large scales",
        "spectrum_mid": "spectrum error, middle",
        "spectrum_high": "spectrum error, small scales",
    }
    there = metrics["candidates"]["model"]["scalars"]
    for name in [name for name in there if name.startswith("drift_")]:
        integral = name.removeprefix("drift_").removesuffix("_last")
        named[name] = f"{integral} {'drift' if integral in metrics['dataset']['conserved'] else 'difference'}"
    return [(name, heading) for name, heading in named.items() if name in there]


def table(metrics: Mapping[str, Any]) -> str:
    """The summary of an evaluation, one row a scalar, the model beside what needs no training."""
    candidates = {name: metrics["candidates"][name] for name in COLUMNS if name in metrics["candidates"]}
    lines = [
        (heading, [cell(candidate["scalars"][key]) for candidate in candidates.values()])
        for key, heading in rows(metrics)
    ]
    finite = [f"{100 * candidate['fraction_finite']:.4g} %" for candidate in candidates.values()]
    batch = candidates["model"]["seconds_per_step_batch"]
    timed = [
        number(candidate["seconds_per_step"] * 1e3) if name in ("model", "solver") else "-"
        for name, candidate in candidates.items()
    ]
    lines += [("finite at the end", finite), (f"milliseconds per step, batch of {batch}", timed)]
    return lay_out(candidates, lines)


def _survival(survival: Mapping[str, Any] | None) -> list[str]:
    if survival is None:
        return []
    finite, bounded = (f"{100 * survival[key]:.4g} %" for key in ("finite", "bounded"))
    return [
        f"After {survival['steps']} steps, beyond the truth: {finite} of the rollouts finite, {bounded} never above "
        f"{survival['bound']:g} times the training data's root mean square."
    ]


def _facts(metrics: Mapping[str, Any]) -> str:
    dataset, emulator, environment = metrics["dataset"], metrics["emulator"], metrics["environment"]
    protocol = metrics["protocol"]
    facts = {
        "equation": dataset["equation"],
        "data hash": f"`{dataset['data_hash']}`",
        "emulator trained on": f"`{emulator['data_hash'] or 'unknown'}`",
        "interval": f"{protocol['interval']:g}",
        "Lyapunov exponent": dataset["lyapunov_exponent"] or "not recorded",
        "sigma": ", ".join(f"{n} {v:.6g}" for n, v in zip(dataset["channels"], protocol["sigma"], strict=True)),
        "perturbation of the solver": f"{protocol['perturbation']:g}" if "solver" in metrics["candidates"] else "-",
        "device": environment["device"],
        "versions": ", ".join(f"{name} {version}" for name, version in environment["versions"].items()),
    }
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    if protocol["command"]:
        lines.append(f"\nTo repeat it:\n\n    {protocol['command']}")
    return "\n".join(lines)

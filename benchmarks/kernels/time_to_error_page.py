"""The part of `kernels/README.md` on the seconds of training until an error is reached."""

from typing import Any

from speed.words import bracketed, section

from .time_to_error_curves import RATIOS

CONTENDERS = ("neuraloperator", "neuraloperator, memory kept", "rollwave")


def training(measured: dict[str, Any] | None) -> list[str]:
    """The tables, or nothing where nothing has been measured."""
    if measured is None or not measured["problems"]:
        return []
    entries = list(measured["problems"].values())
    return ["\n\n".join([table(entries), "\n".join(f"- {facts(entry)}" for entry in entries), every_step(entries)])]


def table(entries: list[dict[str, Any]]) -> str:
    """For every threshold the seconds of each contender, and the ratios."""
    lines = [threshold(entry, row) for entry in entries for row in entry["thresholds"]]
    text = (
        "The same training by `train.py`'s task with either package's FNO inside: the same parameters, initial "
        "weights, batches, AdamW, schedule and averaged weights, one thread, float32. Seconds of processor time until "
        "the mean relative error of one step over the validation windows falls under a threshold, between two "
        "validations on a line in the logarithm of the error; validation itself is not counted. Thresholds are shares "
        "of the error of predicting no change (persistence) on the same windows, and were fixed before, after trials "
        "of rollwave alone with a further seed. neuraloperator is taken as it comes, and with the C library keeping "
        "freed memory; rollwave is as `train.py` runs it, which has it keep freed memory. All take turns from one "
        "validation to the next, each in a process of its own; in brackets the spread over seeds. Trainings that begin "
        "alike drift apart by rounding, so neuraloperator's and rollwave's steps to a threshold differ and a ratio of "
        "times to it holds luck as well as speed; that of all steps, in the next table, holds speed alone. Measured by "
        "`python benchmarks/time_to_error.py`, kept in `benchmarks/results/time_to_error.json`."
    )
    head = ["problem", "threshold", "steps", *(f"{name}, s" for name in CONTENDERS), "stock", "memory kept"]
    return section("Training until an error is reached", text, head, lines)


def threshold(entry: dict[str, Any], row: dict[str, Any]) -> str:
    """One line."""
    name = f"{entry['setting']['name'].replace('_', ' ')} | {row['threshold']:.2g}, {100 * row['share']:g} %"
    if row["ratio"] is None:
        runs = len(entry["runs"])
        reached = [f"reached by {sum(map(bool, row['crossings'][who]))} of {runs}" for who in CONTENDERS]
        return f"| {' | '.join([name, '-', *reached, *('-' for _ in RATIOS)])} |"
    steps = " / ".join(f"{row['step'][who]['median']:.0f}" for who in ("neuraloperator", "rollwave"))
    seconds = [f"{row['seconds'][who]['median']:.3g}" for who in CONTENDERS]
    return f"| {' | '.join([name, steps, *seconds, *(bracketed(row['ratio'][which]) for which in RATIOS)])} |"


def facts(entry: dict[str, Any]) -> str:
    """What was trained, on what, with what, and how far the curves of the contenders are apart."""
    runs = entry["runs"]
    settings = [run["about"] for run in runs.values()]
    machines, torches, packages, commits = (
        ", ".join(dict.fromkeys(values))
        for values in (
            (f"{setting['device']}, {setting['cores']} cores" for setting in settings),
            (setting["versions"]["torch"] for setting in settings),
            (setting["versions"]["neuraloperator"] for setting in settings),
            (setting["versions"]["commit"] for setting in settings),
        )
    )
    whole, network = entry["whole"], entry["network"]
    parameters = next(iter(runs.values()))["parameters"]["rollwave"]
    return (
        f"{entry['setting']['label']}: wavenumbers up to {network['modes'][0]}, {parameters:,} numbers as parameters; "
        f"{entry['windows']['train']:,} windows of training at an interval of {entry['interval']:g}, "
        f"{entry['windows']['valid']:,} of validation, validated every {entry['setting']['every']} steps; persistence "
        f"{entry['persistence']:.3g}; seeds {', '.join(runs)}. Losses of the first steps differ by at most "
        f"{whole['first_losses_apart']:.1g}, validation errors at the same step by at most {100 * whole['apart']:.2g} "
        f"%: rounding grows with training. {machines} shared with other work, torch {torches}, neuraloperator "
        f"{packages}, commit {commits}."
    )


def every_step(entries: list[dict[str, Any]]) -> str:
    """The whole trainings."""
    lines = []
    for entry in entries:
        whole = entry["whole"]
        seconds = [f"{whole['seconds'][who]['median']:.3g}" for who in CONTENDERS]
        errors = [f"{whole['error'][who]['median']:.3g}" for who in CONTENDERS]
        ratios = [bracketed(whole["ratio"][which]) for which in RATIOS]
        cells = [entry["setting"]["name"].replace("_", " "), f"{entry['setting']['steps']:,}", *seconds, *ratios]
        lines.append(f"| {' | '.join([*cells, ', '.join(errors)])} |")
    head = ["problem", "steps", *(f"{name}, s" for name in CONTENDERS), "stock", "memory kept", "errors at the end"]
    return section("The same trainings to their end", "Seconds of all steps, without validation.", head, lines)

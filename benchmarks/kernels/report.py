"""`kernels/README.md` from what has been measured, and from nothing else."""

import json
from pathlib import Path
from typing import Any

from speed.words import bracketed, section

from .report_gpu import READING, predicted, tables
from .time_to_error_page import training

HEAD = """# Kernels

`spectral_conv` is the layer of a Fourier neural operator with what follows it: truncated Fourier transforms there and
back, a complex matrix for every wavenumber between them, and the local map, the bias and the GELU in the same pass. It
has three formulations of the same function: transforms as matrix products (`dft`), fast transforms (`fft`), and Triton
kernels (`triton`); `explain` says which is taken where, and why. `pointwise` and `pointwise_mlp` are the maps of the
channels at every point. All are differentiable to every order, and each is compared with its definition in plain
PyTorch by the tests.

This page is written by `python benchmarks/training_step.py --report` from `benchmarks/results/training_step_cpu.json`
and `benchmarks/results/kernels_gpu.json`. To measure again: `python benchmarks/training_step.py`, and on a card `python
benchmarks/gpu.py`. A figure in brackets is the spread `[first quartile, third quartile]` over the rounds of one run, in
which all programs take turns. A ratio is the other package's time over rollwave's within a round: above one rollwave is
faster. `met` and `missed` are said of the median."""


def page(results: Path) -> str:
    """The whole page."""
    names = ("training_step_cpu", "time_to_error", "crossover_cpu", "kernels_gpu")
    cpu, errors, crossing, card = (read(results / f"{name}.json") for name in names)
    return "\n\n".join([HEAD, *on_a_cpu(cpu), *training(errors), *crossover(crossing), on_a_card(card)]) + "\n"


def read(path: Path) -> dict[str, Any] | None:
    """What has been measured, or none."""
    return json.loads(path.read_text()) if path.exists() else None


def on_a_cpu(measured: dict[str, Any] | None) -> list[str]:
    """The tables of training steps, or that there are none yet."""
    if measured is None or measured["quick"]:
        return ["## A training step on a CPU\n\nnot yet measured"]
    one = [row for row in measured["rows"] if row["threads"] == 1]
    two = [row for row in measured["rows"] if row["threads"] > 1]
    models, blocks = ([row for row in one if row["part"] == part] for part in ("model", "blocks"))
    return [
        setting(measured, one),
        steps("A training step on a CPU, one thread", models),
        steps("Four spectral blocks alone, one thread", blocks),
        inference(one),
        memory(one),
        ceilings(one),
        agreement(one),
        steps("Two threads, on the wall", two),
    ]


def setting(measured: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """On what, with what, how."""
    versions, verdicts = measured["versions"], [v for row in rows for v in row["targets"].values()]
    return (
        f"Measured on {measured['device']}, {measured['cores']} cores shared with other work (load "
        f"{measured['load']:.1f}), {measured['libc']}, torch {versions['torch']}, Python {versions['python']}, beside "
        f"neuraloperator {versions['neuraloperator']}; commit {versions['commit']}, float32, batch 16. Targets met: "
        f"{sum(v['met'] for v in verdicts)} of {len(verdicts)}.\n\n"
        "A step is forward pass, mean square, backward pass and Adam of a model of four layers, in milliseconds of "
        "processor time; both packages have the same parameters. Much of a step on a CPU goes into memory that the C "
        "library gives back and gets again, so every contender has a process of its own. `stock` is neuraloperator "
        "as it comes beside rollwave as `train.py` runs it, with freed memory kept; `plain` is rollwave without that; "
        "`tuned` gives both sides the same: freed memory kept, and the fastest of micro-batches of 16, 4 and 2 with "
        "accumulated gradients, in brackets behind the time."
    )


def steps(name: str, rows: list[dict[str, Any]]) -> str:
    """Times and ratios of a step."""
    lines = []
    for row in rows:
        ratio = row["ratio"]["step"]
        times = [_milli(row, "step", contender) for contender in row["seconds"]["step"]]
        ratios = [bracketed(ratio[which]) + _verdict(row, which) for which in ("stock", "plain", "tuned")]
        lines.append(f"| {_title(row)} | {' | '.join([*times, *ratios])} |")
    text = "Milliseconds, and ratios; `not the same function` where outputs or gradients differ by more than rounding."
    head = ["points, modes, channels", "neuraloperator", "tuned", "rollwave", "plain", "tuned"]
    head += ["stock", "plain", "tuned"]
    return section(name, text, head, lines or ["| all rows " + "| not yet measured " * 8 + "|"])


def crossover(measured: dict[str, Any] | None) -> list[str]:
    """Where the two formulations cross, or nothing where that has not been measured."""
    if measured is None:
        return []
    lines = [
        f"| {' x '.join(map(str, row['points']))} | {row['modes']} | {row['batch']} | {1e3 * row['dft']:.3g} "
        f"| {1e3 * row['fft']:.3g} | {row['ratio']:.2f} |"
        for row in measured["rows"]
    ]
    text = (
        f"One `spectral_conv` of {measured['width']} channels with skip, bias and GELU, there and back, in "
        f"milliseconds of processor time on {measured['threads']} thread(s); commit {measured['versions']['commit']}. "
        "The table in `kernels/choice.py` follows from it. Measured by `python benchmarks/crossover.py`."
    )
    head = ["points", "modes", "batch", "matrices", "fast transforms", "fast over matrices"]
    return [section("Matrices or fast transforms", text, head, lines)]


def inference(rows: list[dict[str, Any]]) -> str:
    """Forward alone."""
    lines = []
    for row in rows:
        ratio = row["ratio"]["inference"]
        times = [_milli(row, "inference", name, micro=False) for name in ("neuraloperator", "rollwave")]
        ratios = [bracketed(ratio["stock"]) + _verdict(row, "inference"), bracketed(ratio["tuned"])]
        lines.append(f"| {_title(row)} | {' | '.join([*times, *ratios])} |")
    text = "The forward pass without gradients, whole batches, in the same processes, after their training steps."
    head = ["points, modes, channels", "neuraloperator", "rollwave", "stock", "tuned"]
    return section("Inference, one thread", text, head, lines)


def memory(rows: list[dict[str, Any]]) -> str:
    """What is kept for the backward pass."""
    lines = []
    for row in rows:
        theirs, ours = (row["counted"][name]["saved"] / 2**20 for name in ("neuraloperator", "rollwave"))
        lines.append(f"| {_title(row)} | {theirs:.1f} | {ours:.1f} | {row['saved']:.2f}{_verdict(row, 'memory')} |")
    text = (
        "MiB that the forward pass keeps for the backward pass, every piece of memory once, parameters apart; and "
        "rollwave's over neuraloperator's."
    )
    return section("Memory", text, ["points, modes, channels", "neuraloperator", "rollwave", "ratio"], lines)


def ceilings(rows: list[dict[str, Any]]) -> str:
    """Operations and bytes of a step, and how near to what the machine reaches."""
    lines = []
    for row in rows:
        cells = []
        for name in ("neuraloperator", "rollwave"):
            counted, seconds = row["counted"][name], row["seconds"]["step"][name]["median"]
            cells.append(
                f"{counted['flops'] / 1e9:.2f} ({100 * counted['flops'] / seconds / row['ceiling']['flops']:.0f} %)"
            )
            cells.append(
                f"{counted['bytes'] / 1e9:.2f} ({100 * counted['bytes'] / seconds / row['ceiling']['bytes']:.0f} %)"
            )
        ceiling = row["ceiling"]
        lines.append(
            f"| {_title(row)} | {' | '.join(cells)} | {ceiling['flops'] / 1e9:.0f} | {ceiling['bytes'] / 1e9:.1f} |"
        )
    text = (
        "Of a step the 10^9 operations of its products, convolutions and transforms, and the GB that its operators "
        "read and write if each reads its inputs and writes its outputs once; beside each the rate of the step as a "
        "share of a large product's (GFLOP/s) and of a large copy's (GB/s) in the same run, in the last columns. What "
        "stays in a cache moves faster than a copy."
    )
    head = ["points, modes, channels", "neuraloperator 10^9", "GB", "rollwave 10^9", "GB", "product", "copy"]
    return section("Operations and bytes", text, head, lines)


def agreement(rows: list[dict[str, Any]]) -> str:
    """Largest relative differences."""
    lines = [
        f"| {_title(row)} | {row['agreement']['output']:.0e} | {row['agreement']['gradient']:.0e} "
        f"| `{row['agreement']['worst']}` |"
        for row in rows
    ]
    text = "Largest difference relative to the largest value, of the output and of the gradient of the worst parameter."
    return section("The same function", text, ["points, modes, channels", "output", "gradient", "of"], lines)


def on_a_card(measured: dict[str, Any] | None) -> str:
    """The rows of a card, or that there are none yet."""
    if measured is None or measured["dry_run"]:
        return f"## On a card\n\nnot yet measured\n\n{predicted()}"
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    told = (
        f"Measured on {measured['device']}, float32, {versions}; a copy reaches {measured['copy_rate'] / 1e9:.0f} GB/s."
    )
    missing = [*measured["left_out"], *(f"{row['part']}: {row['name']} failed" for row in measured["failed"])]
    absent = f"\n\nNot measured: {'; '.join(missing)}." if missing else ""
    return f"# On a card\n\n{told}{absent}\n\n{READING}\n\n{tables(measured)}\n\n{predicted()}"


def _title(row: dict[str, Any]) -> str:
    return f"{row['label']}{', blocks' if row['part'] == 'blocks' else ''}"


def _milli(row: dict[str, Any], program: str, contender: str, micro: bool = True) -> str:
    size = f" ({row['micro'][contender]})" if micro and contender in row["micro"] else ""
    return f"{row['seconds'][program][contender]['median'] * 1e3:.3g}{size}"


def _verdict(row: dict[str, Any], name: str) -> str:
    if not row["agreement"]["agrees"]:
        return ", not the same function"
    # The blocks' target is one for the ratio to the package as it comes.
    found = row["targets"].get("blocks" if name == "stock" and row["part"] == "blocks" else name)
    return "" if found is None else f", {found['target']:g} {'met' if found['met'] else 'missed'}"

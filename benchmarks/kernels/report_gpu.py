"""Tables of what was measured on a card, and of what was predicted."""

from typing import Any

from speed.words import section

from .gpu_cases import PREDICTED

# Read off the tables by hand.
READING = """Tiles are those reasoned beforehand; none has been tuned on a card. With them the kernels are right, but
far from the rate of a copy, and a step with them is no faster than one by matrices, which `auto` therefore takes.
Matrices compiled into one graph are the fastest here. A step launched one by one is mostly Python: from a graph it
takes a third or less. Fast transforms could not be recorded in this run; since then they copy no number from the host.
The backward pass of products was measured on factors of hundreds, where plain float32 is wrong by 5e-6 of the largest
value too; `gpu.py` now gives it factors of order one. Why neuraloperator's results differ here, not on a CPU, was not
found."""
NAMES = ("neuraloperator", "fft", "dft", "dft compiled", "triton")


def tables(measured: dict[str, Any]) -> str:
    """Everything, in the order in which it was measured."""
    parts = [
        _kernels(measured["kernels"]),
        _modes(measured["modes"]),
        _blocks(measured["blocks"], "forward", "One block, forward"),
        _blocks(measured["blocks"], "both", "One block, forward and backward"),
        _models(measured["models"]),
    ]
    return "\n\n".join(part for part in parts if part)


def predicted() -> str:
    """What a count of bytes and operations says."""
    head = ["block, forward", "separate", "with launches", "fused, tf32x3", "fused, tf32", "all once", "speed-up"]
    lines = [
        f"| {layer.label} | {' | '.join(map(str, times))} | {times[0] / times[2]:.1f} |"
        for layer, times in PREDICTED.items()
    ]
    text = (
        "Microseconds, counted beforehand on a roofline with 4.3 TB/s copied. The last column is separate operations "
        "without their launches over fused ones in tf32x3."
    )
    return section("Predicted for an H200", text, head, lines)


def _kernels(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| {row['label']} | {row['kernel']} | {row['error']:.0e}{'' if row['agrees'] else ' WRONG'} "
        f"| {_micro(row['seconds'])} | {row['bytes'] / 1e6:.1f} | {row['rate'] / 1e9:.0f} "
        f"| {100 * row['share_of_copy']:.0f} % |"
        for row in rows
    ]
    head = ["block", "kernel", "error", "us", "MB", "GB/s", "of a copy"]
    text = (
        "Largest error against float64 relative to the largest value, on memory full of NaN; time replayed from a "
        "graph over operands beyond the cache; bytes of operands and results, each once, and their rate beside that "
        "of a copy in the same run."
    )
    return section("Every kernel", text, head, lines)


def _modes(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    names = list(rows[0]["errors"])
    lines = [
        f"| {row['label']} | {' | '.join(format(row['errors'][name]['mode'], '.0e') for name in names)} |"
        for row in rows
    ]
    text = "Worst error of one kept wavenumber, relative to itself, of a field whose coefficients fall as `k^-4`."
    return section("Weak modes of smooth fields", text, ["block", *names], lines)


def _blocks(rows: list[dict[str, Any]], part: str, title: str) -> str:
    lines = [f"| {row['label']} | {' | '.join(_time(row, name, part) for name in NAMES)} |" for row in rows]
    text = "Microseconds, launched one by one / replayed from a graph, after the error against float64 was looked at."
    return section(title, text, ["block", *NAMES], lines)


def _models(rows: list[dict[str, Any]]) -> str:
    names = [name for name in NAMES if name != "dft compiled"]
    lines = []
    for row in rows:
        peaks = [row["contenders"].get(name, {}).get("peak_bytes") for name in names]
        memory = ", ".join("-" if peak is None else f"{peak / 2**30:.2f}" for peak in peaks)
        lines.append(f"| {row['label']} | {' | '.join(_time(row, name, None) for name in names)} | {memory} |")
    text = "Microseconds, launched one by one / replayed from a graph; GiB at the peak of a step, in the same order."
    return section("A training step of four layers", text, ["model", *names, "GiB"], lines)


def _time(row: dict[str, Any], name: str, part: str | None) -> str:
    found = row["contenders"].get(name)
    if found is None:
        return "not run"
    if "failed" in found:
        return f"failed: {found['failed'].splitlines()[0][:60]}"
    times = found if part is None else found[part]
    graph = _micro(times["graph"]) if "graph" in times else "no graph"
    wrong = "" if found["agrees"] else f" (differs by {found.get('error', found.get('difference')):.0e})"
    return f"{_micro(times['eager'])} / {graph}{wrong}"


def _micro(value: dict[str, float]) -> str:
    return f"{value['median'] * 1e6:.3g}"

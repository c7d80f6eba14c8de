"""The columns of the page: where in a run's record each figure stands."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]


def at(record: Record, *path: str) -> float | None:
    """The number at a place in a record; None where there is none, infinity where it is infinite."""
    place: Any = record
    for name in path:
        if not isinstance(place, Mapping) or name not in place:
            return None
        place = place[name]
    return math.inf if place == "inf" else (None if place is None or isinstance(place, str) else float(place))


@dataclass(frozen=True)
class Column:
    """A title, and the figure of a run's record."""

    title: str
    figure: Callable[[Record], float | None]


def of_test(title: str, *path: str, scale: float = 1.0) -> Column:
    """A figure of the test split."""

    def figure(record: Record) -> float | None:
        value = at(record, "test", "sets", "test", *path)
        return None if value is None else scale * value

    return Column(title, figure)


def scalar(title: str, name: str) -> Column:
    """The median over test rollouts of what `evaluate.py` measures."""
    return of_test(title, "scalars", name, "median")


GMEAN = scalar("GMean, 100 steps", "nrmse_gmean100")
VPT = scalar("VPT", "valid_prediction_time")
BOUNDED = of_test("bounded", "survival", "bounded")
TRAJECTORY = (
    *(of_test(f"nRMSE @{step}", "nrmse", str(step)) for step in (1, 10, 50, 100)),
    GMEAN,
    scalar("correlation > 0.8", "correlation_time_0.8"),
    VPT,
    scalar("VPT, Lyapunov times", "valid_prediction_time_lyapunov"),
    BOUNDED,
)
SPECTRUM = tuple(of_test(f"spectrum {band}", "spectrum", band) for band in ("low", "mid", "high"))
DISTANCES = (
    of_test("log spectrum", "attractor", "log_spectrum"),
    of_test("Hellinger in time", "attractor", "hellinger_time"),
    of_test("state space", "attractor", "state_space"),
)
ATTRACTOR = (
    *SPECTRUM,
    *DISTANCES,
    of_test("Wasserstein", "attractor", "wasserstein"),
    of_test("decorrelation time", "decorrelation_time"),
    Column("lambda_1", lambda record: at(record, "test", "exponent", "mean")),
)
FRONTS = (
    *SPECTRUM,
    of_test("max u_x, ratio", "fronts", "steepness_ratio"),
    of_test("variation, ratio", "fronts", "variation_ratio"),
    of_test("front offset", "fronts", "front_offset"),
    of_test("energy loss, error", "fronts", "decay_error"),
    of_test("mass drift", "fronts", "mass_drift"),
)
DRIFTS = (*SPECTRUM, *(scalar(f"{name}, drift", f"drift_{name}_last") for name in ("mass", "momentum", "energy")))
LEARNED = (
    Column("mean weight", lambda record: at(record, "validation", "mean_weight")),
    Column("s with the solver's r", lambda record: at(record, "validation", "s_with_truth")),
    Column("s with -u_x", lambda record: at(record, "validation", "s_with_compression")),
)
STEP_TIME = Column("ms a step", lambda record: _scaled(at(record, "cost", "seconds_per_step"), 1e3))
PEAK = Column("peak MiB a step", lambda record: _scaled(at(record, "cost", "peak_bytes"), 2**-20))
COST = (
    Column("parameters", lambda record: at(record, "training", "parameters")),
    Column("steps", lambda record: at(record, "training", "steps")),
    STEP_TIME,
    Column("FNO's steps a step", lambda record: at(record, "cost", "relative")),
    PEAK,
    Column("saved MiB", lambda record: _scaled(at(record, "cost", "saved_bytes"), 2**-20)),
    Column("training, s", lambda record: at(record, "training", "seconds")),
    of_test("ms a predicted step, all runs", "seconds_per_step", scale=1e3),
    Column("sigma_max", lambda record: at(record, "test", "stretch", "median")),
)


def outside(name: str) -> tuple[Column, ...]:
    """GMean and steepness on a further test set."""

    def on(title: str, *path: str) -> Column:
        return Column(f"{name}: {title}", lambda record: at(record, "test", "sets", name, *path))

    return on("GMean", "scalars", "nrmse_gmean100", "median"), on("max u_x", "fronts", "steepness_ratio")


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value

"""Rolls every forecast over every window of a split, and keeps measurements, not fields."""

import logging
import statistics
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rollwave.solvers import SimulationError

from .baselines import Forecast
from .measures import Measurement, Ruler
from .metrics import finite_steps

log = logging.getLogger(__name__)


@dataclass
class Results:
    """What a forecast did on a split.

    Attributes:
        measurement: curves and scalars of every rollout.
        example: the predicted frames of the first rollout, `[t, c, *space]`.
        seconds_per_step: wall time of one step of a batch, the median over batches.
        batch: rollouts in the batches that were timed.
    """

    measurement: Measurement
    example: Tensor
    seconds_per_step: float
    batch: int


@dataclass
class Survival:
    """How a free run ends, with or without a truth to compare it with.

    Attributes:
        steps: length of the run.
        finite: share of the rollouts that are finite at every step.
        bounded: share that also never exceed `bound` times the training data's root mean square.
        bound: that factor.
    """

    steps: int
    finite: float
    bounded: float
    bound: float


def run(
    forecasts: Mapping[str, Forecast],
    batches: Iterable[Float[Tensor, "b t c *space"]],
    *,
    history: int,
    ruler: Ruler,
    device: torch.device,
) -> tuple[dict[str, Results], Results, list[str]]:
    """Results of each forecast, those of the truth itself, and notes on what could not be done.

    The first `history` frames of a window are what a forecast is given and enter no measurement. A solver that fails on
    one batch is left out of the results, and a note says why.
    """
    alive, notes = dict(forecasts), []
    parts: dict[str, list[Measurement]] = {name: [] for name in [*forecasts, "truth"]}
    seconds: dict[str, list[tuple[int, float]]] = {name: [] for name in forecasts}
    examples: dict[str, Tensor] = {}
    for number, batch in enumerate(batches):
        given, truth = batch[:, :history].to(device), batch[:, history:].to(device)
        steps = truth.shape[1]
        described = ruler.describe(truth)
        parts["truth"].append(ruler.measure(truth, truth, described))
        examples.setdefault("truth", truth[0].cpu())
        for name, forecast in list(alive.items()):
            try:
                if number == 0:
                    _warm_up(forecast, given)
                prediction, elapsed = _timed(forecast, given, steps)
            except SimulationError as error:
                notes.append(f"{name} is left out: {error}")
                log.warning(notes[-1])
                del alive[name]
                continue
            parts[name].append(ruler.measure(prediction, truth, described))
            seconds[name].append((len(given), elapsed / steps))
            examples.setdefault(name, prediction[0].float().cpu())
        log.info("%d rollouts of %d steps measured", sum(len(m.spectrum) for m in parts["truth"]), steps)
    results = {}
    for name in alive:
        largest = max(size for size, _ in seconds[name])
        typical = statistics.median(value for size, value in seconds[name] if size == largest)
        results[name] = Results(Measurement.concatenate(parts[name]), examples[name], typical, largest)
    return results, Results(Measurement.concatenate(parts["truth"]), examples["truth"], 0.0, 0), notes


def survive(
    forecast: Forecast,
    batches: Iterable[Float[Tensor, "b t c *space"]],
    *,
    history: int,
    steps: int,
    rms: tuple[float, ...],
    device: torch.device,
    bound: float = 5.0,
    piece: int = 256,
) -> Survival:
    """Free runs of `steps` steps, in pieces, of which only their survival is kept.

    A frame is within bounds while `sqrt( mean_{c, x} u_c^2 / rms_c^2 ) <= bound`. A run that has stopped being finite
    is not continued.
    """
    finite, bounded = [], []
    for batch in batches:
        given = batch[:, :history].to(device)
        ok = torch.ones(len(given), 2, dtype=torch.bool, device=device)
        done = 0
        while done < steps and bool(ok[:, 0].any()):
            u = forecast(given[ok[:, 0]], min(piece, steps - done))
            running, size = ok[:, 0].clone(), _size(u, rms)
            ok[running, 0] &= finite_steps(u)[:, -1]
            ok[running, 1] &= (size <= bound).all(1)
            given[running] = torch.cat([given[running], u], dim=1)[:, -history:].to(given)
            done += u.shape[1]
        finite.append(ok[:, 0])
        bounded.append(ok.all(1))
    share = [float(torch.cat(values).double().mean()) for values in (finite, bounded)]
    return Survival(steps, share[0], share[1], bound)


def batched(windows: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Stacks of at most `size` windows, in order."""
    held: list[Tensor] = []
    for window in windows:
        held.append(window)
        if len(held) == size:
            yield torch.stack(held)
            held = []
    if held:
        yield torch.stack(held)


def _size(u: Float[Tensor, "b t c *space"], rms: tuple[float, ...]) -> Float[Tensor, "b t"]:
    return (u.double().flatten(3) / u.new_tensor(rms).double()[:, None]).square().mean((2, 3)).sqrt()


def _timed(forecast: Forecast, given: Tensor, steps: int) -> tuple[Tensor, float]:
    """The prediction and the seconds it took, with the device's queue empty at both ends."""
    _wait(given.device)
    start = time.perf_counter()
    prediction = forecast(given, steps)
    _wait(given.device)
    return prediction, time.perf_counter() - start


def _warm_up(forecast: Forecast, given: Tensor) -> None:
    """One step that is not timed; what it has to say, the rollout says again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forecast(given, 1)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

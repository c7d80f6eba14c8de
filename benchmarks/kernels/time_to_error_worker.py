"""Trainings that take turns, each in a process of its own: one trains from one validation to the next while the others
wait, so that what else the machine does meets all of them.
"""

import multiprocessing
import os
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Callback, LightningModule, Trainer

from .contenders import Contender, prepare_memory
from .time_to_error_problems import Problem, build

CONTENDERS = {
    "neuraloperator": Contender(ours=False),
    "neuraloperator, memory kept": Contender(ours=False, memory="train.py"),
    "rollwave": Contender(ours=True, memory="train.py"),
}
# Losses of the first steps, which tell whether two trainings began alike.
FIRST = 5


class Slices(Callback):
    """Waits before every slice for an order to go on, and answers with where the training then is.

    Seconds are processor time of training: neither of validation nor of waiting.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.seconds, self.began = 0.0, 0.0
        self.losses: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.go()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        if len(self.losses) < FIRST:
            self.losses.append(outputs["loss"].item())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds += time.process_time() - self.began

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        error = trainer.callback_metrics["val/nrmse"].item()
        self.connection.send({"step": trainer.global_step, "seconds": self.seconds, "error": error})
        self.go()

    def go(self) -> None:
        """Wait for the order; the clock starts with it."""
        self.connection.recv()
        self.began = time.process_time()


def train(connection: Connection, problem: Problem, contender: Contender, seed: int, data: Path) -> None:
    """Fit slice by slice, then tell what else is known."""
    torch.set_num_threads(1)
    cfg = problem.config(data, seed)
    task, windows = build(cfg, contender.ours)
    slices = Slices(connection)
    trainer = instantiate(cfg.trainer, _partial_=True, _convert_="all")(callbacks=[slices], logger=False)
    took = prepare_memory(contender.memory)
    trainer.fit(task, datamodule=windows)
    parameters = sum(parameter.numel() for parameter in task.emulator.network.parameters())
    connection.send({"losses": slices.losses, "memory_hint_taken": took, "parameters": parameters})


class Training:
    """A training in a new interpreter, alive until it is closed."""

    def __init__(self, problem: Problem, contender: Contender, seed: int, data: Path) -> None:
        # What the C library does with freed memory is the contender's to say.
        for name in [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]:
            del os.environ[name]
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=train, args=(other, problem, contender, seed, data), daemon=True)
        self.process.start()
        other.close()

    def go(self) -> Any:
        """Train until the next validation; after the last one, what else is known. An `EOFError` where it died."""
        self.connection.send("go")
        return self.connection.recv()

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *_: Any) -> None:
        self.connection.close()
        self.process.join()


def measure(problem: Problem, seed: int, data: Path) -> dict[str, Any]:
    """The curves of all contenders from one seed, in turns; every other turn backwards."""
    with ExitStack() as stack:
        trainings = {
            name: stack.enter_context(Training(problem, contender, seed, data))
            for name, contender in CONTENDERS.items()
        }
        curves: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
        for turn in range(problem.steps // problem.every):
            for name in list(trainings)[:: 1 if turn % 2 == 0 else -1]:
                curves[name].append(trainings[name].go())
        ends = {name: training.go() for name, training in trainings.items()}
    return {"curves": curves} | {key: {name: end[key] for name, end in ends.items()} for key in ends["rollwave"]}

"""Fit an operator to a dataset and export the emulator.

    python train.py experiment=ks_fno                                        one process
    python train.py experiment=ks_fno trainer=ddp trainer.devices=4          four devices of this machine
    torchrun --nnodes=2 --nproc-per-node=8 train.py experiment=ks_fno trainer=ddp trainer.num_nodes=2
    python train.py experiment=ks_fno ckpt_path=<run>/checkpoints/last.ckpt  resumes exactly

Writes `.hydra/`, `checkpoints/`, `metrics.csv`, `emulator/`, `training.json` and the report into the run folder, which
it prints first and last.
"""

import atexit
import functools
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The checkout's `datasets` and `kernels` would shadow other distributions of those names.
ROOT = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

import torch  # noqa: E402
from hydra.utils import instantiate  # noqa: E402
from lightning import Trainer, seed_everything  # noqa: E402
from lightning.pytorch.callbacks import ProgressBar, Timer  # noqa: E402
from lightning.pytorch.loggers import WandbLogger  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402
from torch import Tensor  # noqa: E402

from rollwave.commands import command, register_resolvers  # noqa: E402
from rollwave.datasets import (  # noqa: E402
    Recipe,
    TrajectoryDataModule,
    ensure_dataset,
    ensure_variants,
    flow,
    open_source,
)
from rollwave.evaluation import evaluate  # noqa: E402
from rollwave.kernels import keep_freed_memory  # noqa: E402
from rollwave.operators import Conditioned, Emulator, EmulatorMetadata, Normalizer  # noqa: E402
from rollwave.training import (  # noqa: E402
    BestCheckpoint,
    ForecastTask,
    Likelihood,
    Objective,
    Regularizer,
    compile_network,
)

log = logging.getLogger("train")
register_resolvers()

# Beginnings of warnings at every start: deprecations inside Lightning, and choices made here on purpose.
NOISE = (
    "Experiment logs directory",
    "`isinstance(treespec, LeafSpec)` is deprecated",
    "`broadcast_buffers` is deprecated",
    "torch.distributed.nn.functional.all_gather is deprecated",
    "It is recommended to use `self.log('val/",
    "The 'train_dataloader' does not have many workers",
    "The 'val_dataloader' does not have many workers",
    "The number of training batches",
    "FSDP2-wrapped module",
    "Dynamo detected a call to a `functools.lru_cache`-wrapped function",
)


def train(cfg: DictConfig) -> dict[str, float]:
    """Fit as `cfg` says; the last value of everything logged."""
    quieten()
    seed_everything(cfg.seed, workers=True, verbose=False)
    check_switches(cfg)
    check_devices(cfg.trainer)
    objective = build_objective(cfg)
    data = open_data(cfg, objective)
    # The network that the seed makes, whatever the objective drew before for a head of its own.
    seed_everything(cfg.seed, workers=True, verbose=False)
    emulator = build_emulator(cfg, data)
    if cfg.compile:
        compile_network(emulator)
    task = build_task(cfg, objective, emulator, data)
    trainer = build_trainer(cfg)
    if trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    fit(trainer, task, data, cfg.ckpt_path)
    if trainer.is_global_zero:
        emulator = best_emulator(trainer, task)
        emulator.save_pretrained(Path(cfg.folder) / "emulator")
        record(trainer, emulator, cfg)
        if cfg.evaluate:
            report(emulator, cfg)
        close(trainer)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def build_objective(cfg: DictConfig) -> Objective:
    """What is asked of the emulator; built before any data are made, so that a mistake in it is told at once."""
    if (recipe := own_recipe(cfg)) is not None:
        shape = len(recipe.build_equation().channels), len(recipe.points)
    else:
        metadata = open_source(cfg.data.folder).metadata
        shape = len(metadata.channels), metadata.dimensions
    filled = left_open(cfg.objective, *shape) | flow_of(cfg, cfg.objective)
    objective: Objective = instantiate(cfg.objective, **filled, _convert_="all")
    return objective


def flow_of(cfg: DictConfig, part: DictConfig) -> dict[str, Callable[[Tensor], Tensor]]:
    """The flow of the dataset, where the config of a part names it and leaves it open. That of a recipe is looked up
    when it is first asked for: an objective is built before the dataset.
    """
    if "flow" not in part or part.flow is not None:
        return {}
    if cfg.data.others or cfg.variants:
        raise ValueError(
            f"the flow of one dataset is not that of others, got data.others={cfg.data.others} and "
            f"variants={cfg.variants}; train on one"
        )
    found = functools.cache(lambda: flow(cfg.data.folder, time_stride=cfg.data.time_stride))
    if own_recipe(cfg) is None:
        # These data are there, and may have no recipe.
        found()
    return {"flow": lambda u: found()(u)}


def own_recipe(cfg: DictConfig) -> Recipe | None:
    """The recipe of the dataset, None where `data.folder` holds another one."""
    if Path(cfg.data.folder) != Path(cfg.paths.data) / cfg.dataset.name:
        return None
    return Recipe.from_dict(OmegaConf.to_container(cfg.dataset, resolve=True))


def variants(cfg: DictConfig) -> list[str]:
    """Folders of the datasets at other coefficients, generated first where they are not there."""
    if not cfg.variants:
        return []
    if cfg.get("conditions") is None:
        raise ValueError(f"variants {cfg.variants} need conditions, which tell the network the coefficient")
    if (recipe := own_recipe(cfg)) is None:
        raise ValueError(f"variants need a recipe, and data.folder is {cfg.data.folder}; name them in data.others")
    values = OmegaConf.to_container(cfg.variants, resolve=True)
    return [str(folder) for folder in ensure_variants(recipe, values, cfg.paths.data)]


def left_open(part: DictConfig, channels: int, dimensions: int) -> dict[str, Any]:
    """The shape of a frame, where the config of a part names it and leaves it to the data."""
    known = {"channels": channels, "dimensions": dimensions}
    return {key: value for key, value in known.items() if key in part and part[key] is None}


def open_data(cfg: DictConfig, objective: Objective) -> TrajectoryDataModule:
    """The datasets, generated first if they are not there, in windows as long as the objective needs."""
    others = [*cfg.data.others, *variants(cfg)]
    if (recipe := own_recipe(cfg)) is not None:
        ensure_dataset(recipe, cfg.paths.data)
    told = list((cfg.get("conditions") or {}).get("parameters") or {})
    given = {"history": cfg.history, "horizon": objective.horizon, "seed": cfg.seed, "parameters": told}
    data: TrajectoryDataModule = instantiate(cfg.data, **given, others=others, _convert_="all")
    data.setup("fit")
    return data


def build_emulator(cfg: DictConfig, data: TrajectoryDataModule) -> Emulator:
    """An untrained emulator of the operator for this dataset."""
    metadata, statistics = data.metadata, data.statistics
    channels = len(metadata.channels)
    shape = {"in_channels": cfg.history * channels, "out_channels": channels}
    if "dimensions" in cfg.operator and cfg.operator.dimensions is None:
        shape["dimensions"] = metadata.dimensions
    network = instantiate(cfg.operator, **shape, _convert_="all")
    conditions = None if cfg.get("conditions") is None else instantiate(cfg.conditions, _convert_="all")
    if conditions is not None:
        network = Conditioned(network, conditions=conditions.count)
    return Emulator(
        network,
        normalizer=Normalizer(statistics.mean, statistics.std, statistics.delta_std, statistics.low, statistics.high),
        metadata=EmulatorMetadata(
            equation=metadata.equation,
            channels=metadata.channels,
            points=metadata.points,
            lengths=metadata.lengths,
            interval=metadata.interval * data.time_stride,
            data_hash=metadata.data_hash,
        ),
        history=cfg.history,
        residual=cfg.residual,
        symmetry=for_equation(cfg.get("symmetry"), data),
        conserve=for_equation(cfg.get("conserve"), data),
        conditions=conditions,
    )


def for_equation(configured: DictConfig | None, data: TrajectoryDataModule) -> Any:
    """What is configured, made for the equation of the data, which must allow it; None for nothing."""
    return None if configured is None else instantiate(configured, _partial_=True, _convert_="all")(data.metadata)


def build_regularizer(cfg: DictConfig, data: TrajectoryDataModule, objective: Objective) -> Regularizer | None:
    """What is added to the objective; what its config leaves open comes from the data, or from the objective."""
    if cfg.get("regularizer") is None:
        return None
    metadata = data.metadata
    filled: dict[str, Any] = left_open(cfg.regularizer, len(metadata.channels), metadata.dimensions)
    filled |= flow_of(cfg, cfg.regularizer)
    if "tied_to" in cfg.regularizer and cfg.regularizer.tied_to is None:
        if not isinstance(objective, Likelihood):
            raise ValueError(
                f"a tied regularizer shares the tolerances of objective=likelihood, got {type(objective).__name__}; "
                "leave the objective to it, or use regularizer=jaws"
            )
        filled["tied_to"] = objective.head
    regularizer: Regularizer = instantiate(cfg.regularizer, **filled, _convert_="all")
    return regularizer


def build_task(cfg: DictConfig, objective: Objective, emulator: Emulator, data: TrajectoryDataModule) -> ForecastTask:
    """What is minimised, by what optimiser and schedule."""
    return ForecastTask(
        emulator,
        objective=objective,
        loss=instantiate(cfg.loss, _convert_="all"),
        optimizer=instantiate(cfg.optimizer, _convert_="all"),
        schedule=instantiate(cfg.scheduler),
        horizon_metric=instantiate(cfg.horizon_metric),
        regularizer=build_regularizer(cfg, data, objective),
        augmentation=for_equation(cfg.get("augmentation"), data),
        ema_decay=cfg.ema_decay,
        seed=cfg.seed,
    )


def build_trainer(cfg: DictConfig) -> Trainer:
    callbacks = [instantiate(callback) for callback in cfg.callbacks.values()]
    if not cfg.trainer.enable_progress_bar:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    loggers = [instantiate(logger) for logger in cfg.logger.values()]
    configured = instantiate(cfg.trainer, _partial_=True, _convert_="all")
    trainer: Trainer = configured(callbacks=callbacks, logger=loggers, default_root_dir=cfg.folder)
    return trainer


def check_switches(cfg: DictConfig) -> None:
    """Refuse what is neither true nor false: any other word would count as true."""
    for key in ("residual", "compile", "evaluate"):
        if not isinstance(cfg[key], bool):
            raise ValueError(f"{key} must be true or false, got {cfg[key]!r}")


def check_devices(trainer: DictConfig) -> None:
    """Say at once, and in one line, that the GPUs asked for are not there."""
    if trainer.accelerator not in ("gpu", "cuda"):
        return
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = trainer.devices if isinstance(trainer.devices, int) else 1
    if there < max(wanted, 1):
        raise ValueError(
            f"the trainer asks for {wanted} CUDA device(s) and this machine has {there} (torch {torch.__version__}); "
            "use trainer=cpu, or set trainer.devices to what there is"
        )


def fit(trainer: Trainer, task: ForecastTask, data: TrajectoryDataModule, checkpoint: str | None) -> None:
    """Lightning takes an interruption for itself and exits without a word; here it stays one."""
    try:
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint)
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise


def best_emulator(trainer: Trainer, task: ForecastTask) -> Emulator:
    """The emulator of the best validation, or of the last step if none was kept."""
    for callback in trainer.callbacks:
        if isinstance(callback, BestCheckpoint) and Path(callback.best_model_path).is_file():
            return Emulator.from_checkpoint(callback.best_model_path)
    return task.trained_emulator()


def record(trainer: Trainer, emulator: Emulator, cfg: DictConfig) -> None:
    """What the fit took, in `training.json`; time spent before an interruption counts."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    facts = {
        "name": cfg.name,
        "seed": cfg.seed,
        "steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "seconds": timers[0].time_elapsed("train") if timers else None,
        "parameters": sum(parameter.numel() for parameter in emulator.network.parameters()),
        "device": str(trainer.strategy.root_device),
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "precision": trainer.precision,
        "versions": emulator.metadata.versions,
    }
    (Path(cfg.folder) / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


def report(emulator: Emulator, cfg: DictConfig) -> None:
    """Roll out over the test split and write what `evaluate.py` writes."""
    if not open_source(cfg.data.folder).metadata.trajectories.get("test"):
        log.warning("%s has no test split, so there is no report", cfg.data.folder)
        return
    again = f"python evaluate.py checkpoint={os.path.relpath(cfg.folder)} dataset={cfg.dataset.name}"
    measured = evaluate(emulator, cfg.data.folder, output=cfg.folder, command=again)
    scalars = measured["candidates"]["model"]["scalars"]
    time = scalars["valid_prediction_time"]["median"]
    lyapunov = scalars.get("valid_prediction_time_lyapunov", {}).get("median")
    known = "" if lyapunov is None else f", {lyapunov:.2f} Lyapunov times"
    log.info("the prediction holds for %.4g time units%s (median of the test split)", time, known)
    log.info("report: %s", Path(cfg.folder) / "report.md")


def close(trainer: Trainer) -> None:
    """End the run of Weights & Biases, which the next job of a sweep would otherwise continue."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def quieten() -> None:
    """Leave on the screen what concerns this run."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for beginning in NOISE:
        warnings.filterwarnings("ignore", message=re.escape(beginning))


def follow_rank_zero(arguments: list[str]) -> None:
    """Under torchrun every process composes its own run folder: keep rank zero's the only one."""
    if int(os.environ.get("RANK", "0")) > 0:
        folder = tempfile.mkdtemp(prefix="rollwave-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        arguments += [f"hydra.run.dir={folder}", "hydra.output_subdir=null"]


if __name__ == "__main__":
    follow_rank_zero(sys.argv)
    command(train, __file__)

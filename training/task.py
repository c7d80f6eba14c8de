from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Int
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rollwave.operators import Emulator
from rollwave.operators.pretrained import in_saved_precision

from .augmentation import Augmentation
from .compatibility import check_resumable, recipe_of
from .conditioning import prepared, split_batch
from .draws import Draws
from .ema import ExponentialAverage
from .finite import FiniteWatch, NonFiniteLossError, first_non_finite, message
from .objective import Loss, Objective
from .optimizing import made_optimizer
from .regularizer import Regularizer
from .schedules import Schedule
from .sharding import gathered, shard
from .validation import HorizonMetric, summarize, window_errors


class ForecastTask(LightningModule):
    """Trains an emulator: minimises the mean of an objective over windows of trajectories, and validates by rolling
    out.

    A step depends on the weights, the batch and `(seed, number of the batch)` alone. Validation, checkpoints'
    `ema_state_dict` and what is exported use the average of the weights if there is one.

    Args:
        emulator: what is trained.
        objective: what is asked of it on a window; what parameters it may have are treated like the regulariser's.
        loss: the distance of two frames.
        optimizer: makes an optimiser from parameters.
        schedule: of the learning rate, by steps.
        horizon_metric: the number of steps for which a rollout stays good.
        regularizer: what is added to the objective; it may have parameters of its own, which are trained too and do not
            become part of the emulator.
        augmentation: what is done to a training window before anything else sees it.
        ema_decay: decay of the averaged weights, None for no average.
        seed: of all random numbers of the training steps.
    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        objective: Objective,
        loss: Loss,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Schedule,
        horizon_metric: HorizonMetric,
        regularizer: Regularizer | None = None,
        augmentation: Augmentation | None = None,
        ema_decay: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.emulator = emulator
        self.objective, self.loss = objective, loss
        self.optimizer, self.schedule = optimizer, schedule
        self.horizon_metric, self.regularizer, self.augmentation = horizon_metric, regularizer, augmentation
        self.ema_decay, self.seed = ema_decay, seed
        self.average: ExponentialAverage | None = None
        self._saved_average: tuple[dict[str, Tensor], int] | None = None
        self._trained: dict[str, Tensor] = {}
        self._watch = FiniteWatch()
        self._rows: list[Tensor] = []
        self._steps, self._sharded = 1, False
        parts = {"objective": objective, "loss": loss, "schedule": schedule}
        parts |= {"regularizer": regularizer, "augmentation": augmentation}
        recipe = {name: recipe_of(part) for name, part in parts.items() if part is not None}
        self.save_hyperparameters({"emulator": emulator.config, **recipe, "ema_decay": ema_decay, "seed": seed})

    def configure_model(self) -> None:
        """Shard the network when the strategy has a mesh of processes for that."""
        if self.device_mesh is not None and not self._sharded:
            if any(isinstance(part, nn.Module) for part in (self.objective, self.regularizer)):
                raise ValueError("an objective or regularizer with parameters cannot be sharded; use trainer=ddp")
            shard(self.emulator.network, self.device_mesh)
            self._sharded = True

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = made_optimizer(self.optimizer, self.parameters())
        self._steps = total = int(self.trainer.estimated_stepping_batches)
        scheduler = LambdaLR(optimizer, lambda step: self.schedule.factor(step, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_fit_start(self) -> None:
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise ValueError("trainer.precision=16-mixed needs a gradient scaler; use bf16-mixed or 32-true")
        if self.ema_decay is not None:
            self.average = ExponentialAverage(self.emulator, decay=self.ema_decay)
            self._load_average()

    def training_step(self, batch: Tensor | list[Tensor], batch_idx: int) -> Tensor:
        step = self.trainer.fit_loop.total_batch_idx
        draws = Draws(self.seed, step, self.global_rank, self.trainer.world_size)
        z, parameters = prepared(self.emulator, batch, augmentation=self.augmentation, draws=draws)
        with self.emulator.given(parameters):
            loss = self.objective(self.emulator, z, loss=self.loss, draws=draws).mean()
            logged = {"train/loss": loss}
            if self.regularizer is not None:
                progress = self.global_step / self._steps
                penalty = self.regularizer(self.emulator, z, draws=draws, progress=progress).mean()
                logged["train/penalty"] = penalty
                loss = loss + penalty
        self._watch.see(loss, step)
        if self._logs_now:
            self._check_finite()
            self.log_dict(logged, prog_bar=True, sync_dist=True)
            self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the norm of the whole gradient, also for fused optimisers under mixed precision, and log it."""
        if gradient_clip_algorithm == "value":
            raise ValueError("trainer.gradient_clip_algorithm=value would bend the gradient; use norm")
        norm = nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val or torch.inf)
        if self._logs_now:
            self.log("train/gradient_norm", norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update()

    def on_validation_epoch_start(self) -> None:
        self._check_finite()
        self._rows = []
        if self.average is not None:
            self.average.swap()

    def validation_step(self, batch: tuple[Int[Tensor, " b"], Any], batch_idx: int) -> None:
        index, (window, parameters) = batch[0], split_batch(self.emulator, batch[1])
        with self.emulator.given(parameters):
            rows = window_errors(self.emulator, window, index, loss=self.loss, horizon_metric=self.horizon_metric)
        self._rows.append(rows)

    def on_validation_epoch_end(self) -> None:
        # Before `on_validation_end`, where checkpoints are written: those hold the weights themselves.
        if self.average is not None:
            self.average.swap()
        gathered: Any = self.all_gather(torch.cat(self._rows))
        rows = gathered.reshape(-1, self._rows[0].shape[-1])
        metadata = self.trainer.datamodule.metadata  # type: ignore[attr-defined]
        summary = summarize(rows, self.emulator.metadata.interval, metadata.lyapunov_exponent)
        for name, value in summary.items():
            self.log(f"val/{name}", value, prog_bar=name in ("loss", "horizon"), rank_zero_only=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check_finite()
        if (name := first_non_finite(self.emulator)) is not None:
            raise NonFiniteLossError(message(f"{name} stopped being finite", self.global_step))
        checkpoint["hyper_parameters"]["emulator"] = self.emulator.config
        if self.average is not None:
            averaged = self.average.state_dict()
            checkpoint["ema_state_dict"] = {f"emulator.{name}": value for name, value in averaged.items()}
            checkpoint["ema_updates"] = self.average.updates

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_resumable(checkpoint, self.hparams)
        # Lightning loads before it converts to the trainer's precision; a sharded state it loads apart, afterwards.
        in_saved_precision(self, checkpoint.get("state_dict", {}))
        if "ema_state_dict" in checkpoint:
            saved = {name.removeprefix("emulator."): value for name, value in checkpoint["ema_state_dict"].items()}
            self._saved_average = saved, checkpoint["ema_updates"]
            self._load_average()

    def on_fit_end(self) -> None:
        # The last moment at which every process is there to give its part of sharded weights.
        self._trained = gathered(self.emulator.state_dict()) if self.average is None else self.average.state_dict()

    def trained_emulator(self) -> Emulator:
        """A copy of the emulator after the fit, with the averaged weights if there are any."""
        trained = Emulator.from_config(self.emulator.config)
        in_saved_precision(trained, self._trained)
        trained.load_state_dict(self._trained)
        return trained.eval()

    def _load_average(self) -> None:
        if self.average is not None and self._saved_average is not None:
            state, updates = self._saved_average
            self.average.load_state_dict(state, updates=updates)
            self._saved_average = None

    @property
    def _logs_now(self) -> bool:
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return self.global_step == 0 or (self.global_step + 1) % every == 0

    def _check_finite(self) -> None:
        """Stop every process at the same step if the loss of any was not finite."""
        first = self.trainer.strategy.reduce(-self._watch.first_bad.to(self.device), reduce_op="max")
        if torch.isfinite(first):
            raise NonFiniteLossError(message("the loss stopped being finite", int(-first)))

"""Gradient descent through Lightning's Trainer; the best weights are those kept."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional as F

from molcryst_bench.base.errors import RunError
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.settings import TrainingSettings

_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, momentum=0.9),
    "torch_adam": torch.optim.Adam,
    "torch_adamw": torch.optim.AdamW,
}
_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "l2": F.mse_loss}


class Epoch(NamedTuple):
    """What one epoch came to."""

    epoch: int  # counted from 1
    train_loss: float  # on normalised targets
    valid_mae: float  # in the target's error unit
    learning_rate: float  # of its last step
    seconds: float  # since training began


def train(
    regressor: Regressor,
    data: TaskData,
    settings: TrainingSettings,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train a regressor and leave it with the weights of its best epoch by validation error.

    Returns:
        the history, an entry for each epoch.

    Raises:
        RunError: if the loss is not finite any more.
    """
    batches = data.training_batches(settings.batch_size, seed)
    module = _Module(regressor, data, settings, settings.epochs * len(batches))
    watch = _Watch(on_epoch)
    with _quiet_lightning():
        trainer = L.Trainer(
            accelerator=settings.device,
            devices=1,
            precision=settings.precision,
            max_epochs=settings.epochs,
            gradient_clip_val=settings.gradient_clip,
            callbacks=[watch],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, batches, data.batches("valid"))
    regressor.load_state_dict(watch.best_weights)
    return watch.history


class _Module(L.LightningModule):
    """The loss, the validation error and the optimiser of one training run."""

    def __init__(
        self, regressor: Regressor, data: TaskData, settings: TrainingSettings, steps: int
    ) -> None:
        super().__init__()
        self.regressor = regressor
        self.settings = settings
        self.steps = steps
        self.target = data.task.target
        self.error_factor = data.task.definition.error_factor
        self.loss = _LOSSES[settings.loss]
        self.train_losses: list[Tensor] = []
        self.valid_errors: list[Tensor] = []

    def training_step(self, batch: Any) -> Tensor:
        targets = self.regressor.scaler.normalise(batch.targets[self.target], batch)
        outputs = self.regressor.model(batch).prediction[:, 0]  # (graphs,)
        loss = self.loss(outputs, targets.to(outputs.dtype))
        self.train_losses.append(loss.detach())
        return loss

    def validation_step(self, batch: Any) -> None:
        error = self.regressor(batch) - batch.targets[self.target]  # (graphs,)
        self.valid_errors.append(error.abs() * self.error_factor)

    def configure_optimizers(self) -> Any:
        settings = self.settings
        optimizer = _OPTIMIZERS[settings.optimizer](
            self.regressor.model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step as a part of its largest value."""
        warmup = self.settings.warmup * self.steps
        if step < warmup:
            return (step + 1) / warmup if warmup > 1 else 1.0
        if self.settings.schedule == "constant":
            return 1.0
        passed = (step - warmup) / max(self.steps - warmup, 1)
        return 0.5 * (1 + math.cos(math.pi * min(passed, 1.0)))


class _Watch(L.Callback):
    """Keeps the history and the best weights."""

    def __init__(self, on_epoch: Callable[[Epoch], None]) -> None:
        self.on_epoch = on_epoch
        self.history: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self.best = math.inf
        self.start = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, module: Any) -> None:
        epoch = self._summary(trainer, module)
        if not math.isfinite(epoch.train_loss) or not math.isfinite(epoch.valid_mae):
            message = f"the loss is not finite in epoch {epoch.epoch}: lower the learning rate"
            raise RunError(f"{message} or the gradient_clip")
        if epoch.valid_mae < self.best:
            self.best = epoch.valid_mae
            weights = module.regressor.state_dict()
            self.best_weights = {name: value.clone() for name, value in weights.items()}
        self.history.append(epoch)
        self.on_epoch(epoch)

    def _summary(self, trainer: L.Trainer, module: Any) -> Epoch:
        summary = Epoch(
            epoch=trainer.current_epoch + 1,
            train_loss=float(torch.stack(module.train_losses).mean()),
            valid_mae=float(torch.cat(module.valid_errors).mean()),
            learning_rate=float(trainer.optimizers[0].param_groups[0]["lr"]),
            seconds=time.perf_counter() - self.start,
        )
        module.train_losses.clear()
        module.valid_errors.clear()
        return summary


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence advice about data loaders and hardware that does not apply here."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)

"""What a training run has come to, epoch by epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor

from molcryst_bench.base.errors import RunError
from molcryst_bench.training.module import TrainingModule


class Epoch(NamedTuple):
    """What one epoch came to."""

    epoch: int  # counted from 1
    train_loss: float  # on normalised targets
    valid_mae: float  # in the target's error unit
    learning_rate: float  # of its last step
    seconds: float  # of training so far
    valid_forces_mae: float | None = None  # in the error unit of the forces, where they are learnt

    @property
    def valid_error(self) -> float:
        """What decides which epoch is the best: the error of the forces, where there are any."""
        return self.valid_mae if self.valid_forces_mae is None else self.valid_forces_mae


class History(L.Callback):
    """Keeps what each epoch came to and the best weights; ends a run that gets no better.

    It stands before any callback that averages weights, so that it sees the averaged ones.
    """

    def __init__(self, patience: int | None, on_epoch: Callable[[Epoch], None]) -> None:
        self.patience = patience
        self.on_epoch = on_epoch
        self.epochs: list[Epoch] = []
        self.errors: list[float] = []  # the error of each epoch so far
        self.best_weights: dict[str, Tensor] = {}
        self.start = time.perf_counter()

    @property
    def best(self) -> Epoch:
        """The epoch with the lowest validation error."""
        return min(self.epochs, key=lambda epoch: epoch.valid_error)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sum up an epoch."""
        module = _checked(pl_module)
        epoch = self._summary(trainer, module)
        if not all(map(math.isfinite, (epoch.train_loss, epoch.valid_error, epoch.valid_mae))):
            message = f"the loss is not finite in epoch {epoch.epoch}: lower the learning rate"
            raise RunError(f"{message} or the gradient_clip")
        self.epochs.append(epoch)
        self.errors.append(epoch.valid_error)
        if self.best is epoch:
            weights = module.regressor.state_dict()
            self.best_weights = {name: value.clone() for name, value in weights.items()}
        if self.patience is not None and epoch.epoch - self.best.epoch >= self.patience:
            trainer.should_stop = True
        self.on_epoch(epoch)

    def _summary(self, trainer: L.Trainer, module: TrainingModule) -> Epoch:
        forces = module.valid_force_errors
        summary = Epoch(
            epoch=trainer.current_epoch + 1,
            train_loss=float(torch.stack(module.train_losses).mean()),
            valid_mae=float(torch.cat(module.valid_errors).mean()),
            learning_rate=float(trainer.optimizers[0].param_groups[0]["lr"]),
            seconds=time.perf_counter() - self.start,
            valid_forces_mae=float(torch.cat(forces).mean()) if forces else None,
        )
        for values in (module.train_losses, module.valid_errors, module.valid_force_errors):
            values.clear()
        return summary

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold to go on."""
        return {
            "epochs": [list(epoch) for epoch in self.epochs],
            "best_weights": self.best_weights,
            "seconds": time.perf_counter() - self.start,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, and tell again what was told before it."""
        self.epochs = [Epoch(*values) for values in state_dict["epochs"]]
        self.errors[:] = [epoch.valid_error for epoch in self.epochs]
        self.best_weights = state_dict["best_weights"]
        self.start = time.perf_counter() - state_dict["seconds"]
        for epoch in self.epochs:
            self.on_epoch(epoch)


def _checked(module: L.LightningModule) -> TrainingModule:
    if not isinstance(module, TrainingModule):
        raise TypeError(f"{type(module).__name__} is not a TrainingModule")
    return module

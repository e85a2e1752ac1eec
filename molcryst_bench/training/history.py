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
from molcryst_bench.training.module import TrainingModule, checked


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
        module = checked(pl_module)
        epoch = self._summary(trainer, module)
        if not all(map(math.isfinite, (epoch.train_loss, epoch.valid_error, epoch.valid_mae))):
            message = f"the validation error is not finite in epoch {epoch.epoch}"
            raise RunError(f"{message}: lower the learning rate or the gradient_clip")
        self.epochs.append(epoch)
        self.errors.append(epoch.valid_error)
        if self.best is epoch:
            weights = module.regressor.state_dict()
            self.best_weights = {name: value.clone() for name, value in weights.items()}
        if self.patience is not None and epoch.epoch - self.best.epoch >= self.patience:
            trainer.should_stop = True
        self.on_epoch(epoch)

    def _summary(self, trainer: L.Trainer, module: TrainingModule) -> Epoch:
        """Bring together what all ranks have found."""
        found = (module.train_losses, module.valid_errors, module.valid_force_errors)
        totals = torch.stack([_sum_and_count(values, module.device) for values in found])  # (3, 2)
        totals = trainer.strategy.reduce(totals, reduce_op="sum")
        loss, error, forces_error = (totals[:, 0] / totals[:, 1]).tolist()
        summary = Epoch(
            epoch=trainer.current_epoch + 1,
            train_loss=loss,
            valid_mae=error,
            learning_rate=float(trainer.optimizers[0].param_groups[0]["lr"]),
            seconds=time.perf_counter() - self.start,
            valid_forces_mae=forces_error if module.task.forces else None,
        )
        module.forget()
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


def _sum_and_count(values: list[Tensor], device: torch.device) -> Tensor:
    """Return the sum of all values and how many they are, (2,) float64."""
    none = torch.empty(0, dtype=torch.float64, device=device)
    joined = torch.cat([none, *(each.reshape(-1) for each in values)])
    return torch.stack([joined.sum(), torch.full_like(joined.sum(), len(joined))])

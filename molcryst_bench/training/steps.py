"""How far a run is within an epoch, which may take minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
import torch

from molcryst_bench.training.history import History
from molcryst_bench.training.module import TrainingModule

_TELL_SECONDS = 0.5  # between two words: reading a loss waits for the device


class Step(NamedTuple):
    """A moment within an epoch."""

    epoch: int  # counted from 1
    batch: int  # of this epoch, counted from 1
    batches: int  # in an epoch
    train_loss: float  # mean over this epoch so far, on normalised targets
    seconds: float  # of training so far, also before a break


class Steps(L.Callback):
    """Tells now and then how far an epoch is."""

    def __init__(self, history: History, on_step: Callable[[Step], None]) -> None:
        self.history = history
        self.on_step = on_step
        self.told = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Tell it if the last word is old enough."""
        now = time.perf_counter()
        if now - self.told < _TELL_SECONDS or not isinstance(pl_module, TrainingModule):
            return
        self.told = now
        self.on_step(
            Step(
                epoch=trainer.current_epoch + 1,
                batch=batch_idx + 1,
                batches=int(trainer.num_training_batches),
                train_loss=float(torch.stack(pl_module.train_losses).mean()),
                seconds=now - self.history.start,
            )
        )

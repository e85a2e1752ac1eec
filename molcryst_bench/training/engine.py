"""Gradient descent through Lightning's Trainer; the best weights are those kept."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging

from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.history import Epoch, History
from molcryst_bench.training.module import TrainingModule
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.resume import CHECKPOINT_SECONDS, Checkpoints, check_readable
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.steps import Step, Steps


def train(
    regressor: Regressor,
    data: TaskData,
    settings: TrainingSettings,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_step: Callable[[Step], None] = lambda step: None,
) -> list[Epoch]:
    """Train a regressor and leave it with the weights of its best epoch by validation error.

    Args:
        regressor: with its scaler fitted.
        data: of the task.
        settings: of the training.
        seed: of the order of the training set.
        on_epoch: called after each epoch, also after those before a checkpoint.
        checkpoint: where to keep one; if there is one already, training goes on from it.
        checkpoint_seconds: between two of them.
        on_step: called now and then within an epoch.

    Returns:
        the history, an entry for each epoch.

    Raises:
        RunError: if the loss is not finite any more, or the checkpoint cannot be read.
    """
    batches = data.training_batches(settings.batch_size, seed)
    steps = settings.epochs * math.ceil(len(batches) / settings.accumulate)
    history = History(settings.patience, on_epoch)
    module = TrainingModule(regressor, data.task, settings, steps, history.errors)
    callbacks: list[L.Callback] = [history, Steps(history, on_step)]
    if settings.average:
        callbacks.append(EMAWeightAveraging(decay=settings.average))
    if checkpoint is not None:
        callbacks.append(Checkpoints(checkpoint, checkpoint_seconds))
    ordered = _ByEpoch(batches, lambda: module.current_epoch)
    _run(module, ordered, data.batches("valid"), callbacks, checkpoint)
    regressor.load_state_dict(history.best_weights)
    return history.epochs


class _ByEpoch:
    """Batches in the order of the present epoch, however often Lightning begins and breaks off."""

    def __init__(self, batches: GraphLoader, epoch: Callable[[], int]) -> None:
        self.batches = batches
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        self.batches.epoch = self.epoch()  # asked when the first batch is
        yield from self.batches


def _run(
    module: TrainingModule,
    batches: Iterable[Any],
    valid: Iterable[Any],
    callbacks: list[L.Callback],
    checkpoint: Path | None,
) -> None:
    settings = module.settings
    start = checkpoint if checkpoint is not None and checkpoint.exists() else None
    if start is not None:
        check_readable(start)
    with _quiet_lightning():
        trainer = L.Trainer(
            accelerator=settings.device,
            devices=1,
            precision=settings.precision,
            max_epochs=settings.epochs,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.gradient_clip,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            inference_mode=False,  # forces are derivatives
        )
        trainer.fit(module, batches, valid, ckpt_path=start, weights_only=True)


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

"""Gradient descent through Lightning's Trainer; the best weights are those kept."""

from __future__ import annotations

import logging
import math
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy

from molcryst_bench.training.averaging import MovingAverage
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.health import Health
from molcryst_bench.training.history import Epoch, History
from molcryst_bench.training.module import TrainingModule
from molcryst_bench.training.ranks import devices_of, place_in
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.resume import CHECKPOINT_SECONDS, Checkpoints, check_readable
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.shares import ShareLoader
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
    *,
    environment: ClusterEnvironment,
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
        environment: of the ranks that train together, each of which calls this function.

    Returns:
        the history, an entry for each epoch.

    Raises:
        RunError: if the loss is not finite any more, or the checkpoint cannot be read.
    """
    place = place_in(environment)
    batches = data.training_batches(settings.batch_size, seed, place)
    steps = settings.epochs * math.ceil(len(batches) / settings.accumulate)
    history = History(settings.patience, on_epoch)
    module = TrainingModule(regressor, data.task, settings, steps, history.errors)
    callbacks: list[L.Callback] = [Health(), history, Steps(history, on_step)]
    if settings.average:
        callbacks.append(MovingAverage(settings.average))
    if checkpoint is not None:
        callbacks.append(Checkpoints(checkpoint, checkpoint_seconds))
    ordered = _ByEpoch(batches, lambda: module.current_epoch)
    valid = data.validation_batches(place)
    start = checkpoint if checkpoint is not None and checkpoint.exists() else None
    if start is not None:
        check_readable(start)
    with _quiet_lightning(), _interruptible():
        strategy = _strategy(module, data, place.ranks)
        trainer = _trainer(settings, callbacks, environment, strategy)
        trainer.fit(module, ordered, valid, ckpt_path=start, weights_only=True)
    regressor.load_state_dict(history.best_weights)
    return history.epochs


class _ByEpoch:
    """Batches in the order of the present epoch, however often Lightning begins and breaks off."""

    def __init__(self, batches: ShareLoader, epoch: Callable[[], int]) -> None:
        self.batches = batches
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        self.batches.epoch = self.epoch()  # asked when the first batch is
        yield from self.batches


def _trainer(
    settings: TrainingSettings,
    callbacks: list[L.Callback],
    environment: ClusterEnvironment,
    strategy: Strategy | str,
) -> L.Trainer:
    return L.Trainer(
        accelerator=settings.device,
        devices=devices_of(settings),
        num_nodes=settings.nodes,
        strategy=strategy,
        plugins=[environment],
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
        use_distributed_sampler=False,  # each rank's batches are its share already
        inference_mode=False,  # forces are derivatives
    )


def _strategy(module: TrainingModule, data: TaskData, ranks: int) -> Strategy | str:
    """Return how ranks come to the same gradients; buffers are equal on all of them already."""
    if ranks == 1:
        return "auto"
    idle = _has_idle_weights(module, next(iter(data.training_batches(2, seed=0))))
    return DDPStrategy(broadcast_buffers=False, find_unused_parameters=idle)


def _has_idle_weights(module: TrainingModule, batch: Any) -> bool:
    """Say whether some weights have no part in the loss: DDP has to look for them at each step."""
    trial = deepcopy(module)
    torch.autograd.backward(trial.training_step(batch))
    return any(weights.grad is None for weights in trial.parameters())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Pass Ctrl-C on, which Lightning turns into an exit of its own and ignores from then on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as ended:
        if not isinstance(ended.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from ended


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence advice about data loaders and hardware that does not apply here."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

"""One trial: training with certain settings, on any worker."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from molcryst_bench.graphs.split import SUBSETS, UNUSED
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import fit
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import Task
from molcryst_bench.tuning.halving import Halving


class Outcome(NamedTuple):
    """What a trial that did not fail has come to."""

    error: float  # of validation, the least of all epochs, in the error unit of the task
    epochs: int  # trained
    best_epoch: int
    seconds: float
    stopped: bool  # for being worse than others
    rungs: list[float]  # least error so far at each rung of the halving
    worker: str  # machine and process


@dataclass(frozen=True)
class Subject:
    """What is tuned, and where each trial starts from; any worker anywhere can run its trials."""

    task: Task
    store: Path
    model: str
    hyperparameters: Mapping[str, Any]
    training: TrainingSettings
    seed: int  # of weights and order, the same in all trials, whose errors thus compare
    threads: int
    epochs: int | None = None  # at most, in all trials

    @property
    def error_unit(self) -> str:
        """Unit of the error that is made small: of the forces, where they are learnt."""
        return (self.task.forces_definition or self.task.definition).error_unit

    def start(self) -> dict[str, Any]:
        """Return all settings of the first trial by their names."""
        return {**self._limited(self.training).model_dump(), **self.hyperparameters}

    def with_settings(self, settings: Mapping[str, Any]) -> Subject:
        """Return the subject with other settings, each in the model's or in the training's.

        Raises:
            SettingsError: for values that do not go together.
        """
        of_model = {name: v for name, v in settings.items() if name in self.hyperparameters}
        of_training = {name: v for name, v in settings.items() if name not in of_model}
        training = TrainingSettings.parse(
            {**self.training.model_dump(), **of_training}, "settings of the trial"
        )
        hyperparameters = {**self.hyperparameters, **of_model}
        return replace(self, hyperparameters=hyperparameters, training=self._limited(training))

    def _limited(self, training: TrainingSettings) -> TrainingSettings:
        if self.epochs is None or training.epochs <= self.epochs:
            return training
        return training.model_copy(update={"epochs": self.epochs})


def run_trial(
    subject: Subject, halving: Halving, number: int, settings: Mapping[str, Any]
) -> Outcome:
    """Train on the training subset and return the error on the validation subset.

    Args:
        subject: to train.
        halving: decides whether it goes on, but for the first trial, which always does.
        number: of the trial, from 0.
        settings: in place of those of the subject.

    Raises:
        MolcrystError: if the settings do not go together, or the training goes astray.
    """
    chosen = subject.with_settings(settings)
    torch.set_num_threads(subject.threads)
    watch = _Watch(halving, number, chosen.training.epochs)
    try:
        fit(
            _data(chosen.task, chosen.store),
            chosen.model,
            chosen.hyperparameters,
            chosen.training,
            chosen.seed,
            on_epoch=watch.on_epoch,
        )
    except _HopelessError:
        return watch.outcome(stopped=True)
    return watch.outcome(stopped=False)


class _HopelessError(Exception):
    """Ends a training that is not worth its time."""


class _Watch:
    """Remembers the epochs of a trial, and ends it at a rung where it is not good enough."""

    def __init__(self, halving: Halving, number: int, last: int) -> None:
        self.halving = halving
        self.number = number
        self.last = last  # epoch of the training, after which there is nothing to end
        self.epochs: list[Epoch] = []
        self.rungs: list[float] = []
        self.start = time.perf_counter()

    @property
    def best(self) -> Epoch:
        return min(self.epochs, key=lambda epoch: epoch.valid_error)

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
        if not self.halving.is_rung(epoch.epoch):
            return
        self.rungs.append(self.best.valid_error)
        good = self.halving.goes_on(self.number, self.rungs)
        if not good and self.number > 0 and epoch.epoch < self.last:
            raise _HopelessError

    def outcome(self, stopped: bool) -> Outcome:
        return Outcome(
            error=self.best.valid_error,
            epochs=len(self.epochs),
            best_epoch=self.best.epoch,
            seconds=time.perf_counter() - self.start,
            stopped=stopped,
            rungs=self.rungs,
            worker=f"{platform.node()}:{os.getpid()}",
        )


_loaded: dict[str, TaskData] = {}


def _data(task: Task, path: Path) -> TaskData:
    """Return a task's data without its test subset; the last one is kept for the next trial."""
    key = f"{path}:{task.name}"
    if key not in _loaded:
        data = TaskData.load(task, _store(path))
        seen = np.where(data.split.subset == SUBSETS.index("test"), UNUSED, data.split.subset)
        _loaded.clear()
        _loaded[key] = replace(data, split=replace(data.split, subset=seen))
    return _loaded[key]


@cache
def _store(path: Path) -> GraphStore:
    return open_store(path)

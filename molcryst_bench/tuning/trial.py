"""One trial: training with certain settings, on any worker."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from molcryst_bench.graphs.split import SUBSETS, UNUSED
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import fit
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.process import prepare_process
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import Task
from molcryst_bench.tuning.cost import Costs, costs_of
from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.settings import Cost


class Outcome(NamedTuple):
    """What a trial that did not fail has come to."""

    error: float  # of validation, the least of all epochs, in the error unit of the task
    epochs: int  # trained
    best_epoch: int
    seconds: float
    stopped: bool  # for being worse than others
    rungs: list[float]  # least error so far at each rung of the halving
    worker: str  # machine and process
    costs: Costs = Costs()


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
    items: int | None = None  # of the training subset, the same in all trials
    cost: Cost = "none"  # that is searched for beside the error

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
    subject: Subject,
    halving: Halving,
    number: int,
    settings: Mapping[str, Any],
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Outcome:
    """Train on the training subset and return the error on the validation subset.

    Args:
        subject: to train.
        halving: decides whether it goes on, but for the first trial, which always does.
        number: of the trial, from 0.
        settings: in place of those of the subject.
        on_epoch: called after each epoch.

    Raises:
        MolcrystError: if the settings do not go together, or the training goes astray.
    """
    chosen = subject.with_settings(settings)
    prepare_process(subject.threads)
    data = _data(chosen.task, chosen.store, chosen.items)
    costs = costs_of(data, chosen.model, chosen.hyperparameters, chosen.cost)
    watch = _Watch(halving, number, chosen.training.epochs, costs, on_epoch)
    try:
        fit(
            data,
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

    def __init__(
        self,
        halving: Halving,
        number: int,
        last: int,
        costs: Costs,
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        self.halving = halving
        self.number = number
        self.last = last  # epoch of the training, after which there is nothing to end
        self.costs = costs
        self.tell = on_epoch
        self.epochs: list[Epoch] = []
        self.rungs: list[float] = []
        self.start = time.perf_counter()

    @property
    def best(self) -> Epoch:
        return min(self.epochs, key=lambda epoch: epoch.valid_error)

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
        self.tell(epoch)
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
            costs=self.costs,
        )


_loaded: dict[str, TaskData] = {}


def _data(task: Task, path: Path, items: int | None) -> TaskData:
    """Return a task's data without its test subset; the last one is kept for the next trial."""
    key = f"{path}:{task.name}:{items}"
    if key not in _loaded:
        data = TaskData.load(task, _store(path))
        _loaded.clear()
        _loaded[key] = replace(data, split=replace(data.split, subset=_seen(data, items)))
    return _loaded[key]


def _seen(data: TaskData, items: int | None) -> np.ndarray:
    """Return the subset of each record, with what no trial sees unused."""
    subset = np.where(data.split.subset == SUBSETS.index("test"), UNUSED, data.split.subset)
    (training,) = np.nonzero(subset == SUBSETS.index("train"))
    if items is not None and items < len(training):
        dropped = np.random.default_rng(0).permutation(training)[items:]
        subset[dropped] = UNUSED
    return subset


@cache
def _store(path: Path) -> GraphStore:
    return open_store(path)

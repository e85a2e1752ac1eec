"""Fitting any model to a task, whatever way it is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.models.interface import ClosedFormModel, Model, Purpose
from molcryst_bench.models.registry import create_model, get_model_class
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.engine import train
from molcryst_bench.training.evaluate import evaluate
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.ranks import joined
from molcryst_bench.training.regressor import Regressor
from molcryst_bench.training.resume import CHECKPOINT_SECONDS
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.steps import Step
from molcryst_bench.training.task import Task


@dataclass(frozen=True)
class Fitted:
    """A trained regressor and how it got there."""

    regressor: Regressor
    history: list[Epoch]
    seconds: float

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return min(self.history, key=lambda epoch: epoch.valid_error)


def fit(
    data: TaskData,
    model_name: str,
    hyperparameters: Mapping[str, Any],
    settings: TrainingSettings,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_step: Callable[[Step], None] = lambda step: None,
    environment: ClusterEnvironment | None = None,
) -> Fitted:
    """Train a model on a task; equal arguments give equal weights.

    Args:
        data: the task's graphs and split.
        model_name: a registered model.
        hyperparameters: those that differ from the defaults and from what the task decides.
        settings: of the training.
        seed: of the initial weights and of the order of the training set.
        on_epoch: called after each epoch.
        checkpoint: where to keep one; if there is one already, training goes on from it and ends
            with the same weights as without the break.
        checkpoint_seconds: between two of them.
        on_step: called now and then within an epoch.
        environment: of the ranks that train together, if each of them calls this function; else
            those on this machine are started here.
    """
    start = time.perf_counter()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        regressor = Regressor(_new_model(data, model_name, hyperparameters))
        if isinstance(regressor.model, ClosedFormModel):
            history = [_fit_closed_form(regressor, regressor.model, data)]
            on_epoch(history[0])
        else:
            _fit_scaler(regressor, data, use_references=data.task.definition.extensive)
            kept: Any = {"checkpoint": checkpoint, "checkpoint_seconds": checkpoint_seconds}
            told: Any = {"on_epoch": on_epoch, "on_step": on_step}
            work = partial(fit, data, model_name, hyperparameters, settings, seed, **kept)
            with joined(environment, settings, work) as ranks:
                history = train(regressor, data, settings, seed, environment=ranks, **kept, **told)
    return Fitted(regressor.to("cpu"), history, time.perf_counter() - start)


def complete_hyperparameters(
    task: Task, store: GraphStore, model_name: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all hyperparameters of a model on a task.

    Args:
        task: decides some of them, such as whether atoms are summed or averaged.
        store: decides how far filters reach, and whether for crystals.
        model_name: a registered model.
        given: come before the task's and the model's defaults.
    """
    model = get_model_class(model_name)
    decided = model.hyperparameters_for(_purpose(task, store))
    where = f"hyperparameters of '{model_name}'"
    return model.Hyperparameters.parse({**decided, **given}, where).model_dump()


def published_training(task: Task, store: GraphStore, model_name: str) -> dict[str, Any]:
    """Return the training settings of a model's paper for a kind of task.

    A model that names none is trained with the defaults.
    """
    return get_model_class(model_name).training_for(_purpose(task, store))


def _purpose(task: Task, store: GraphStore) -> Purpose:
    return Purpose(
        extensive=task.definition.extensive,
        forces=bool(task.forces),
        periodic=store.periodic,
        cutoff=store.spec.cutoff,
    )


def _new_model(data: TaskData, name: str, given: Mapping[str, Any]) -> Model:
    return create_model(name, **complete_hyperparameters(data.task, data.store, name, given))


def _fit_scaler(regressor: Regressor, data: TaskData, use_references: bool) -> None:
    forces = data.forces("train") if use_references and data.task.forces else None
    regressor.scaler.fit(data.batches("train"), data.targets("train"), use_references, forces)


def _fit_closed_form(regressor: Regressor, model: ClosedFormModel, data: TaskData) -> Epoch:
    """Fit a baseline; without references, which would make a regression of the mean."""
    start = time.perf_counter()
    _fit_scaler(regressor, data, use_references=False)
    scaler, targets = regressor.scaler, data.targets("train")
    normalised = (targets - scaler.mean) / scaler.scale  # (graphs,)
    model.fit(data.batches("train"), normalised[:, None])
    train_error, valid_error = (evaluate(regressor, data, s).errors.mae for s in ("train", "valid"))
    loss = train_error / data.task.definition.error_factor / float(scaler.scale)
    return Epoch(1, loss, valid_error, 0.0, time.perf_counter() - start)

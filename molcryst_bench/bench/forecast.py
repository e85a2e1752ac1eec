"""What a profile will take, from measured throughputs, before anything is submitted.

No store is needed: how many structures are trained on is in the committed splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from molcryst_bench.base.errors import SettingsError, StoreError
from molcryst_bench.base.project import splits_folder
from molcryst_bench.bench.estimates import Estimates
from molcryst_bench.bench.params import Params
from molcryst_bench.bench.rates import MachineRates
from molcryst_bench.graphs.split import SUBSETS, load_split
from molcryst_bench.models.interface import ClosedFormModel
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.training.task import Task, load_task

START_SECONDS = 5.0  # of each cell, to read its data, evaluate and write
_EVALUATION = 1.1  # an epoch with its validation over one without


class Forecast(NamedTuple):
    """The cells of a model on a task."""

    task: str
    model: str
    cells: int
    trials: int  # of the search that they share
    cell_seconds: float | None  # none where nothing like it has been measured
    trial_seconds: float | None  # at most; most trials end early

    @property
    def seconds(self) -> float | None:
        """Of one worker, for all of it, at most."""
        if self.cell_seconds is None or (self.trials and self.trial_seconds is None):
            return None
        return self.cells * self.cell_seconds + self.trials * (self.trial_seconds or 0.0)

    def lengths(self) -> list[float]:
        """Return the seconds of each trial and cell."""
        cells = [self.cell_seconds or 0.0] * self.cells
        return [self.trial_seconds or 0.0] * self.trials + cells


def forecast(params: Params, rates: MachineRates, measured: Estimates | None) -> list[Forecast]:
    """Return what each model takes on each task of a profile.

    Args:
        params: the profile.
        rates: throughputs of a worker.
        measured: costs of cells of this very profile, which come before the rates.
    """
    return [
        _of(params, task, model, rates, measured)
        for task in map(load_task, params.bench.tasks)
        for model in params.models
    ]


def _of(
    params: Params, task: Task, model: str, rates: MachineRates, measured: Estimates | None
) -> Forecast:
    seconds = measured.seconds(f"{task.name}/{model}/0") if measured is not None else None
    rate, items = rates.of(task.dataset, model), _items(params, task)
    epochs = (
        1 if issubclass(get_model_class(model), ClosedFormModel) else _epochs(params, task, model)
    )
    if seconds is None and rate is not None and items is not None:
        seconds = START_SECONDS + _EVALUATION * epochs * items / rate
    search = params.models[model].search
    trial = None
    if search is not None and rate is not None and items is not None:
        most = min(search.epochs or epochs, epochs)
        trial = _EVALUATION * most * min(search.training_items or items, items) / rate
    trials = search.trials if search is not None else 0
    return Forecast(task.name, model, len(params.bench.seeds), trials, seconds, trial)


def _epochs(params: Params, task: Task, model: str) -> int:
    from molcryst_bench.models.interface import Purpose

    graph = params.datasets[task.dataset].graph
    purpose = Purpose(
        extensive=task.definition.extensive,
        forces=bool(task.forces),
        periodic=task.dataset in ("coremof", "hmof"),
        cutoff=graph.cutoff,
    )
    published = get_model_class(model).training_for(purpose)
    return params.training_of(model, task.dataset, published).epochs


def _items(params: Params, task: Task) -> int | None:
    """Return the size of the training subset; none where its split is not there yet."""
    path: Path = splits_folder(task.dataset) / f"{task.split}.parquet"
    try:
        split = load_split(path)
    except (SettingsError, StoreError):
        return None
    if task.group:
        split = split.of_group(task.group)
    items = int(np.sum(split.subset == SUBSETS.index("train")))
    sample = params.datasets[task.dataset].sample
    return items if sample is None else round(items * sample.size / len(split.ids))


def all_lengths(forecasts: list[Forecast]) -> list[float]:
    """Return the seconds of every trial and cell whose time is known."""
    return list(_lengths(forecasts))


def _lengths(forecasts: list[Forecast]) -> Iterator[float]:
    for each in forecasts:
        if each.seconds is not None:
            yield from each.lengths()

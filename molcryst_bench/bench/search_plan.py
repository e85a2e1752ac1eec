"""The search for the settings of one model on one task, with everything that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from molcryst_bench.bench.params import Params, Tracking
from molcryst_bench.bench.trials import TrackedTrials
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import Task
from molcryst_bench.tuning.cost import check_cost
from molcryst_bench.tuning.journal import Journal
from molcryst_bench.tuning.plan import identity_of, plan_search
from molcryst_bench.tuning.search import Observer
from molcryst_bench.tuning.settings import SearchSettings
from molcryst_bench.tuning.space import Space
from molcryst_bench.tuning.space_file import load_space, space_path
from molcryst_bench.tuning.trial import Subject
from molcryst_bench.tuning.workers import Workers


@dataclass(frozen=True)
class SearchPlan:
    """A search that any process can run, or go on with."""

    subject: Subject
    space: Space
    settings: SearchSettings
    data: Mapping[str, str]  # digests of store and split
    tracking: Tracking

    @property
    def name(self) -> str:
        """Its place under the folder of searches; all seeds of a cell share it."""
        method = f"{self.settings.method}-{self.settings.seed}"
        return f"{self.subject.task.name}/{self.subject.model}/{method}"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that decides what it finds, but for the number of trials."""
        return {**identity_of(self.subject, self.space, self.settings), **self.data}

    @property
    def decisive(self) -> dict[str, Any]:
        """All that decides which settings are the best."""
        return {**self.identity, "trials": self.settings.trials}

    def run(self, journal: Journal, workers: Workers, observer: Observer, records: Path) -> None:
        """Run the trials that are missing.

        Args:
            journal: of those that there are, in the folder of the search.
            workers: run the trials.
            observer: is told.
            records: records of trials go to ``wandb`` in it.
        """
        trials = TrackedTrials(self.name, self.identity, self.tracking, records)
        search = plan_search(self.subject, self.space, self.settings, journal.folder, trials)
        search.go_on(journal, workers, observer)


def make_search(
    task: Task,
    store: GraphStore,
    model: str,
    hyperparameters: Mapping[str, Any],
    training: TrainingSettings,
    settings: SearchSettings,
    params: Params,
) -> SearchPlan:
    """Return a search that starts from certain settings.

    Args:
        task: to search for.
        store: of its dataset.
        model: whose settings are searched.
        hyperparameters: all of it, to start from.
        training: to start from.
        settings: of the search.
        params: say with how many threads trials run, and whether they are tracked.

    Raises:
        SettingsError: for a space or a cost that this model cannot have.
    """
    check_cost(model, settings.cost)
    space = load_space(space_path(settings.space), model)
    subject = Subject(
        task=task,
        store=Path(store.path),
        model=model,
        hyperparameters=hyperparameters,
        training=training,
        seed=settings.seed,
        threads=params.executor.threads,
        epochs=settings.epochs,
        items=settings.training_items,
        cost=settings.cost,
    )
    data = {"store": store.digest, "split": store.split(task.split).digest}
    space = space if settings.epochs is None else space.within(settings.epochs)
    return SearchPlan(subject, space, settings, data, params.tracking)

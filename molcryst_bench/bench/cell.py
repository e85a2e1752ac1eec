"""A cell: one model on one task with one seed, and all that decides its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from molcryst_bench.base.code import code_digest, code_parts
from molcryst_bench.base.files import digest_of
from molcryst_bench.base.project import store_path
from molcryst_bench.bench.params import Params, Tracking
from molcryst_bench.bench.search_plan import SearchPlan, make_search
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.models.interface import ClosedFormModel
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.sources.card import Target
from molcryst_bench.training.fit import complete_hyperparameters, published_training
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.task import Task, load_task

_FITTING = (
    "molcryst_bench.training.checkpoint",
    "molcryst_bench.training.coverage",
    "molcryst_bench.training.evaluate",
    "molcryst_bench.training.fit",
    "molcryst_bench.training.uncertainty",
)


class Cell(NamedTuple):
    """One model on one task with one seed."""

    task: str
    model: str
    seed: int

    @property
    def name(self) -> str:
        """Its place under ``leaderboard/results``."""
        return f"{self.task}/{self.model}/{self.seed}"


@dataclass(frozen=True)
class CellPlan:
    """A cell with everything that decides its numbers, so that any worker anywhere can run it."""

    cell: Cell
    task: Task
    profile: str
    store: Path
    hyperparameters: dict[str, Any]
    training: TrainingSettings
    threads: int
    store_digest: str
    split_digest: str
    code_digest: str
    key: str
    decisive: dict[str, Any]  # what the key is a digest of
    tracking: Tracking  # decides no number
    search: SearchPlan | None = None  # that finds better settings, from which others are trained

    @property
    def trains(self) -> bool:
        """Whether the model is trained by gradient descent."""
        return _trains(self.cell.model)

    def parts(self) -> dict[str, Any]:
        """Return all that the key depends on, the code file by file."""
        return {**self.decisive, "code": code_parts(*_modules(self.cell.model))}


def plan_cells(params: Params) -> list[CellPlan]:
    """Return all cells of a profile, those that take longest first."""
    plans = [plan for task in params.bench.tasks for plan in _plan_task(params, load_task(task))]
    return sorted(plans, key=lambda plan: not plan.trains)


def _plan_task(params: Params, task: Task) -> list[CellPlan]:
    store = open_store(store_path(task.dataset))
    split_digest = store.split(task.split).digest
    plans = []
    for model in params.models:
        seeds = iter(params.bench.seeds)
        first = _plan(params, task, Cell(task.name, model, next(seeds)), store, split_digest)
        plans += [first, *(_with_seed(first, seed) for seed in seeds)]
    return plans


def _with_seed(plan: CellPlan, seed: int) -> CellPlan:
    cell = plan.cell._replace(seed=seed)
    decisive = {**plan.decisive, "cell": cell._asdict()}
    return replace(plan, cell=cell, decisive=decisive, key=digest_of(decisive))


def _plan(params: Params, task: Task, cell: Cell, store: GraphStore, split_digest: str) -> CellPlan:
    given = params.models[cell.model].hyperparameters
    hyperparameters = complete_hyperparameters(task, store, cell.model, given)
    published = published_training(task, store, cell.model)
    training = params.training_of(cell.model, task.dataset, published)
    code = code_digest(*_modules(cell.model))
    settings = params.models[cell.model].search
    search = None
    if settings is not None:
        search = make_search(task, store, cell.model, hyperparameters, training, settings, params)
    decisive = {
        "target": [_decisive(target) for target in (task.definition, task.forces_definition)],
        "cell": cell._asdict(),
        "store": store.digest,
        "split": [task.split, split_digest],
        "code": code,
        "hyperparameters": hyperparameters,
        # A closed-form baseline does not read the training settings.
        "training": _decisive_of(training) if _trains(cell.model) else None,
        **({} if search is None else {"search": search.decisive}),
    }
    return CellPlan(
        cell=cell,
        task=task,
        profile=params.profile,
        store=Path(store.path),
        hyperparameters=hyperparameters,
        training=training,
        threads=params.executor.threads,
        store_digest=store.digest,
        split_digest=split_digest,
        code_digest=code,
        key=digest_of(decisive),
        decisive=decisive,
        tracking=params.tracking,
        search=search,
    )


@cache
def _trains(model: str) -> bool:
    return not issubclass(get_model_class(model), ClosedFormModel)


@cache
def _modules(model: str) -> tuple[str, ...]:
    """Return the modules that decide the numbers of a model, with all that they import."""
    return get_model_class(model).__module__, *_FITTING


def _decisive_of(training: TrainingSettings) -> dict[str, Any]:
    """Return what of the settings decides numbers; devices share batches, and change nothing."""
    return training.model_dump(exclude={"devices", "nodes"})


def _decisive(target: Target | None) -> dict[str, Any] | None:
    """Return what of a target's definition decides numbers."""
    return None if target is None else target.model_dump(exclude={"raw", "description"})

"""What is looked into: every graph network on the chosen tasks, and raw representations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from molcryst_bench.base.code import code_digest
from molcryst_bench.base.files import digest_of
from molcryst_bench.base.project import store_path
from molcryst_bench.bench.cell import Cell
from molcryst_bench.bench.interpret_settings import InterpretSettings
from molcryst_bench.bench.params import Params
from molcryst_bench.bench.result import RESULTS, CellResult, read_result
from molcryst_bench.graphs.store import open_store
from molcryst_bench.models.interface import GradientModel
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.training.task import Task, load_task

INTERPRET = "interpret"  # folder beside that of the results
RAW = "raw"  # in place of a model's name, above those of representations that nobody has trained
_RAW_NAMES = ("composition", "distances", "fingerprint")
_DECIDING = "molcryst_bench.interpret.looks.run"


@dataclass(frozen=True)
class LookPlan:
    """One model or representation on one task, so that any worker anywhere can look into it."""

    task: Task
    representation: str  # name of a model, or of a raw representation
    cells: tuple[Cell, ...]  # the one to look into, then its other seeds; none of what is raw
    models: tuple[Path, ...]  # the folders of these
    store: Path
    folder: Path
    lock: Path  # held while a worker is at it
    settings: InterpretSettings
    key: str  # a digest of all that decides its numbers

    @property
    def name(self) -> str:
        """Its place under ``leaderboard/interpret``."""
        return _name(self.task, self.representation, self.cells)

    @property
    def seed(self) -> int:
        """Of the model that is looked into."""
        return self.cells[0].seed if self.cells else 0


class LookPlans(NamedTuple):
    """All of a profile."""

    plans: list[LookPlan]
    untrained: list[str]  # names of models without a result, which cannot be looked into yet


def plan_looks(params: Params, leaderboard: Path) -> LookPlans:
    """Return what there is to look into, networks before raw representations.

    Args:
        params: without ``interpret`` there is nothing.
        leaderboard: the folder of results.
    """
    if params.interpret is None:
        return LookPlans([], [])
    plans: list[LookPlan] = []
    untrained: list[str] = []
    for name in params.interpret.tasks:
        task = load_task(name)
        for model in params.models:
            if not issubclass(get_model_class(model), GradientModel):
                continue
            found = _results(leaderboard, name, model, params.bench.seeds)
            if found:
                plans.append(_of_model(task, found, params.interpret, leaderboard))
            else:
                untrained.append(f"{name}/{model}")
    slow_first = sorted(plans, key=lambda plan: _slowness(plan.models[0]))
    return LookPlans([*slow_first, *_of_raw(params.interpret, leaderboard, plans)], untrained)


def lock_path(leaderboard: Path, name: str = "") -> Path:
    """Return the lock file of one look, or of the whole stage."""
    return leaderboard / ".locks" / f"{INTERPRET}+{name.replace('/', '+')}.lock"


def _results(leaderboard: Path, task: str, model: str, seeds: list[int]) -> list[CellResult]:
    found = (
        read_result(leaderboard / RESULTS / Cell(task, model, seed).name) for seed in sorted(seeds)
    )
    return [result for result in found if result is not None]


def _slowness(model_folder: Path) -> float:
    """Return graphs per second, so that the slowest network begins first."""
    result = read_result(model_folder)
    return 0.0 if result is None else result.graphs_per_second


def _of_model(
    task: Task, results: list[CellResult], settings: InterpretSettings, leaderboard: Path
) -> LookPlan:
    cells = tuple(Cell(task.name, each.model, each.seed) for each in results)
    deciding = [each.weights_sha256 for each in results]
    digests = [results[0].store_digest, results[0].split_digest, results[0].predictions_sha256]
    return _plan(task, cells[0].model, cells, settings, leaderboard, [*deciding, *digests])


def _of_raw(
    settings: InterpretSettings, leaderboard: Path, plans: list[LookPlan]
) -> Iterator[LookPlan]:
    """Return the raw representations of the tasks that there are networks for."""
    for task in {plan.task.name: plan.task for plan in plans}.values():
        digest = open_store(store_path(task.dataset)).digest
        for name in _RAW_NAMES:
            yield _plan(task, name, (), settings, leaderboard, [digest])


def _plan(
    task: Task,
    representation: str,
    cells: tuple[Cell, ...],
    settings: InterpretSettings,
    leaderboard: Path,
    digests: list[str],
) -> LookPlan:
    name = _name(task, representation, cells)
    how = settings.model_dump(exclude={"tasks"})
    seeds = [cell._asdict() for cell in cells]
    return LookPlan(
        task=task,
        representation=representation,
        cells=cells,
        models=tuple(leaderboard / RESULTS / cell.name for cell in cells),
        store=store_path(task.dataset),
        folder=leaderboard / INTERPRET / name,
        lock=lock_path(leaderboard, name),
        settings=settings,
        key=digest_of([name, digests, seeds, how, code_digest(_DECIDING)]),
    )


def _name(task: Task, representation: str, cells: tuple[Cell, ...]) -> str:
    return cells[0].name if cells else f"{task.name}/{RAW}/{representation}"

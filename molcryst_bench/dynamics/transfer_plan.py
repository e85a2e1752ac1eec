"""The runs of the transfer benchmark: every trained model with forces on molecules of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from molcryst_bench.base.code import code_digest
from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.base.files import digest_of
from molcryst_bench.base.project import store_path
from molcryst_bench.bench.cell import Cell
from molcryst_bench.bench.params import Params
from molcryst_bench.bench.result import RESULTS, CellResult, read_result
from molcryst_bench.bench.transfer_settings import DynamicsSettings
from molcryst_bench.dynamics.molecules import known_molecules
from molcryst_bench.models.interface import GradientModel
from molcryst_bench.models.registry import get_model_class
from molcryst_bench.training.task import Task, load_task

DYNAMICS = "dynamics"  # folder beside that of the results
_DECIDING = "molcryst_bench.dynamics.transfer_run"


@dataclass(frozen=True)
class TransferPlan:
    """A run of one trained model on one molecule, so that any worker anywhere can do it."""

    cell: Cell
    task: Task
    molecule: str
    model_folder: Path
    store: Path
    folder: Path
    lock: Path  # held while a worker is at it
    settings: DynamicsSettings
    key: str  # a digest of all that decides its numbers

    @property
    def name(self) -> str:
        """Its place under ``leaderboard/dynamics``."""
        return f"{self.cell.name}/{self.molecule}"


class TransferPlans(NamedTuple):
    """All runs of a profile."""

    plans: list[TransferPlan]
    untrained: list[str]  # names of cells without a result, which cannot be run yet


def plan_transfers(params: Params, leaderboard: Path) -> TransferPlans:
    """Return the runs for which there are trained models, those of large molecules first.

    Args:
        params: without ``dynamics`` there are no runs.
        leaderboard: the folder of results.

    Raises:
        SettingsError: if a molecule is not known.
    """
    if params.dynamics is None:
        return TransferPlans([], [])
    known = known_molecules()
    for name in {m for each in params.dynamics.molecules.items() for m in (each[0], *each[1])}:
        if name not in known:
            where = "params.yaml: dynamics.molecules"
            raise SettingsError(f"{where}: {unknown_name('molecule', name, known)}")
    plans: list[TransferPlan] = []
    untrained: list[str] = []
    for cell in _cells(params, params.dynamics):
        result = read_result(leaderboard / RESULTS / cell.name)
        if result is None:
            untrained.append(cell.name)
        elif result.forces_mae is not None:
            plans += _plans_of(cell, result, params.dynamics, leaderboard)
    return TransferPlans(sorted(plans, key=lambda p: -len(known[p.molecule])), untrained)


def lock_path(leaderboard: Path, name: str = "") -> Path:
    """Return the lock file of a run, or of the whole benchmark."""
    return leaderboard / ".locks" / f"{DYNAMICS}+{name.replace('/', '+')}.lock"


def _cells(params: Params, settings: DynamicsSettings) -> Iterator[Cell]:
    """Return the cells whose models learn forces of a molecule that others are like."""
    for name in params.bench.tasks:
        task = load_task(name)
        if not task.is_default_split or task.group not in settings.molecules or not task.forces:
            continue
        for model in params.models:
            if issubclass(get_model_class(model), GradientModel):
                yield from (Cell(task.name, model, seed) for seed in settings.seeds)


def _plans_of(
    cell: Cell, result: CellResult, settings: DynamicsSettings, leaderboard: Path
) -> Iterator[TransferPlan]:
    task = load_task(cell.task)
    how = settings.model_dump(exclude={"molecules", "seeds"})
    deciding = [result.weights_sha256, result.store_digest, how, code_digest(_DECIDING)]
    for molecule in settings.molecules[task.group]:
        yield TransferPlan(
            cell=cell,
            task=task,
            molecule=molecule,
            model_folder=leaderboard / RESULTS / cell.name,
            store=store_path(task.dataset),
            folder=leaderboard / DYNAMICS / cell.name / molecule,
            lock=lock_path(leaderboard, f"{cell.name}/{molecule}"),
            settings=settings,
            key=digest_of([*deciding, cell._asdict(), molecule]),
        )

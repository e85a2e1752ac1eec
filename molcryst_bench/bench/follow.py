"""The part of the processes of a job that train along with the first one, which does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.progress import checkpoint_path
from molcryst_bench.bench.result import finished_result
from molcryst_bench.graphs.store import open_store
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.fit import fit
from molcryst_bench.training.process import prepare_process
from molcryst_bench.training.ranks import started_outside


def follows(plan: CellPlan) -> bool:
    """Say whether this process is one of a job's, such as one of ``srun``, but not the first."""
    environment = started_outside(plan.training)
    return environment is not None and environment.global_rank() > 0


def follow_cells(plans: Sequence[CellPlan], results: Path, resume: bool) -> None:
    """Train all cells along with the first process, and write nothing."""
    for plan in plans:
        if plan.trains and not (resume and finished_result(plan, results)):
            _follow(plan, checkpoint_path(plan, results), resume)


def _follow(plan: CellPlan, checkpoint: Path, resume: bool) -> None:
    prepare_process(plan.threads)
    if not resume:
        checkpoint.unlink(missing_ok=True)  # whoever comes first: none is to begin from it
    fit(
        TaskData.load(plan.task, open_store(plan.store)),
        plan.cell.model,
        plan.hyperparameters,
        plan.training,
        plan.cell.seed,
        checkpoint=checkpoint,
        environment=started_outside(plan.training),
    )

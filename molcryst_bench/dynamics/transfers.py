"""Running the transfer benchmark on any executor: what is done is never run twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from molcryst_bench.base.files import write_json
from molcryst_bench.base.locks import exclusive
from molcryst_bench.bench.pending import complain, run_pending
from molcryst_bench.dynamics.record import TransferScore, read_score
from molcryst_bench.dynamics.transfer_plan import DYNAMICS, TransferPlan, lock_path

INDEX = "runs.json"
Work = Callable[[TransferPlan], TransferScore]
OnEnd = Callable[[TransferPlan, TransferScore | None, str], None]
"""Is told of each run that has ended: its score, or why there is none."""


def do_transfer(plan: TransferPlan) -> TransferScore:
    """Do a run; a worker imports what it takes."""
    from molcryst_bench.dynamics.transfer_run import run_transfer

    return run_transfer(plan)


def finished_transfer(plan: TransferPlan) -> TransferScore | None:
    """Return the score of a run if it belongs to just this plan."""
    score = read_score(plan.folder)
    return score if score is not None and score.key == plan.key else None


def run_transfers(
    plans: Sequence[TransferPlan],
    leaderboard: Path,
    executor: Executor,
    on_end: OnEnd,
    work: Work = do_transfer,
) -> list[TransferScore]:
    """Do the runs that have no score yet, and note which belong together.

    Args:
        plans: of all runs, in the order in which they begin.
        leaderboard: whose ``dynamics/runs.json`` will list all that are done.
        executor: does the runs; if a worker dies its run goes on from the last chunk of frames.
        on_end: is told.
        work: does one run.

    Raises:
        RunError: after all others, if some could not be done; it names them.
    """
    folder = leaderboard / DYNAMICS
    with exclusive(lock_path(leaderboard)):
        missing = [plan for plan in plans if finished_transfer(plan) is None]
        failures = run_pending(missing, executor, work, on_end)
        scores = [score for plan in plans if (score := finished_transfer(plan))]
        write_json(folder / INDEX, sorted(score.name for score in scores))
    complain(failures, len(plans), "runs")
    return scores


def read_transfers(leaderboard: Path) -> list[TransferScore]:
    """Return the scores of the last benchmark, by name; none where there was no benchmark."""
    folder = leaderboard / DYNAMICS
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [score for name in names if (score := read_score(folder / name))]

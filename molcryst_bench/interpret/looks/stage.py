"""Looking into all models on any executor: what is done is never done twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from molcryst_bench.base.files import write_json
from molcryst_bench.base.locks import exclusive
from molcryst_bench.bench.pending import complain, run_pending
from molcryst_bench.interpret.looks.plan import INTERPRET, LookPlan, lock_path
from molcryst_bench.interpret.looks.record import Look, read_look

INDEX = "looks.json"
Work = Callable[[LookPlan], Look]
OnEnd = Callable[[LookPlan, Look | None, str], None]
"""Is told of each look that has ended: what it found, or why it found nothing."""


def do_look(plan: LookPlan) -> Look:
    """Look into one; a worker imports what it takes."""
    from molcryst_bench.interpret.looks.run import look_into

    return look_into(plan)


def finished_look(plan: LookPlan) -> Look | None:
    """Return what a look has found if it belongs to just this plan."""
    look = read_look(plan.folder)
    return look if look is not None and look.key == plan.key else None


def run_looks(
    plans: Sequence[LookPlan],
    leaderboard: Path,
    executor: Executor,
    on_end: OnEnd,
    work: Work = do_look,
) -> list[Look]:
    """Do what is not done yet, and note which belong together.

    Args:
        plans: in the order in which they begin.
        leaderboard: whose ``interpret/looks.json`` will list all that are done.
        executor: does them.
        on_end: is told.
        work: does one.

    Raises:
        RunError: after all others, if some could not be done; it names them.
    """
    with exclusive(lock_path(leaderboard)):
        missing = [plan for plan in plans if finished_look(plan) is None]
        failures = run_pending(missing, executor, work, on_end)
        looks = [look for plan in plans if (look := finished_look(plan))]
        write_json(leaderboard / INTERPRET / INDEX, sorted(look.place for look in looks))
    complain(failures, len(plans), "looks into models")
    return looks


def read_looks(leaderboard: Path) -> list[Look]:
    """Return what the last stage has found, by place; nothing where there was none."""
    folder = leaderboard / INTERPRET
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [look for name in names if (look := read_look(folder / name))]

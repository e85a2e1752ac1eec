"""Running all cells that are not done yet, on any executor."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

from molcryst_bench.base import stopping
from molcryst_bench.base.errors import RunError
from molcryst_bench.bench import campaign
from molcryst_bench.bench.attempt import Terms, read_cost
from molcryst_bench.bench.campaign import Campaign, Conditions, summary_of
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.curves import write_curves
from molcryst_bench.bench.ledger import LEDGER, Ledger
from molcryst_bench.bench.result import (
    RESULTS,
    CellResult,
    finished_result,
    write_metrics,
    write_results,
)
from molcryst_bench.bench.running import forget_running, list_running
from molcryst_bench.bench.seat import Driver, seat

_USUAL = Conditions()


class Observer(campaign.Observer, Protocol):
    """Who is told how a benchmark goes on."""

    def waiting(self, driver: Driver | None) -> None:
        """Another driver is at work on the same results."""


def run_bench(
    plans: Sequence[CellPlan],
    leaderboard: Path,
    executor: Executor,
    observer: Observer,
    conditions: Conditions = _USUAL,
    only: Collection[str] | None = None,
) -> list[CellResult]:
    """Run the cells that have no result with their key yet, and write the table of all.

    Args:
        plans: of all cells.
        leaderboard: the folder of results, tables and ledger.
        executor: runs the cells.
        observer: is told.
        conditions: under which they are run.
        only: the names of those to run; all by default.

    Raises:
        RunError: after everything else has run, if cells failed; it names them.
        StoppedError: if this process is told to stop; all that is done is kept.
    """
    taken = seat(leaderboard, observer.waiting, conditions.slots, conditions.executor)
    with taken as driver, stopping.armed(), Ledger(leaderboard / LEDGER) as ledger:
        stopping.forget_request()  # one that an earlier run in this process has heeded
        done = _finished(plans, leaderboard, ledger)
        missing = [plan for plan in plans if plan.cell.name not in done]
        chosen = [plan for plan in missing if only is None or plan.cell.name in only]
        observer.started(chosen, finished=len(done))
        _forget_the_dead(driver, leaderboard)
        terms = Terms(leaderboard, driver.token, conditions.grace, conditions.stage_to)
        run = Campaign(ledger, terms, executor, observer, conditions)
        run.run(chosen)
        done |= run.results
        results = [done[plan.cell.name] for plan in plans if plan.cell.name in done]
        _write_tables(leaderboard, results)
    if run.failures:
        raise RunError(_in_words(run.failures, len(plans)))
    return results


def _finished(
    plans: Sequence[CellPlan], leaderboard: Path, ledger: Ledger
) -> dict[str, CellResult]:
    """Return the results that are there; the ledger learns of those it did not know."""
    found = {}
    for plan in plans:
        result = finished_result(plan, leaderboard / RESULTS)
        if result is None:
            continue
        found[plan.cell.name] = result
        entry = ledger.get(plan.cell.name, plan.key)
        if entry is None or entry.state != "done":
            cost, attempts = read_cost(result, leaderboard), max(1, entry.attempts if entry else 1)
            known = {"cost": cost, "attempts": attempts, **summary_of(result)}
            ledger.record(plan.cell.name, plan.key, "done", **known)
    return found


def _forget_the_dead(driver: Driver, leaderboard: Path) -> None:
    """Remove the words of an earlier driver's workers; those that live stop by themselves."""
    for name, running in list_running(leaderboard).items():
        if running.token != driver.token:
            forget_running(name, leaderboard)


def _write_tables(leaderboard: Path, results: Sequence[CellResult]) -> None:
    write_results(leaderboard / "results.parquet", results)
    write_metrics(leaderboard / "metrics.json", results)
    write_curves(leaderboard, results)


def _in_words(failures: dict[str, str], cells: int) -> str:
    lines = [f"  {name}: {reason}" for name, reason in sorted(failures.items())]
    head = f"{len(failures)} of {cells} cells failed; the others are done:"
    return "\n".join([head, *lines, "Put it right and run the same command again."])

"""Running all cells that are not done yet, on any executor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from molcryst_bench.base.errors import MolcrystError, RunError
from molcryst_bench.base.locks import exclusive
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.curves import write_curves
from molcryst_bench.bench.ledger import LEDGER, Ledger
from molcryst_bench.bench.progress import epochs_so_far, sweep
from molcryst_bench.bench.result import (
    RESULTS,
    CellResult,
    read_result,
    write_metrics,
    write_results,
)
from molcryst_bench.bench.work import run_cell

LOCK = ".lock"
_POLL_SECONDS = 1.0


class Observer(Protocol):
    """Who is told how a benchmark goes on."""

    def waiting(self) -> None:
        """Another driver is at work on the same results."""

    def started(self, plans: Sequence[CellPlan], finished: int) -> None:
        """``plans`` are to be run; ``finished`` cells were done before."""

    def tick(self) -> None:
        """About a second has passed."""

    def ended(self, plan: CellPlan, result: CellResult | None, reason: str) -> None:
        """A cell is done, or has failed for a reason."""


def run_bench(
    plans: Sequence[CellPlan], leaderboard: Path, executor: Executor, observer: Observer
) -> list[CellResult]:
    """Run the cells that have no result with their key yet, and write the table of all.

    Raises:
        RunError: after everything else has run, if cells failed; it names them.
    """
    results = leaderboard / RESULTS
    with exclusive(leaderboard / LOCK, on_wait=observer.waiting):
        missing = [plan for plan in plans if finished_result(plan, results) is None]
        observer.started(missing, finished=len(plans) - len(missing))
        failures = _run(missing, leaderboard, executor, observer)
        done = [result for plan in plans if (result := finished_result(plan, results))]
        write_results(leaderboard / "results.parquet", done)
        write_metrics(leaderboard / "metrics.json", done)
        write_curves(leaderboard, done)
    if failures:
        lines = [f"  {name}: {reason}" for name, reason in sorted(failures.items())]
        head = f"{len(failures)} of {len(plans)} cells failed; the others are done:"
        raise RunError("\n".join([head, *lines, "Put it right and run the same command again."]))
    return done


def finished_result(plan: CellPlan, results: Path) -> CellResult | None:
    """Return the result of a cell if it belongs to just this plan."""
    result = read_result(results / plan.cell.name)
    if result is None or result.key != plan.key:
        return None
    return result.model_copy(update={"profile": plan.profile})  # profiles may share cells


def _run(
    plans: Sequence[CellPlan], leaderboard: Path, executor: Executor, observer: Observer
) -> dict[str, str]:
    """Run cells and return the reasons of those that failed."""
    results, ledger = leaderboard / RESULTS, Ledger(leaderboard / LEDGER)
    for plan in plans:
        sweep(plan, results)
        ledger.record(plan.cell.name, plan.key, "queued")
    failures = {}
    with _submitted(plans, results, executor) as futures:
        for plan, future in _as_they_end(futures, results, ledger, observer):
            reason = _reason(future)
            ledger.record(plan.cell.name, plan.key, "failed" if reason else "done", reason)
            observer.ended(plan, None if reason else future.result(), reason)
            if reason:
                failures[plan.cell.name] = reason
    return failures


@contextmanager
def _submitted(
    plans: Sequence[CellPlan], results: Path, executor: Executor
) -> Iterator[dict[Future[CellResult], CellPlan]]:
    futures = {executor.submit(run_cell, plan, results): plan for plan in plans}
    try:
        yield futures
    finally:
        for future in futures:
            future.cancel()


def _as_they_end(
    futures: dict[Future[CellResult], CellPlan], results: Path, ledger: Ledger, observer: Observer
) -> Iterator[tuple[CellPlan, Future[CellResult]]]:
    pending, waiting = set(futures), list(futures.values())
    while pending:
        done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        for plan in [plan for plan in waiting if epochs_so_far(plan, results) is not None]:
            waiting.remove(plan)
            ledger.record(plan.cell.name, plan.key, "running")
        observer.tick()
        for future in done:
            yield futures[future], future


def _reason(future: Future[CellResult]) -> str:
    """Return why a cell failed, or nothing if it did not."""
    error = future.exception()
    if error is None:
        return ""
    if isinstance(error, BrokenExecutor):
        return "a worker process died, perhaps for lack of memory: try fewer workers"
    return str(error) if isinstance(error, MolcrystError) else f"{type(error).__name__}: {error}"

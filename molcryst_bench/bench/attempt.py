"""One attempt at a cell, by any worker of any executor: alone, measured, and ready to stop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from molcryst_bench.base import stopping
from molcryst_bench.base.errors import StoppedError
from molcryst_bench.base.usage import Cost, Meter
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.explain import write_parts
from molcryst_bench.bench.notes import write_note
from molcryst_bench.bench.progress import sweep
from molcryst_bench.bench.result import RESULTS, CellResult, finished_result
from molcryst_bench.bench.running import announced, here
from molcryst_bench.bench.seat import who_drives
from molcryst_bench.bench.staging import staged
from molcryst_bench.training.steps import Step

COST = "cost.json"
_LOCKS = ".locks"
_LOOK_SECONDS = 5.0  # between two looks at who drives


class Terms(NamedTuple):
    """What a driver asks of its workers."""

    leaderboard: Path
    token: str  # of the driver; work for another one stops
    grace: float = 25.0  # seconds between being told to stop and being killed
    stage_to: Path | None = None  # on the worker's own disk, for copies of stores


class Attempt(NamedTuple):
    """What an attempt has come to."""

    result: CellResult
    cost: Cost
    where: str


Work = Callable[[CellPlan, Path, Callable[[Step], None]], CellResult]


def train_cell(plan: CellPlan, results: Path, on_step: Callable[[Step], None]) -> CellResult:
    """Do the work of a cell."""
    from molcryst_bench.bench.work import run_cell

    return run_cell(plan, results, on_step=on_step)


def attempt(plan: CellPlan, terms: Terms, work: Work = train_cell) -> Attempt:
    """Run a cell, or find that another worker has done so meanwhile.

    Raises:
        StoppedError: if this worker was told to stop; another attempt goes on where it ended.
        Exception: if the cell fails.
    """
    results = terms.leaderboard / RESULTS
    with ExitStack() as stack:
        _outlive(terms.grace)
        stack.enter_context(stopping.armed())
        stack.enter_context(_obedience(terms))
        stack.enter_context(_alone(plan, terms.leaderboard))
        stack.enter_context(announced(plan.cell.name, terms.leaderboard, terms.token))
        meter = Meter()
        result = finished_result(plan, results)
        if result is None:
            sweep(plan, results)
            result = work(staged(plan, terms.stage_to), results, _breaking_off(terms.grace))
            write_parts(plan, results)
            _write_cost(plan, results, meter.read())
        return Attempt(result, read_cost(result, terms.leaderboard), here())


def read_cost(result: CellResult, leaderboard: Path) -> Cost:
    """Return what a finished cell has cost, as its worker wrote it."""
    with suppress(OSError, ValueError, TypeError):
        return Cost(**json.loads((leaderboard / result.folder / COST).read_text(encoding="utf-8")))
    return Cost(wall=result.train_seconds, memory_mb=result.peak_memory_mb)


def _outlive(grace: float) -> None:
    """Begin nothing in a process that is about to be killed; one that was not, after all, goes on.

    Without the wait a worker that has been told to stop would take one cell after the other.
    """
    if stopping.told_to_stop():
        time.sleep(max(0.0, grace - stopping.seconds_since()))
        stopping.forget_request()


@contextmanager
def _alone(plan: CellPlan, leaderboard: Path) -> Iterator[None]:
    """Wait until no other process runs the cell, such as one of a driver that was killed."""
    path = leaderboard / _LOCKS / f"{plan.cell.name.replace('/', '+')}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    while not _acquired(lock):
        if stopping.told_to_stop():
            raise StoppedError("told to stop while another process ran the cell")
        time.sleep(0.2)
    try:
        yield
    finally:
        lock.release()


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        return False
    except NotImplementedError:  # a file system without locks: results are whole all the same
        return True
    return True


@contextmanager
def _obedience(terms: Terms) -> Iterator[None]:
    """Stop the work when its driver has left the seat to another, or has given it up."""
    ended, deciding = threading.Event(), threading.Lock()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            driver = who_drives(terms.leaderboard)
            with deciding:
                if not ended.is_set() and (driver is None or driver.token != terms.token):
                    stopping.ask_to_stop()

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        with deciding:
            ended.set()


def _breaking_off(grace: float) -> Callable[[Step], None]:
    """Return what ends an epoch that would not be over before the worker is killed."""

    def on_step(step: Step) -> None:
        if not stopping.told_to_stop():
            return
        part = step.batch / step.batches
        left = step.seconds / (step.epoch - 1 + part) * (1 - part)
        if left > grace - stopping.seconds_since():
            raise StoppedError(f"told to stop in epoch {step.epoch}; the last checkpoint counts")

    return on_step


def _write_cost(plan: CellPlan, results: Path, cost: Cost) -> None:
    write_note(results / plan.cell.name / COST, cost._asdict())

"""A campaign: all cells that are missing share one executor, the longest first, none is lost."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from molcryst_bench.base.errors import MolcrystError, StoppedError
from molcryst_bench.base.stopping import told_to_stop
from molcryst_bench.base.usage import Cost
from molcryst_bench.bench.attempt import Attempt, Terms, Work, attempt, train_cell
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.estimates import Estimates
from molcryst_bench.bench.ledger import Entry, Ledger
from molcryst_bench.bench.result import CellResult
from molcryst_bench.bench.running import forget_running, list_running

_POLL_SECONDS = 1.0
_IN_HAND = 2  # cells for each worker that the executor has, so that none waits for the driver


class Observer(Protocol):
    """Who is told how a benchmark goes on."""

    def started(self, plans: Sequence[CellPlan], finished: int) -> None:
        """``plans`` are to be run; ``finished`` cells were done before."""

    def tick(self, running: Sequence[CellPlan]) -> None:
        """About a second has passed; some cells are being run."""

    def again(self, plan: CellPlan, reason: str) -> None:
        """A cell is in the queue again."""

    def ended(self, plan: CellPlan, result: CellResult | None, reason: str) -> None:
        """A cell is done, or has failed for a reason."""


@dataclass(frozen=True)
class Conditions:
    """Under which cells are run."""

    slots: int | None = None  # cells that the executor runs at a time, where it is known
    losses: int = 5  # workers that may die over one cell
    grace: float = 25.0  # seconds between a worker's being told to stop and being killed
    executor: str = ""  # its name, for people
    stage_to: Path | None = None  # on each node's own disk, for copies of stores
    work: Work = train_cell


class Campaign:
    """The cells of one run of the driver."""

    def __init__(
        self,
        ledger: Ledger,
        terms: Terms,
        executor: Executor,
        observer: Observer,
        conditions: Conditions,
    ) -> None:
        self.ledger = ledger
        self.terms = terms
        self.executor = executor
        self.observer = observer
        self.conditions = conditions
        self.results: dict[str, CellResult] = {}
        self.failures: dict[str, str] = {}
        self.losses: dict[str, int] = {}
        self.waiting: list[tuple[float, int, CellPlan]] = []  # a heap, the longest first
        self.under_way: dict[Future[Attempt], CellPlan] = {}
        self.ended: SimpleQueue[Future[Attempt]] = SimpleQueue()
        self.told = 0.0

    def run(self, plans: Sequence[CellPlan]) -> None:
        """Run all cells until each is done or has failed.

        Raises:
            StoppedError: if the driver is told to stop; the other cells are in the queue again.
        """
        self._line_up(plans)
        try:
            while self.waiting or self.under_way:
                if told_to_stop():
                    self._stop()
                self._submit()
                self._settle_ended(_POLL_SECONDS)
                self._tick()
        finally:
            for future in self.under_way:
                future.cancel()

    def _line_up(self, plans: Sequence[CellPlan]) -> None:
        estimates = Estimates(self.ledger.entries)
        for number, plan in enumerate(plans):
            seconds = estimates.seconds(plan.cell.name)
            if seconds is None:  # a network may take any time, a formula takes none
                seconds = float("inf") if plan.trains else 0.0
            self.waiting.append((-seconds, number, plan))
            before = self.ledger.get(plan.cell.name, plan.key)
            if before is None or before.state != "queued":
                attempts = before.attempts if before is not None else 0
                lost = before is not None and before.state == "running"
                self._queue(plan, attempts + lost, "its driver ended" if lost else "")
        heapq.heapify(self.waiting)
        self.order = {plan.cell.name: (rank, number) for rank, number, plan in self.waiting}

    def _submit(self) -> None:
        slots = self.conditions.slots
        room = len(self.waiting) if slots is None else _IN_HAND * slots - len(self.under_way)
        for _ in range(min(room, len(self.waiting))):
            *_, plan = heapq.heappop(self.waiting)
            future = self._submitted(plan)
            self.under_way[future] = plan
            future.add_done_callback(self.ended.put)
            if future.done():  # where work is done at once, settle it first
                break

    def _submitted(self, plan: CellPlan) -> Future[Attempt]:
        try:
            return self.executor.submit(attempt, plan, self.terms, self.conditions.work)
        except BrokenExecutor as error:
            future: Future[Attempt] = Future()
            future.set_exception(error)
            return future

    def _settle_ended(self, seconds: float) -> None:
        """Wait for a cell to end, and take up all that have."""
        try:
            self._settle(self.ended.get(timeout=seconds))
            while True:
                self._settle(self.ended.get_nowait())
        except Empty:
            return

    def _settle(self, future: Future[Attempt]) -> None:
        plan = self.under_way.pop(future, None)
        if plan is None:  # it has been taken back
            return
        error = future.exception()
        if error is None:
            self._done(plan, future.result())
        elif isinstance(error, StoppedError):
            self._again(plan, str(error))
        elif isinstance(error, BrokenExecutor):
            self._lost(plan)
        else:
            known = isinstance(error, MolcrystError)
            self._failed(plan, str(error) if known else f"{type(error).__name__}: {error}")

    def _done(self, plan: CellPlan, found: Attempt) -> None:
        name, before = plan.cell.name, self._entry(plan)
        cost = before.cost.plus(found.cost)
        known = {"attempts": before.attempts + 1, "where": found.where, "cost": cost}
        self.ledger.record(name, plan.key, "done", **known, **summary_of(found.result))
        self.results[name] = found.result
        self.observer.ended(plan, found.result, "")

    def _failed(self, plan: CellPlan, reason: str) -> None:
        before = self._entry(plan)
        known = {"attempts": before.attempts + 1, "cost": self._spent(before), "reason": reason}
        self.ledger.record(plan.cell.name, plan.key, "failed", **known)
        self.failures[plan.cell.name] = reason
        self.observer.ended(plan, None, reason)

    def _lost(self, plan: CellPlan) -> None:
        """Give a cell another worker, but not one after the other without end."""
        name = plan.cell.name
        forget_running(name, self.terms.leaderboard)
        self.losses[name] = self.losses.get(name, 0) + 1
        if self.losses[name] >= self.conditions.losses:
            times = f"{self.losses[name]} times in this run"
            advice = "perhaps for lack of memory: try fewer workers"
            self._failed(plan, f"a worker process died, {advice} ({times})")
        else:
            self._again(plan, "its worker process died")

    def _again(self, plan: CellPlan, reason: str) -> None:
        before = self._entry(plan)
        self._queue(plan, before.attempts + 1, reason, self._spent(before))
        heapq.heappush(self.waiting, (*self.order[plan.cell.name], plan))
        self.observer.again(plan, reason)

    def _queue(self, plan: CellPlan, attempts: int, reason: str, cost: Cost | None = None) -> None:
        known = {} if cost is None else {"cost": cost}
        self.ledger.record(
            plan.cell.name, plan.key, "queued", attempts=attempts, reason=reason, **known
        )

    def _entry(self, plan: CellPlan) -> Entry:
        entry = self.ledger.get(plan.cell.name, plan.key)
        return entry or Entry(plan.key, "queued", time.time())

    @staticmethod
    def _spent(before: Entry) -> Cost:
        """Count the time of an attempt that could not tell what it has cost."""
        if before.state != "running":
            return before.cost
        return before.cost.plus(Cost(wall=time.time() - before.since))

    def _tick(self) -> None:
        """Once a second, see what is being run, and make the ledger safe."""
        if time.monotonic() - self.told < _POLL_SECONDS:
            return
        self.told = time.monotonic()
        plans = {plan.cell.name: plan for plan in self.under_way.values()}
        running = []
        for name, word in list_running(self.terms.leaderboard).items():
            if name not in plans or word.token != self.terms.token:
                continue
            running.append(plans[name])
            if self._entry(plans[name]).state != "running":
                key = plans[name].key
                self.ledger.record(name, key, "running", where=word.where, since=word.since)
        self.observer.tick(running)
        self.ledger.secure()

    def _stop(self) -> None:
        """Pass the word on, wait for the workers' checkpoints, and end."""
        if (stop := getattr(self.executor, "stop", None)) is not None:
            stop()
        end = time.monotonic() + self.conditions.grace
        while self.under_way and time.monotonic() < end:
            self._cancel_idle()
            self._settle_ended(min(1.0, self.conditions.grace))
        for plan in list(self.under_way.values()):
            self._again(plan, "its driver was told to stop")
        left = len(self.waiting)
        raise StoppedError(f"told to stop: {left} cells are left; the same command goes on")

    def _cancel_idle(self) -> None:
        """Take back what no worker has begun."""
        for future, plan in list(self.under_way.items()):
            if future.cancel() and self.under_way.pop(future, None) is not None:
                self._again(plan, "its driver was told to stop")


def summary_of(result: CellResult) -> dict[str, Any]:
    """Return what the ledger keeps of a result."""
    return {"epochs": result.epochs, "note": result.errors_in_words}

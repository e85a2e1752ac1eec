"""The searches of a benchmark: cells that wait for their settings, and train with the best."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

from molcryst_bench.base.errors import RunError, StoppedError
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.search_plan import SearchPlan
from molcryst_bench.tuning.journal import Journal, Trial, identity_in
from molcryst_bench.tuning.workers import End, ExecutorWorkers, LostWorkersError, Work

SEARCHES = "searches"  # folder beside those of the tasks
TellTrial = Callable[[str, Trial, Journal], None]
"""Is told the name of a search, a trial of it that has ended, and all its trials; in any thread."""


class SearchingExecutor(Executor):
    """Runs what is to be done with a cell when its search has found settings for it.

    Trials go to the executor of the cells, as many at a time as it has workers, shared by the
    searches that are under way: no worker is idle while there is a trial or a cell to run. All
    seeds of a cell share one search, whose trials are kept in its folder.
    """

    def __init__(self, executor: Executor, results: Path, workers: int, tell: TellTrial) -> None:
        """Start nothing yet.

        Args:
            executor: runs trials and cells.
            results: the folder of all cells, and of the searches.
            workers: of the executor.
            tell: is told of each trial.
        """
        self.executor = executor
        self.results = results
        self.workers = workers
        self.tell = tell
        self.closed = Event()
        self._cells = ThreadPoolExecutor(_THREADS, "searched")
        self._searches = ThreadPoolExecutor(_THREADS, "search")
        self._under_way: dict[str, Future[Journal]] = {}
        self._lock = Lock()

    @property
    def share(self) -> int:
        """How many trials of each search run at a time."""
        with self._lock:
            searches = sum(not future.done() for future in self._under_way.values())
        return math.ceil(self.workers / max(1, searches))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` with a cell, its first argument; at once if the cell has no search."""
        plan = args[0] if args else None
        if not isinstance(plan, CellPlan) or plan.search is None:
            return self.executor.submit(fn, *args, **kwargs)
        return self._cells.submit(self._search_first, fn, plan, *args[1:], **kwargs)

    def stop(self) -> None:
        """Break searches off, and tell the workers to stop."""
        self.closed.set()
        if (stop := getattr(self.executor, "stop", None)) is not None:
            stop()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; trials that are broken off from now on will be run again."""
        self.closed.set()
        for threads in (self._cells, self._searches):
            threads.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _search_first(
        self, fn: Callable[..., Any], plan: CellPlan, *args: Any, **kwargs: Any
    ) -> Any:
        search = plan.search
        if search is not None:
            plan = with_best(plan, search, self._searched(search).result())
        return self.executor.submit(fn, plan, *args, **kwargs).result()

    def _searched(self, search: SearchPlan) -> Future[Journal]:
        """Return the search of a cell, which is run once for all its seeds."""
        with self._lock:
            known = self._under_way.get(search.name)
            if known is None or (known.done() and known.exception() is not None):
                known = self._searches.submit(self._search, search)
                self._under_way[search.name] = known
            return known

    def _search(self, search: SearchPlan) -> Journal:
        journal = _journal(self.results / SEARCHES / search.name, search)
        if len(journal.trials) >= search.settings.trials and not journal.running:
            return journal
        try:
            search.run(journal, _SharedWorkers(self), _Told(search.name, self.tell), self.results)
        except LostWorkersError:
            if self.closed.is_set():
                raise StoppedError("its search was told to stop") from None
            raise BrokenExecutor("the workers of its search died") from None
        return journal


_THREADS = 1000  # that wait for searches and for cells after them; they cost little


@contextmanager
def searching(
    executor: Executor, results: Path, workers: int, tell: TellTrial
) -> Iterator[SearchingExecutor]:
    """Yield a ``SearchingExecutor``, which ends with the block."""
    searches = SearchingExecutor(executor, results, workers, tell)
    try:
        yield searches
    finally:
        searches.shutdown(wait=False, cancel_futures=True)


def with_best(plan: CellPlan, search: SearchPlan, journal: Journal) -> CellPlan:
    """Return a cell with the settings of the best trial of its search.

    A limit to the epochs of trials does not hold for the cell, unless epochs were searched, too.

    Raises:
        RunError: if no trial has succeeded.
    """
    if journal.best is None:
        first = journal.trials[0].reason
        raise RunError(f"all {len(journal.trials)} trials of its search failed; the first: {first}")
    chosen = replace(search.subject, epochs=None).with_settings(journal.best.settings)
    return replace(plan, hyperparameters=dict(chosen.hyperparameters), training=chosen.training)


def _journal(folder: Path, search: SearchPlan) -> Journal:
    """Go on with a search, or begin it; one of other code, data or settings is out of date."""
    if identity_in(folder) not in (None, search.identity):
        shutil.rmtree(folder)
    return Journal.reopen(folder, search.identity)


@dataclass(frozen=True)
class _Told:
    """Passes on what a search tells."""

    name: str
    tell: TellTrial

    def recalled(self, done: int, total: int) -> None:
        """Nobody waits for a single search."""

    def ended(self, trial: Trial, journal: Journal) -> None:
        self.tell(self.name, trial, journal)


class _SharedWorkers(ExecutorWorkers):
    """The workers of a benchmark; that it ends, or loses all of them, is no failure of a trial."""

    def __init__(self, searches: SearchingExecutor) -> None:
        super().__init__(searches.executor, searches.workers)
        self.searches = searches

    @property
    def share(self) -> int:
        """How many trials run at the same time."""
        return self.searches.share

    def run(self, work: Work, number: int, settings: Mapping[str, Any]) -> End:
        """Let a worker run a trial, and wait for it."""
        end = super().run(work, number, settings)
        if end.outcome is None and (self.searches.closed.is_set() or not self._alive()):
            return replace(end, lost=True)
        return end

    def _alive(self) -> bool:
        """Return whether the executor still takes work."""
        try:
            self.executor.submit(os.getpid)
        except RuntimeError:  # of which BrokenExecutor is one
            return False
        return True

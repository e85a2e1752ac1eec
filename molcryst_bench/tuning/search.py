"""A search: proposals become trials on workers, results become better proposals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Protocol

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.journal import DONE, FAILED, STOPPED, Journal, Trial
from molcryst_bench.tuning.proposer import Proposer
from molcryst_bench.tuning.space import Space
from molcryst_bench.tuning.trial import Outcome

PUBLISHED = "published"
Run = Callable[[Halving, int, Mapping[str, Any]], Outcome]


class Observer(Protocol):
    """Who is told how a search goes on."""

    def ended(self, trial: Trial, journal: Journal) -> None:
        """A trial has ended, one way or the other."""


@dataclass(frozen=True)
class Search:
    """All parts of a search."""

    space: Space
    start: Mapping[str, Any]  # settings of the first trial
    run: Run  # in a worker; raises if the trial fails
    proposer: Proposer
    halving: Halving
    origin: str  # of proposals: the method
    error_unit: str
    budget: int  # trials, with those before a break

    def go_on(self, journal: Journal, executor: Executor, workers: int, observer: Observer) -> None:
        """Run what is missing of the budget; trials that were under way first.

        Args:
            journal: of the trials so far, which is written as they end.
            executor: runs the trials.
            workers: trials at the same time.
            observer: is told.
        """
        self._recall(journal)
        with _evaluator(self._runner(executor), workers) as evaluator:
            evaluator.submit([_job(trial) for trial in journal.running])
            while True:
                self._propose(journal, evaluator, workers)
                if not journal.running:
                    return
                jobs = evaluator.gather("BATCH", 1)
                self._learn(journal, {job.args["trial"]: job.output for job in jobs}, observer)

    def _recall(self, journal: Journal) -> None:
        """Ask and tell again all that was before a break, so that proposals go on as without it."""
        told = {t.trial: t.rungs for t in journal.trials if t.status in (DONE, STOPPED)}
        self.halving.begin(told)
        turns = [(t.asked, False, t) for t in journal.trials if t.origin != PUBLISHED]
        turns += [(t.told, True, t) for t in journal.trials if t.told is not None]
        turns.sort(key=lambda turn: (turn[0], turn[2].trial))
        for (_, is_result), group in groupby(turns, key=lambda turn: turn[:2]):
            trials = [trial for *_, trial in group]
            if is_result:
                self._tell(trials)
            else:
                self.proposer.ask(len(trials))

    def _propose(self, journal: Journal, evaluator: Any, workers: int) -> None:
        """Give work to idle workers: the start first, then what is proposed."""
        turn, new = journal.turn, []
        idle = min(workers - len(journal.running), self.budget - len(journal.trials))
        if idle > 0 and not journal.trials:
            settings = {p.name: self.start[p.name] for p in self.space.parameters}
            first = self._trial(0, PUBLISHED, settings, self.space.proposal(self.start), turn)
            journal.trials.append(first)
            new, idle, turn = [first], idle - 1, turn + 1
        for proposal in self.proposer.ask(idle) if idle > 0 else ():
            settings = self.space.settings(proposal)
            trial = self._trial(len(journal.trials), self.origin, settings, proposal, turn)
            journal.trials.append(trial)
            new.append(trial)
        if new:
            journal.write()
            evaluator.submit([_job(trial) for trial in new])

    def _trial(
        self,
        number: int,
        origin: str,
        settings: dict[str, Any],
        proposal: dict[str, Any] | None,
        turn: int,
    ) -> Trial:
        start = datetime.now(UTC)
        return Trial(number, origin, settings, proposal, self.error_unit, turn, start)

    def _learn(self, journal: Journal, ended: Mapping[int, _End], observer: Observer) -> None:
        turn = journal.turn
        trials = [journal.trials[number] for number in sorted(ended)]
        for trial in trials:
            ended[trial.trial].write(trial, turn)
            if trial.status == FAILED:
                self.halving.forget(trial.trial)
        journal.write()
        self._tell(trials)
        for trial in trials:
            observer.ended(trial, journal)

    def _tell(self, trials: list[Trial]) -> None:
        known = [(t.proposal, t.error) for t in trials if t.proposal is not None]
        self.proposer.tell(known)

    def _runner(self, executor: Executor) -> Callable[[Mapping[str, Any]], _End]:
        """Return what a thread does with a trial: it waits for a worker to run it."""

        def run(job: Mapping[str, Any]) -> _End:
            start = datetime.now(UTC)
            try:
                future = executor.submit(self.run, self.halving, job["trial"], job["settings"])
                outcome = future.result()
            except Exception as error:  # whatever is wrong with one trial, others go on
                return _End(start, datetime.now(UTC), None, _reason(error))
            return _End(start, datetime.now(UTC), outcome, "")

        return run


@dataclass(frozen=True)
class _End:
    """How a trial has ended."""

    start: datetime
    end: datetime
    outcome: Outcome | None
    reason: str  # of its failure

    def write(self, trial: Trial, turn: int) -> None:
        """Tell a trial what it came to."""
        trial.start, trial.end, trial.told = self.start, self.end, turn
        found = self.outcome
        if found is None or not math.isfinite(found.error):
            trial.status, trial.seconds = FAILED, (self.end - self.start).total_seconds()
            trial.reason = self.reason if found is None else f"its error is {found.error}"
            return
        trial.status = STOPPED if found.stopped else DONE
        trial.error, trial.epochs, trial.best_epoch = found.error, found.epochs, found.best_epoch
        trial.seconds, trial.rungs, trial.worker = found.seconds, found.rungs, found.worker


def _job(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.trial, "settings": trial.settings}


def _reason(error: Exception) -> str:
    """Return why a trial failed."""
    if isinstance(error, BrokenExecutor):
        return "its worker process died, perhaps for lack of memory"
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return f"it ran out of memory: {error}".partition("\n")[0]
    return str(error) if isinstance(error, MolcrystError) else f"{type(error).__name__}: {error}"


@contextmanager
def _evaluator(run: Callable[[Mapping[str, Any]], _End], workers: int) -> Iterator[Any]:
    """Yield DeepHyper's evaluator whose threads wait for the workers."""
    from deephyper.evaluator import Evaluator

    evaluator = Evaluator.create(run, method="thread", method_kwargs={"num_workers": workers})
    try:
        yield evaluator
    finally:
        evaluator.close()

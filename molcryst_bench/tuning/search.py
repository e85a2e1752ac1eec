"""A search: proposals become trials on workers, results become better proposals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from molcryst_bench.tuning.cost import Costs
from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.journal import DONE, FAILED, STOPPED, Journal, Trial
from molcryst_bench.tuning.proposer import Objectives, Proposer
from molcryst_bench.tuning.settings import Cost
from molcryst_bench.tuning.space import Space
from molcryst_bench.tuning.trial import Outcome
from molcryst_bench.tuning.workers import End, LostWorkersError, Workers

PUBLISHED = "published"
Run = Callable[[Halving, int, Mapping[str, Any]], Outcome]


class Observer(Protocol):
    """Who is told how a search goes on."""

    def recalled(self, done: int, total: int) -> None:
        """So many turns from before a break have been gone through again."""

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
    cost: Cost = "none"  # second objective
    code: str = ""  # digest of all that a trial runs through

    def go_on(self, journal: Journal, workers: Workers, observer: Observer) -> None:
        """Run what is missing of the budget; trials that were under way first.

        Args:
            journal: of the trials so far, which is written as they end.
            workers: run the trials.
            observer: is told.

        Raises:
            LostWorkersError: if there are no workers any more.
        """
        journal.budget = self.budget
        self._recall(journal, observer)
        for trial in journal.running:
            trial.code = self.code
        with workers.evaluator(partial(self.run, self.halving)) as evaluator:
            evaluator.submit([_job(trial) for trial in journal.running])
            while True:
                self._propose(journal, evaluator, workers.share)
                if not journal.running:
                    return
                found = {j.args["trial"]: j.output for j in evaluator.gather("BATCH", 1)}
                ended = {trial: end for trial, end in found.items() if not end.lost}
                self._learn(journal, ended, observer)
                if len(ended) < len(found):
                    raise LostWorkersError("the workers of the search are gone")

    def _recall(self, journal: Journal, observer: Observer) -> None:
        """Ask and tell again all that was before a break, so that proposals go on as without it."""
        told = {t.trial: t.rungs for t in journal.trials if t.status in (DONE, STOPPED)}
        self.halving.begin(told)
        turns = [(t.asked, False, t) for t in journal.trials if t.origin != PUBLISHED]
        turns += [(t.told, True, t) for t in journal.trials if t.told is not None]
        turns.sort(key=lambda turn: (turn[0], turn[2].trial))
        for (turn, is_result), group in groupby(turns, key=lambda turn: turn[:2]):
            observer.recalled(turn, journal.turn)
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
        unit, code = self.error_unit, self.code
        return Trial(number, origin, settings, proposal, unit, turn, start, code=code)

    def _learn(self, journal: Journal, ended: Mapping[int, End], observer: Observer) -> None:
        turn = journal.turn
        trials = [journal.trials[number] for number in sorted(ended)]
        for trial in trials:
            _write(ended[trial.trial], trial, turn)
            if trial.status == FAILED:
                self.halving.forget(trial.trial)
        journal.write()
        self._tell(trials)
        for trial in trials:
            observer.ended(trial, journal)

    def _tell(self, trials: list[Trial]) -> None:
        known = [(t.proposal, self._objectives(t)) for t in trials if t.proposal is not None]
        self.proposer.tell(known)

    def _objectives(self, trial: Trial) -> Objectives | None:
        """Return what is to be small."""
        cost = Costs(trial.parameters, trial.inference_seconds).of(self.cost)
        if trial.error is None or cost is None:
            return None if trial.error is None else (trial.error,)
        return (trial.error, cost)


def _write(found: End, trial: Trial, turn: int) -> None:
    """Tell a trial what it came to."""
    trial.start, trial.end, trial.told = found.start, found.end, turn
    outcome = found.outcome
    if outcome is None or not math.isfinite(outcome.error):
        trial.status, trial.seconds = FAILED, (found.end - found.start).total_seconds()
        trial.reason = found.reason if outcome is None else f"its error is {outcome.error}"
        return
    trial.status = STOPPED if outcome.stopped else DONE
    trial.error, trial.epochs, trial.best_epoch = outcome.error, outcome.epochs, outcome.best_epoch
    trial.seconds, trial.rungs, trial.worker = outcome.seconds, outcome.rungs, outcome.worker
    trial.parameters, trial.inference_seconds = outcome.costs


def _job(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.trial, "settings": trial.settings}

"""Who runs trials: DeepHyper's evaluators, each with its kind of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from molcryst_bench.base.errors import MolcrystError
from molcryst_bench.tuning.trial import Outcome

Work = Callable[[int, Mapping[str, Any]], Outcome]
"""Runs the trial of a number with its settings; raises if the trial fails."""


@dataclass(frozen=True)
class End:
    """How a trial has ended."""

    start: datetime
    end: datetime
    outcome: Outcome | None
    reason: str = ""  # of its failure
    lost: bool = False  # with all workers: it has not failed, and is to be run again


class LostWorkersError(MolcrystError):
    """Ends a search whose trials cannot go on; those under way stay in its table as they were."""


class Workers(Protocol):
    """Those who run the trials of a search."""

    @property
    def share(self) -> int:
        """How many trials run at the same time; it may change as other work comes and goes."""

    def evaluator(self, work: Work) -> AbstractContextManager[Any]:
        """Yield DeepHyper's evaluator, whose jobs end with an ``End``."""


class ExecutorWorkers:
    """The workers of any executor: threads of the evaluator wait for them."""

    def __init__(self, executor: Executor, count: int) -> None:
        self.executor = executor
        self.count = count

    @property
    def share(self) -> int:
        """How many trials run at the same time: all are for this search."""
        return self.count

    @contextmanager
    def evaluator(self, work: Work) -> Iterator[Any]:
        """Yield the evaluator with threads."""
        from deephyper.evaluator import Evaluator

        def run(job: Mapping[str, Any]) -> End:
            return self.run(work, job["trial"], job["settings"])

        chosen = {"num_workers": self.count}
        evaluator = Evaluator.create(run, method="thread", method_kwargs=chosen)
        try:
            yield evaluator
        finally:
            evaluator.close()

    def run(self, work: Work, number: int, settings: Mapping[str, Any]) -> End:
        """Let a worker run a trial, and wait for it."""
        return ended(lambda: self.executor.submit(work, number, settings).result())


def ended(trial: Callable[[], Outcome]) -> End:
    """Run a trial and return how it has ended; whatever is wrong with it, others go on."""
    start = datetime.now(UTC)
    try:
        outcome = trial()
    except Exception as error:
        return End(start, datetime.now(UTC), None, reason_of(error))
    return End(start, datetime.now(UTC), outcome)


def reason_of(error: Exception) -> str:
    """Return why a trial failed."""
    if isinstance(error, BrokenExecutor):
        return "its worker process died, perhaps for lack of memory"
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return f"it ran out of memory: {error}".partition("\n")[0]
    return str(error) if isinstance(error, MolcrystError) else f"{type(error).__name__}: {error}"

"""Doing what is not done yet on any executor, again where a worker dies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from typing import Protocol, TypeVar

from molcryst_bench.base.errors import MolcrystError, RunError

_ATTEMPTS = 3  # at what a worker dies over


class Named(Protocol):
    """Something to do, with a name that people know it by."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


Plan = TypeVar("Plan", bound=Named)
Found = TypeVar("Found")


def run_pending(
    pending: Sequence[Plan],
    executor: Executor,
    work: Callable[[Plan], Found],
    on_end: Callable[[Plan, Found | None, str], None],
) -> dict[str, str]:
    """Do all that is pending, and return by name why some could not be done.

    Args:
        pending: in the order in which it begins.
        executor: does the work; what a worker dies over begins again, up to three times.
        work: does one.
        on_end: told what has come of each, or why nothing has.
    """
    failures: dict[str, str] = {}
    waiting = list(pending)
    for attempt in range(1, _ATTEMPTS + 1):
        futures: dict[Future[Found], Plan] = {executor.submit(work, p): p for p in waiting}
        waiting = []
        for future in as_completed(futures):
            plan, error = futures[future], future.exception()
            if isinstance(error, BrokenExecutor) and attempt < _ATTEMPTS:
                waiting.append(plan)
                continue
            reason = _in_words(error) if error else ""
            failures |= {plan.name: reason} if error else {}
            on_end(plan, None if error else future.result(), reason)
    return failures


def complain(failures: dict[str, str], total: int, what: str) -> None:
    """Name all that could not be done, if anything could not.

    Raises:
        RunError: with a line for each.
    """
    if failures:
        lines = "\n".join(f"  {name}: {reason}" for name, reason in sorted(failures.items()))
        head = f"{len(failures)} of {total} {what} could not be done; the others are:"
        raise RunError(f"{head}\n{lines}\nPut it right and run the same command again.")


def _in_words(error: BaseException) -> str:
    if isinstance(error, BrokenExecutor):
        return "its worker process died several times, perhaps for lack of memory"
    return str(error) if isinstance(error, MolcrystError) else f"{type(error).__name__}: {error}"

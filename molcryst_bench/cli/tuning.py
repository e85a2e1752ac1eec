"""The progress of one search: a bar in a terminal, and a line for each trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import TaskID

from molcryst_bench.cli.console import Bars, console, progress_bar
from molcryst_bench.report.formatting import duration
from molcryst_bench.tuning.journal import FAILED, Journal, Trial

_QUOTES = '"'


class SearchProgress(Bars):
    """Shows what each trial has come to, and the best so far."""

    def __init__(self, journal: Journal, budget: int, console: Console) -> None:
        self.console = console
        self.budget = budget
        self.progress = progress_bar()
        finished = sum(trial.finished for trial in journal.trials)
        self.recall: TaskID | None = None
        self.task = self.progress.add_task("trials", total=budget, completed=finished)

    def recalled(self, done: int, total: int) -> None:
        """Show how far the search has gone through what was before a break."""
        if self.recall is None:
            self.recall = self.progress.add_task("going through the trials so far", total=total)
        self.progress.update(self.recall, completed=done, total=total)

    def ended(self, trial: Trial, journal: Journal) -> None:
        """Print a line about a trial."""
        if self.recall is not None:
            self.progress.update(self.recall, visible=False)
        self.progress.advance(self.task)
        self.console.print(
            line_of(trial, journal, self.budget), highlight=False, markup=False, soft_wrap=True
        )


class SearchesProgress(Bars):
    """Shows how far several searches are together, and what each trial has come to."""

    def __init__(self, trials: int) -> None:
        self.progress = progress_bar()
        self.task = self.progress.add_task("trials", total=trials)

    def of(self, name: str, journal: Journal) -> OneOfSearches:
        """Return who is told of one search; what it has done before counts."""
        self.progress.advance(self.task, sum(trial.finished for trial in journal.trials))
        return OneOfSearches(self, name)


class OneOfSearches:
    """Is told of one of several searches."""

    def __init__(self, all_searches: SearchesProgress, name: str) -> None:
        self.all_searches = all_searches
        self.name = name

    def recalled(self, done: int, total: int) -> None:
        """A search that goes on has its own past in memory soon."""

    def ended(self, trial: Trial, journal: Journal) -> None:
        """Print a line about a trial."""
        self.all_searches.progress.advance(self.all_searches.task)
        tell_trial(self.name, trial, journal)


def tell_trial(search: str, trial: Trial, journal: Journal) -> None:
    """Print a line about a trial of one of several searches."""
    line = f"{search}: {line_of(trial, journal, journal.budget)}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def line_of(trial: Trial, journal: Journal, budget: int) -> str:
    """Say what a trial has come to, what is the best so far, and with which settings it ran."""
    line = f"trial {trial.trial + 1} of {budget}: {in_words(trial)}"
    best = journal.best
    if best is trial:
        line += " (the best)"
    elif best is not None:
        line += f" (best: {best.error:.4g}, trial {best.trial + 1})"
    settings = changes_of({name: _rounded(v) for name, v in trial.settings.items()})
    return f"{line}; {' '.join(settings)}"


def in_words(trial: Trial) -> str:
    """Say what a trial has come to."""
    seconds = trial.seconds or 0.0
    time = duration(seconds) if seconds >= 60 else f"{seconds:.0f} s"
    if trial.status == FAILED:
        return f"failed after {time}: {trial.reason}"
    plural = "s" * (trial.epochs != 1)
    error = f"validation error {trial.error:.4g} {trial.error_unit}"
    return f"{error}, {trial.status} after {trial.epochs} epoch{plural}, {time}"


def changes_of(settings: Mapping[str, Any]) -> list[str]:
    """Write settings as one gives them on the command line, with all their digits."""
    return [f"{name}={json.dumps(v).strip(_QUOTES)}" for name, v in settings.items()]


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value

"""The progress of a benchmark in the terminal: bars where there is one, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.progress import epochs_so_far
from molcryst_bench.bench.result import RESULTS, CellResult
from molcryst_bench.bench.seat import Driver
from molcryst_bench.cli.console import Bars, console
from molcryst_bench.cli.training import errors_in_words, time_left
from molcryst_bench.cli.tuning import in_words
from molcryst_bench.training.history import Epoch
from molcryst_bench.tuning.journal import Journal, Trial

_LINE_SECONDS = 60.0  # between two words on the running cells in a log


class Board(Bars):
    """Shows one bar for all cells and one for each running cell, and a line for each ended one."""

    def __init__(self, leaderboard: Path) -> None:
        self.results = leaderboard / RESULTS
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[word]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_interactive,
        )
        self.bars: dict[str, TaskID] = {}
        self.all_cells: TaskID | None = None
        self.printed = time.monotonic()

    def waiting(self, driver: Driver | None) -> None:
        """Say who else is at work."""
        who = f" ({driver.in_words})" if driver is not None else ""
        line = f"Another run is at work on these results{who}; waiting for it to end ..."
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def started(self, plans: Sequence[CellPlan], finished: int) -> None:
        """Say how much there is to do."""
        total = len(plans) + finished
        if plans:
            console.print(f"{total} cells, {finished} of them done before", highlight=False)
        else:
            console.print(f"All {total} cells were done before", highlight=False)
        self.all_cells = self.progress.add_task("cells", total=total, completed=finished, word="")

    def tick(self, running: Sequence[CellPlan]) -> None:
        """Move the bars of the running cells."""
        if self.progress.disable and time.monotonic() - self.printed < _LINE_SECONDS:
            return
        for plan in running:
            epochs = epochs_so_far(plan, self.results)
            if epochs is not None and plan.trains:
                self._tell(plan, epochs)

    def trial(self, search: str, trial: Trial, journal: Journal) -> None:
        """Say what a trial of a search has come to."""
        line = f"{search}: trial {trial.trial + 1}: {in_words(trial)}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def again(self, plan: CellPlan, reason: str) -> None:
        """Say that a cell will be run again, from its checkpoint."""
        self._remove_bar(plan.cell.name)
        line = f"{plan.cell.name}: in the queue again: {reason}"
        console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)

    def ended(self, plan: CellPlan, result: CellResult | None, reason: str) -> None:
        """Print the error of a cell, or why there is none."""
        name = plan.cell.name
        self._remove_bar(name)
        if self.all_cells is not None:
            self.progress.advance(self.all_cells)
        if result is None:
            console.print(f"{name}: failed: {reason}", style="red", highlight=False, markup=False)
        else:
            error = f"test error {result.errors_in_words}"
            console.print(f"{name}: {error} in {result.train_seconds:.0f} s", highlight=False)

    def _remove_bar(self, name: str) -> None:
        if (bar := self.bars.pop(name, None)) is not None:
            self.progress.remove_task(bar)

    def _tell(self, plan: CellPlan, epochs: Sequence[Epoch]) -> None:
        """Move the bar of a running cell, or print a line in a log."""
        words = []
        if epochs:
            left = time_left(plan, len(epochs), epochs[-1].seconds)
            words = [errors_in_words(plan, epochs[-1]), *filter(None, [left])]
        if not self.progress.disable:
            self._move(plan, len(epochs), ", ".join(words))
        elif epochs:
            self.printed = time.monotonic()
            where = f"epoch {len(epochs):,} of {plan.training.epochs:,}"
            line = f"{plan.cell.name}: {where}: {', '.join(words)}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _move(self, plan: CellPlan, epoch: int, word: str) -> None:
        name, total = plan.cell.name, plan.training.epochs
        if name not in self.bars:
            self.bars[name] = self.progress.add_task(name, total=total, word=word)
        self.progress.update(self.bars[name], completed=epoch, word=word)

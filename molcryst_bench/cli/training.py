"""The progress of one training: a bar in a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.cli.console import Bars
from molcryst_bench.report.formatting import duration
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.steps import Step

EPOCH_SECONDS = 10.0  # between two lines of a log at the ends of epochs
STEP_SECONDS = 60.0  # between two lines of a log within an epoch
_WARM_UP_SECONDS = 3.0  # after which the pace says something


class TrainingProgress(Bars):
    """Shows how far the training of a cell is, its errors with their units, and the time left."""

    def __init__(self, plan: CellPlan, console: Console) -> None:
        self.plan = plan
        self.console = console
        self.total = plan.training.epochs
        self.progress = _TwoLines(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[where]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_interactive,
        )
        total = self.total if plan.trains else None
        self.bar = self.progress.add_task(plan.cell.name, total=total, where="", left="", errors="")
        self.errors = ""
        self.best: Epoch | None = None
        self.printed = time.monotonic()

    def on_epoch(self, epoch: Epoch) -> None:
        """Show what an epoch has come to."""
        if not self.plan.trains:
            return
        if self.best is None or epoch.valid_error < self.best.valid_error:
            self.best = epoch
        self.errors = errors_in_words(self.plan, epoch)
        if self.best is not epoch:
            self.errors += f" (best in epoch {self.best.epoch:,})"
        wait = 0.0 if epoch.epoch == self.total else EPOCH_SECONDS
        where = f"epoch {epoch.epoch:,} of {self.total:,}"
        loss = f"train loss {epoch.train_loss:.4g}"
        self._show(where, loss, epoch.epoch, epoch.seconds, wait)

    def on_step(self, step: Step) -> None:
        """Show how far an epoch is."""
        where = f"epoch {step.epoch:,} of {self.total:,}, batch {step.batch:,} of {step.batches:,}"
        loss = f"train loss {step.train_loss:.4g}"
        done = step.epoch - 1 + step.batch / step.batches
        self._show(where, loss, done, step.seconds, STEP_SECONDS)

    def _show(self, where: str, loss: str, done: float, seconds: float, wait: float) -> None:
        """Move the bar, or print a line if the last one is ``wait`` seconds old."""
        left = time_left(self.plan, done, seconds)
        errors = ", ".join(filter(None, [loss, self.errors]))
        if self.console.is_interactive:
            where = where.partition(",")[0]
            self.progress.update(self.bar, completed=done, where=where, left=left, errors=errors)
        elif time.monotonic() - self.printed >= wait:
            self.printed = time.monotonic()
            times = ", ".join(filter(None, [_rounded(seconds), left]))
            line = f"{self.plan.cell.name}: {where}: {errors}; {times}"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)


class _TwoLines(Progress):
    """A bar with the errors below it, which have no room beside it."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        for task in self.tasks:
            yield Text(task.fields["errors"], style="dim", overflow="ellipsis", no_wrap=True)


def errors_in_words(plan: CellPlan, epoch: Epoch) -> str:
    """Tell the validation errors of an epoch in the units of its task."""
    error = f"validation error {epoch.valid_mae:.4g} {plan.task.definition.error_unit}"
    if plan.task.forces_definition is None:
        return error
    return f"{error}, forces {epoch.valid_forces_mae:.4g} {plan.task.forces_definition.error_unit}"


def time_left(plan: CellPlan, done: float, seconds: float) -> str:
    """Estimate how long the rest takes at the pace so far.

    Args:
        plan: of the cell.
        done: epochs, with the part of the present one.
        seconds: that they took.
    """
    if seconds < _WARM_UP_SECONDS or not done:
        return ""
    at_most = "at most " if plan.training.patience else ""
    left = seconds * (plan.training.epochs - done) / done
    return f"{at_most}{_rounded(left)} left" if left else ""


def _rounded(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{seconds:.0f} s"

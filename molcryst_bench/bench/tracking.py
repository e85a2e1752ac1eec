"""Tracking of cells with Weights & Biases: settings, digests, curves, predictions and figures.

What goes wrong here costs the record of a cell, never the cell: one warning says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.logged import configuration, media, summary
from molcryst_bench.bench.record import Record, epoch_values
from molcryst_bench.bench.result import CellResult
from molcryst_bench.bench.wandb_run import open_run
from molcryst_bench.training.evaluate import Predictions
from molcryst_bench.training.history import Epoch


class Tracker(Record):
    """Keeps the record of a cell."""

    def __init__(self, plan: CellPlan, results: Path) -> None:
        super().__init__(plan.cell.name, "cell")
        self.plan = plan
        if plan.tracking == "wandb":
            with self.sparing():
                self.run = open_run(
                    results,
                    plan.key[:16],
                    configuration(plan),
                    run_name=plan.cell.name,
                    run_group=f"{plan.cell.task}/{plan.cell.model}",
                )

    def epoch(self, epoch: Epoch) -> None:
        """Log an epoch; a server that knows it already, from before a break, keeps what it has."""
        with self.sparing():
            if self.run is not None:
                self.run.log(epoch_values(self.plan.task, epoch), step=epoch.epoch)

    def result(self, result: CellResult, history: Sequence[Epoch], test: Predictions) -> None:
        """Log what a cell has come to."""
        with self.sparing():
            if self.run is not None:
                self.run.summary.update(summary(result))
                self.run.log(media(self.plan, result, history, test), step=history[-1].epoch + 1)


@contextmanager
def tracked(plan: CellPlan, results: Path) -> Iterator[Tracker]:
    """Yield the tracker of a cell, whose record says in the end whether the block succeeded.

    Args:
        plan: of the cell; says whether it is tracked at all.
        results: the folder of all results; records go to ``wandb`` in it.
    """
    tracker = Tracker(plan, results)
    try:
        yield tracker
    except BaseException:
        tracker.close(exit_code=1)
        raise
    tracker.close(exit_code=0)

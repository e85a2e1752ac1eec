"""A record of one run in Weights & Biases, whose loss costs nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from molcryst_bench.bench.wandb_run import abandon_runs
from molcryst_bench.training.history import Epoch
from molcryst_bench.training.task import Task

if TYPE_CHECKING:
    import wandb


class Record:
    """A run of Weights & Biases; after something has gone wrong it keeps no more."""

    def __init__(self, subject: str, what: str) -> None:
        """Keep nothing yet.

        Args:
            subject: what the record is of.
            what: such as ``cell``, which is not affected by what goes wrong with it.
        """
        self.subject = subject
        self.what = what
        self.run: wandb.Run | None = None

    def close(self, exit_code: int) -> None:
        """End the record; 0 says that its subject has succeeded."""
        with self.sparing():
            if self.run is not None:
                self.run.finish(exit_code)

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """Turn what goes wrong into a warning."""
        try:
            yield
        except Exception as error:
            self.run = None
            abandon_runs()
            what = f"Weights & Biases keeps no whole record of {self.subject}"
            advice = f"The {self.what} itself is not affected"
            advice += "; 'tracking: none' in params.yaml does without"
            warnings.warn(f"{what}: {type(error).__name__}: {error}. {advice}.", stacklevel=4)


def epoch_values(task: Task, epoch: Epoch) -> dict[str, float]:
    """Return the numbers of an epoch, with units in the names of errors."""
    values = epoch._asdict()
    named = {f"valid_mae_{task.definition.error_unit}": values.pop("valid_mae")}
    forces_error = values.pop("valid_forces_mae")
    if task.forces_definition is not None:
        named[f"valid_forces_mae_{task.forces_definition.error_unit}"] = forces_error
    return values | named

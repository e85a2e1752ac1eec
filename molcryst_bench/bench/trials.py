"""Trials of a search, each with a record in Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molcryst_bench.base.files import digest_of
from molcryst_bench.bench.params import Tracking
from molcryst_bench.bench.record import Record, epoch_values
from molcryst_bench.bench.wandb_run import open_run
from molcryst_bench.training.history import Epoch
from molcryst_bench.tuning.halving import Halving
from molcryst_bench.tuning.trial import Outcome, Subject, run_trial


@dataclass(frozen=True)
class TrackedTrials:
    """Runs the trials of one search, in any process, and keeps a record of each."""

    name: str  # of the search
    identity: Mapping[str, Any]  # of it
    tracking: Tracking
    folder: Path  # records go to ``wandb`` in it

    def __call__(
        self, subject: Subject, halving: Halving, number: int, settings: Mapping[str, Any]
    ) -> Outcome:
        """Run one trial; see ``run_trial``."""
        record = _TrialRecord(self, subject, number, settings)
        try:
            outcome = run_trial(subject, halving, number, settings, record.epoch)
        except BaseException:
            record.close(exit_code=1)
            raise
        record.outcome(outcome)
        record.close(exit_code=0)
        return outcome


class _TrialRecord(Record):
    def __init__(
        self, trials: TrackedTrials, subject: Subject, number: int, settings: Mapping[str, Any]
    ) -> None:
        name = f"{trials.name}/trial {number + 1}"
        super().__init__(name, "trial")
        self.subject_of_search = subject
        configuration = _configuration(trials.identity, subject, number, settings)
        if trials.tracking == "wandb":
            with self.sparing():
                self.run = open_run(
                    trials.folder,
                    digest_of([trials.identity, number])[:16],
                    configuration,
                    run_name=name,
                    run_group=trials.name,
                    run_job_type="trial",
                )

    def epoch(self, epoch: Epoch) -> None:
        """Log an epoch."""
        with self.sparing():
            if self.run is not None:
                self.run.log(epoch_values(self.subject_of_search.task, epoch), step=epoch.epoch)

    def outcome(self, outcome: Outcome) -> None:
        """Log what the trial has come to, the error with its unit."""
        found = {
            f"error_{self.subject_of_search.error_unit}": outcome.error,
            "epochs": outcome.epochs,
            "best_epoch": outcome.best_epoch,
            "stopped": outcome.stopped,
            "seconds": outcome.seconds,
            "worker": outcome.worker,
            **outcome.costs._asdict(),
        }
        with self.sparing():
            if self.run is not None:
                self.run.summary.update({k: v for k, v in found.items() if v is not None})


def _configuration(
    identity: Mapping[str, Any], subject: Subject, number: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that decides the numbers of a trial, and the unit of its error."""
    chosen = subject.with_settings(settings)
    return {
        **{key: identity[key] for key in ("task", "model", "store", "split", "code")},
        "trial": number + 1,
        "searched": dict(settings),
        "hyperparameters": dict(chosen.hyperparameters),
        "training": chosen.training.model_dump(),
        "search": identity["settings"],
        "seed": subject.seed,
        "error_unit": subject.error_unit,
    }

"""From the cells of one task to a row for each model: over seeds, over test items, ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from molcryst_bench.report.entries import Entry, Summary, finite_first
from molcryst_bench.report.results import Cell, Predictions
from molcryst_bench.report.statistics import shared_ranks
from molcryst_bench.report.submissions.judge import Judged
from molcryst_bench.sources.card import Target
from molcryst_bench.training.bootstrap import RESAMPLES, Bounds, interval, resampled_means
from molcryst_bench.training.ensemble import EnsembleErrors, ensemble_errors
from molcryst_bench.training.metrics import error_terms, errors_from, force_errors_from

_FORCES = "forces_"


@dataclass(frozen=True)
class Tested:
    """A cell and what it said about the test set."""

    cell: Cell
    predictions: Predictions
    force_terms: np.ndarray | None = None  # (5, items) what the errors of forces are made of
    submission: Judged | None = None  # where others have trained it

    @property
    def row(self) -> tuple[str, str]:
        """What tells the rows of a table from each other."""
        return self.cell.model, self.submission.submission.name if self.submission else ""

    def force_terms_of(self, forces: Target | None) -> tuple[np.ndarray, Target] | None:
        """Return those terms with the definition of the forces, where there are any."""
        if self.force_terms is None or forces is None:
            return None
        return self.force_terms, forces


def rank_models(
    tested: Sequence[Tested], target: Target, forces: Target | None = None
) -> tuple[Entry, ...]:
    """Aggregate over seeds and sort by mean MAE.

    Args:
        tested: all cells of a task, those of a model beside each other.
        target: of the predictions.
        forces: their definition, where all cells have them.
    """
    resampled = _resample(tested, target, forces)
    groups = [list(group) for _, group in groupby(tested, key=lambda each: each.row)]
    columns = _consecutive([len(group) for group in groups])
    found = [
        (group, {name: values[:, rows].mean(1) for name, values in resampled.items()})
        for group, rows in zip(groups, columns, strict=True)
    ]
    found.sort(key=lambda pair: finite_first(_mean_mae(pair[0])))
    ranks = shared_ranks(np.stack([errors["mae"] for _, errors in found], axis=1))
    return tuple(
        _entry(rank, group, {name: interval(values) for name, values in errors.items()}, target)
        for rank, (group, errors) in zip(ranks, found, strict=True)
    )


def _resample(
    tested: Sequence[Tested], target: Target, forces: Target | None
) -> dict[str, np.ndarray]:
    """Return (RESAMPLES, cells) of each error: all cells on the same resampled items."""
    pairs = [(each.predictions.prediction, each.predictions.target) for each in tested]
    errors = errors_from(_means([error_terms(*pair) for pair in pairs]), target)
    if forces is None:
        return errors
    terms = [each.force_terms for each in tested if each.force_terms is not None]
    of_forces = force_errors_from(_means(terms), forces)
    return errors | {_FORCES + name: values for name, values in of_forces.items()}


def _means(terms: Sequence[np.ndarray]) -> np.ndarray:
    """Return (RESAMPLES, cells, terms) of each cell's (terms, items)."""
    means = resampled_means(np.concatenate(terms))
    return means.reshape(RESAMPLES, len(terms), -1)


def _consecutive(sizes: Sequence[int]) -> Iterator[slice]:
    start = 0
    for size in sizes:
        yield slice(start, start + size)
        start += size


def _mean_mae(group: Sequence[Tested]) -> float:
    return float(np.mean([each.cell.mae for each in group]))


def _entry(
    rank: int, group: Sequence[Tested], intervals: dict[str, Bounds], target: Target
) -> Entry:
    cells = tuple(each.cell for each in group)
    return Entry(
        rank,
        cells[0].model,
        cells,
        mae=Summary.over([cell.mae for cell in cells]),
        rmse=Summary.over([cell.rmse for cell in cells]),
        r2=Summary.over([cell.r2 for cell in cells]),
        intervals=intervals,
        ensemble=_ensemble([each.predictions for each in group], target),
        submission=group[0].submission,
    )


def _ensemble(predictions: Sequence[Predictions], target: Target) -> EnsembleErrors | None:
    members = np.stack([each.prediction for each in predictions])
    return ensemble_errors(members, predictions[0].target, target)

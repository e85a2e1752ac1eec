"""By how much the errors of models differ on the same test items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from molcryst_bench.report.entries import Entry
from molcryst_bench.report.results import read_force_terms, read_predictions
from molcryst_bench.report.tables import TaskTable
from molcryst_bench.training.bootstrap import Bounds, interval, resampled_means


@dataclass(frozen=True)
class Pair:
    """The first model's error minus the second's: below zero, the first is better."""

    first: int  # places of the models
    second: int
    difference: float  # of the mean absolute errors
    bounds: Bounds  # 95 % over the same resampled test items
    nearer: float  # part of the items on which the first is nearer to the truth
    farther: float  # and the second; on the rest they are equally near


@dataclass(frozen=True)
class Quantity:
    """One error of all models on the same test items."""

    name: str
    unit: str
    decimals: int
    errors: np.ndarray  # (models, items) absolute, mean over seeds
    weights: np.ndarray  # (items,) of an item in the mean; their own mean is 1

    def pairs(self) -> list[Pair]:
        """Compare each model with each of those after it."""
        resampled = resampled_means(np.vstack([self.errors * self.weights, self.weights]))
        means = resampled[:, :-1] / resampled[:, -1:]  # (resamples, models)
        return [
            self._pair(first, second, means)
            for first, second in combinations(range(len(self.errors)), 2)
        ]

    def _pair(self, first: int, second: int, means: np.ndarray) -> Pair:
        difference = self.errors[first] - self.errors[second]
        return Pair(
            first,
            second,
            float((difference * self.weights).mean()),
            interval(means[:, first] - means[:, second]),
            float((difference < 0).mean()),
            float((difference > 0).mean()),
        )


@dataclass(frozen=True)
class Comparison:
    """Several models on the test items of one task, arrays sorted by id."""

    entries: tuple[Entry, ...]
    ids: np.ndarray  # (items,) str
    truth: np.ndarray  # (items,) in the target's unit
    quantities: tuple[Quantity, ...]


def compare(table: TaskTable, entries: Sequence[Entry], leaderboard: Path) -> Comparison:
    """Gather the errors of some models of a table on each test item.

    Raises:
        RunError: if a file of a cell is missing or has changed.
    """
    first = read_predictions(leaderboard, table.first)
    quantities = [_energies(table, entries, leaderboard)]
    if table.has_forces:
        quantities.append(_forces(table, entries, leaderboard))
    return Comparison(tuple(entries), first.ids, first.target, tuple(quantities))


def _energies(table: TaskTable, entries: Sequence[Entry], leaderboard: Path) -> Quantity:
    factor = table.properties.error_factor
    errors = np.stack([_absolute_error(entry, leaderboard) for entry in entries]) * factor
    weights = np.ones(errors.shape[1])
    return Quantity(table.target, table.first.error_unit, table.error_decimals, errors, weights)


def _absolute_error(entry: Entry, leaderboard: Path) -> np.ndarray:
    """Return the error of each item, mean over seeds, in the target's unit."""
    if entry.submission is not None:
        return np.asarray(np.abs(entry.submission.prediction - entry.submission.target))
    errors = [read_predictions(leaderboard, cell).absolute_error for cell in entry.cells]
    return np.asarray(np.mean(errors, axis=0))


def _forces(table: TaskTable, entries: Sequence[Entry], leaderboard: Path) -> Quantity:
    """Return the error of the components of the forces on each item."""
    terms = [_force_terms(entry, leaderboard) for entry in entries]  # each (5, items)
    sums, components = np.stack([each[0] for each in terms]), terms[0][2]
    field = table.card.force_field
    factor = 1.0 if field is None else table.card.targets[field.forces].error_factor
    errors = sums / components * factor
    weights = components / components.mean()
    unit = str(table.first.forces_unit)
    return Quantity("forces", unit, table.force_decimals, errors, weights)


def _force_terms(entry: Entry, leaderboard: Path) -> np.ndarray:
    if entry.submission is not None and entry.submission.force_terms is not None:
        return entry.submission.force_terms
    terms = [read_force_terms(leaderboard, cell) for cell in entry.cells]
    return np.asarray(np.mean(terms, axis=0))

"""Test items of a cell: those on which it is farthest from the truth, and some of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from molcryst_bench.report.formatting import decimals_for, number
from molcryst_bench.report.items.structures import Structures
from molcryst_bench.report.results import Predictions
from molcryst_bench.report.tables import TaskTable

SHOWN = 5
SEED = 0


@dataclass(frozen=True)
class Item:
    """A test item as a cell's page shows it, numbers as text."""

    id: str
    formula: str | None  # None where the store of the results is not here
    truth: str  # in the target's unit
    prediction: str
    error: str  # predicted minus true, in the table's error unit


def worst_items(predictions: Predictions) -> np.ndarray:
    """Return the places of the largest absolute errors, from the worst on; NaN is worst."""
    errors = predictions.absolute_error
    return np.argsort(-np.where(np.isnan(errors), np.inf, errors), kind="stable")[:SHOWN]


def drawn_items(predictions: Predictions) -> np.ndarray:
    """Return the places of some items, drawn with ``SEED``: the same for all models of a task."""
    items = len(predictions.ids)
    return np.random.default_rng(SEED).permutation(items)[:SHOWN]


def show_items(
    table: TaskTable, predictions: Predictions, places: np.ndarray, structures: Structures
) -> Iterator[Item]:
    """Yield test items as text.

    Args:
        table: says how many digits errors are shown with.
        predictions: of one cell.
        places: of the items.
        structures: of its test items.
    """
    decimals = decimals_for([float(predictions.target.std())])
    errors = (predictions.prediction - predictions.target) * table.properties.error_factor
    for place in places:
        record = str(predictions.ids[place])
        yield Item(
            record,
            structures.formula(record),
            number(float(predictions.target[place]), decimals),
            number(float(predictions.prediction[place]), decimals),
            number(float(errors[place]), table.error_decimals),
        )

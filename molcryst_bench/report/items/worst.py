"""The test items on which a cell is farthest from the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from molcryst_bench.report.formatting import decimals_for, number
from molcryst_bench.report.items.structures import Structures
from molcryst_bench.report.results import Predictions
from molcryst_bench.report.tables import TaskTable

WORST = 5


@dataclass(frozen=True)
class WorstItem:
    """A test item as a cell's page shows it, numbers as text."""

    id: str
    formula: str | None  # None where the store of the results is not here
    truth: str  # in the target's unit
    prediction: str
    error: str  # predicted minus true, in the table's error unit


def worst_items(
    table: TaskTable, predictions: Predictions, structures: Structures
) -> Iterator[WorstItem]:
    """Yield the items with the largest absolute errors, from the worst on; NaN is worst.

    Args:
        table: says how many digits errors are shown with.
        predictions: of one cell.
        structures: of its test items.
    """
    decimals = decimals_for([float(predictions.target.std())])
    errors = predictions.prediction - predictions.target
    sizes = np.where(np.isnan(errors), np.inf, np.abs(errors))
    for row in np.argsort(-sizes, kind="stable")[:WORST]:
        record = str(predictions.ids[row])
        yield WorstItem(
            record,
            structures.formula(record),
            number(float(predictions.target[row]), decimals),
            number(float(predictions.prediction[row]), decimals),
            number(float(errors[row]) * table.properties.error_factor, table.error_decimals),
        )

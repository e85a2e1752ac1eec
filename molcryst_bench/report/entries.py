"""What one model did on one task, over all its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molcryst_bench.report.results import Cell


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation over seeds; one seed has no deviation."""

    mean: float
    spread: float | None

    @classmethod
    def over(cls, values: Sequence[float]) -> Summary:
        """Summarise one value for each seed."""
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(float(np.mean(values)), spread)


@dataclass(frozen=True)
class Entry:
    """A model on one task. Errors are in the table's ``error_unit``."""

    rank: int
    model: str
    cells: tuple[Cell, ...]  # one for each seed
    mae: Summary
    rmse: Summary
    r2: Summary
    mae_interval: tuple[float, float]  # over test items

    @property
    def representative(self) -> Cell:
        """The cell with the lowest validation error; the test set has no say in it."""
        return min(self.cells, key=lambda cell: (finite_first(cell.valid_mae), cell.seed))

    @property
    def forces_mae(self) -> Summary:
        """Mean absolute error of the components of the forces; no number where there are none."""
        return Summary.over([_number_or_nan(cell.forces_mae) for cell in self.cells])

    @property
    def forces_cosine(self) -> Summary:
        """Mean cosine between predicted and true forces; no number where there are none."""
        return Summary.over([_number_or_nan(cell.forces_cosine) for cell in self.cells])

    @property
    def train_seconds(self) -> float:
        """Mean training time of a seed."""
        return float(np.mean([cell.train_seconds for cell in self.cells]))

    @property
    def graphs_per_second(self) -> float:
        """Mean throughput of inference on the test set."""
        return float(np.mean([cell.graphs_per_second for cell in self.cells]))


def _number_or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def finite_first(value: float) -> float:
    """Return a value to sort errors by, so that what is no number comes last."""
    return math.inf if math.isnan(value) else value

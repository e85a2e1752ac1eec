"""What one model did on one task, over all its seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from molcryst_bench.report.results import Cell
from molcryst_bench.report.submissions.judge import Judged
from molcryst_bench.training.bootstrap import Bounds
from molcryst_bench.training.ensemble import EnsembleErrors

NOMINAL_COVERAGE = 0.9  # of the intervals in the results
_SURE = 2.33  # standard deviations that chance exceeds once in a hundred times


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
    intervals: Mapping[str, Bounds]  # 95 % over test items of each error, by name
    ensemble: EnsembleErrors | None  # of all seeds, where they differ
    submission: Judged | None = None  # where others have trained it, and answer for it

    @property
    def mae_interval(self) -> Bounds:
        """The interval of the MAE over test items."""
        return self.intervals["mae"]

    @property
    def representative(self) -> Cell:
        """The cell with the lowest validation error; the test set has no say in it."""
        return min(self.cells, key=lambda cell: (finite_first(cell.valid_mae), cell.seed))

    @property
    def forces_mae(self) -> Summary:
        """Mean absolute error of the components of the forces; no number where there are none."""
        return self._over([cell.forces_mae for cell in self.cells])

    @property
    def forces_cosine(self) -> Summary:
        """Mean cosine between predicted and true forces; no number where there are none."""
        return self._over([cell.forces_cosine for cell in self.cells])

    @property
    def coverage(self) -> Summary:
        """Part of the test items within their 90 % interval; no number without intervals."""
        return self._over([cell.coverage_90 for cell in self.cells])

    @property
    def interval_width(self) -> Summary:
        """Mean width of those intervals."""
        return self._over([cell.interval_90 for cell in self.cells])

    @property
    def miscalibration(self) -> Summary:
        """Area between the coverage of intervals of all levels and what they promise."""
        return self._over([cell.miscalibration for cell in self.cells])

    @property
    def covers_too_little(self) -> bool:
        """Whether fewer items are within their 90 % interval than chance explains.

        For records like those of the validation subset, the coverage of conformal intervals has a
        beta distribution over validation subsets, and varies with the test items beside.
        """
        cell, promised = self.cells[0], NOMINAL_COVERAGE
        variance = promised * (1 - promised) * (1 / (cell.n_valid + 2) + 1 / cell.n_test)
        return self.coverage.mean < promised - _SURE * math.sqrt(variance)

    @property
    def train_seconds(self) -> float:
        """Mean training time of a seed."""
        return float(np.mean([cell.train_seconds for cell in self.cells]))

    @property
    def graphs_per_second(self) -> float:
        """Mean throughput of inference on the test set."""
        return float(np.mean([cell.graphs_per_second for cell in self.cells]))

    def _over(self, values: Sequence[float | None]) -> Summary:
        return Summary.over([math.nan if value is None else value for value in values])


def finite_first(value: float) -> float:
    """Return a value to sort errors by, so that what is no number comes last."""
    return math.inf if math.isnan(value) else value

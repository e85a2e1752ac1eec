"""What an ensemble of seeds knows of its errors: how far its members differ, against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molcryst_bench.sources.card import Target
from molcryst_bench.training.coverage import gaussian_levels, miscalibration_area
from molcryst_bench.training.metrics import Errors, errors_of

_BINS = 10
_LEAST_IN_BIN = 5  # of which a root mean square says something


@dataclass(frozen=True)
class EnsembleErrors:
    """Errors and deviations of an ensemble on a subset, in the error unit of the target."""

    members: int
    errors: Errors  # of the mean prediction
    deviation: float  # root mean square of the sample standard deviations over the members
    correlation: float  # Spearman's, of absolute errors with deviations
    miscalibration: float  # area of normal distributions with those deviations
    levels: np.ndarray  # (items,) from which on their intervals hold the truth
    binned_deviation: np.ndarray  # (bins,) root mean square, of as many items each
    binned_error: np.ndarray  # (bins,) root mean square error of the same items


def ensemble_errors(
    predictions: np.ndarray, target: np.ndarray, definition: Target
) -> EnsembleErrors | None:
    """Compare deviations over members with errors of their mean.

    Args:
        predictions: (members, items) in the target's unit.
        target: (items,) in the same.
        definition: of the target.

    Returns:
        nothing where there is nothing to compare: one member, members that are all the same, or
        predictions that are no numbers.
    """
    if len(predictions) < 2 or not np.isfinite(predictions).all():
        return None
    mean, deviation = predictions.mean(0), predictions.std(0, ddof=1)
    if np.allclose(predictions, mean, rtol=1e-9, atol=0):
        return None
    levels = gaussian_levels(mean - target, deviation)
    factor = definition.error_factor
    bins = _bins_of(deviation)
    return EnsembleErrors(
        members=len(predictions),
        errors=errors_of(mean, target, definition),
        deviation=factor * _root_mean_square(deviation),
        correlation=_rank_correlation(np.abs(mean - target), deviation),
        miscalibration=miscalibration_area(levels),
        levels=levels,
        binned_deviation=factor * np.array([_root_mean_square(deviation[rows]) for rows in bins]),
        binned_error=factor * np.array([_root_mean_square((mean - target)[rows]) for rows in bins]),
    )


def _bins_of(deviation: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each bin, from those of small to those of large deviation."""
    count = max(1, min(_BINS, len(deviation) // _LEAST_IN_BIN))
    return np.array_split(np.argsort(deviation, kind="stable"), count)


def _rank_correlation(error: np.ndarray, deviation: np.ndarray) -> float:
    from scipy.stats import spearmanr

    if len(error) < 2 or np.ptp(error) == 0 or np.ptp(deviation) == 0:
        return float("nan")
    return float(spearmanr(error, deviation).statistic)


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))

"""What methods of search have come to: least errors, their spread, and how sure a difference is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from molcryst_bench.report.columns import Column
from molcryst_bench.report.formatting import NOTHING, between, decimals_for, number, with_spread
from molcryst_bench.report.searches.reading import Comparison, Method
from molcryst_bench.training.bootstrap import CONFIDENCE, Bounds


@dataclass(frozen=True)
class Spread:
    """Mean of some values, their sample standard deviation and the interval of the mean."""

    mean: float
    deviation: float | None  # none of a single value
    interval: Bounds | None  # from Student's t distribution

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """Sum values up, (values,)."""
        if len(values) == 0:
            return cls(math.nan, None, None)
        mean = float(values.mean())
        if len(values) == 1:
            return cls(mean, None, None)
        deviation = float(values.std(ddof=1))
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation
        half /= math.sqrt(len(values))
        return cls(mean, deviation, (mean - half, mean + half))


def error_decimals(comparison: Comparison) -> int:
    """Return the decimals that every error of a comparison is shown with."""
    least = [method.minima.min() for method in comparison.methods if len(method.minima)]
    return decimals_for([*least, *comparison.published])


def summary_columns(comparison: Comparison) -> tuple[Column, ...]:
    """Return the table of least errors and deviations: a row for each method."""
    unit, decimals = comparison.unit, error_decimals(comparison)
    of = _Columns(comparison.methods)
    spreads = [Spread.of(method.minima) for method in comparison.methods]
    interval = f"{100 * CONFIDENCE:g} % interval of its mean ({unit})"
    return (
        of.texts("method", "Method", [method.name for method in comparison.methods]),
        of.counts("repeats", "Repeats", [len(m.searches) for m in comparison.methods]),
        of.counts("trials", "Trials", [method.trials for method in comparison.methods]),
        of.counts("stopped", "Ended early", [method.stopped for method in comparison.methods]),
        of.counts("failed", "Failed", [method.failed for method in comparison.methods]),
        Column(
            "minimum",
            f"Least error of a repeat ({unit})",
            tuple(with_spread(s.mean, s.deviation, decimals) for s in spreads),
            tuple(spread.mean for spread in spreads),
        ),
        of.intervals(
            "interval",
            interval,
            [s.interval for s in spreads],
            decimals,
        ),
        of.numbers("best", f"Least of all ({unit})", [_least(m.minima) for m in of.rows], decimals),
        of.numbers("median", f"Median trial ({unit})", [_median(m) for m in of.rows], decimals),
        of.intervals(
            "quartiles", f"Middle half of trials ({unit})", [_middle(m) for m in of.rows], decimals
        ),
        of.numbers(
            "deviation",
            f"Deviation of trials ({unit})",
            [Spread.of(method.errors).deviation for method in of.rows],
            decimals,
        ),
    )


def verdict(comparison: Comparison) -> str:
    """Say which of two methods finds less, if that is more than chance; whoever it is."""
    if len(comparison.methods) != 2:
        return ""
    one, other = comparison.methods
    if min(len(one.minima), len(other.minima)) < 2:
        return "One repeat says nothing about which method is better."
    found = stats.ttest_ind(one.minima, other.minima, equal_var=False)
    low, high = map(float, found.confidence_interval(CONFIDENCE))
    decimals, difference = error_decimals(comparison), one.minima.mean() - other.minima.mean()
    said = (
        f"The least error of {one.name} minus that of {other.name} is "
        f"{number(difference, decimals)} {comparison.unit} in the mean over repeats, "
        f"{100 * CONFIDENCE:g} % interval {between((low, high), decimals)} (Welch)"
    )
    if low <= 0 <= high or not math.isfinite(low + high):
        return f"{said}: they cannot be told apart."
    return f"{said}: {one.name if high < 0 else other.name} finds less."


def published_in_words(comparison: Comparison) -> str:
    """Say what the settings to start from come to, and how many searches have found better ones."""
    errors = comparison.published
    if not len(errors):
        return "The settings to start from have no error: their trials failed or are under way."
    spread, decimals = Spread.of(errors), error_decimals(comparison)
    better = sum(
        s.published is not None and s.published.error is not None and s.least < s.published.error
        for s in comparison.searches
    )
    mean = with_spread(spread.mean, spread.deviation, decimals)
    return (
        f"The settings to start from, the first trial of each search, come to {mean} "
        f"{comparison.unit} over {len(errors)} seed{'s' * (len(errors) > 1)}; {better} of "
        f"{len(comparison.searches)} searches found better ones."
    )


@dataclass(frozen=True)
class _Columns:
    """Makes columns with a row for each method."""

    rows: tuple[Method, ...]

    def texts(self, key: str, header: str, texts: list[str]) -> Column:
        return Column(key, header, tuple(texts), tuple(texts))

    def counts(self, key: str, header: str, counts: list[int]) -> Column:
        return Column(key, header, tuple(f"{count:,}" for count in counts), tuple(counts))

    def numbers(self, key: str, header: str, values: list[float | None], decimals: int) -> Column:
        known = [math.nan if value is None else value for value in values]
        return Column(key, header, tuple(number(v, decimals) for v in known), tuple(known))

    def intervals(
        self, key: str, header: str, bounds: list[Bounds | None], decimals: int
    ) -> Column:
        texts = [NOTHING if each is None else between(each, decimals) for each in bounds]
        lows = [math.nan if each is None else each[0] for each in bounds]
        return Column(key, header, tuple(texts), tuple(lows))


def _least(values: np.ndarray) -> float | None:
    return float(values.min()) if len(values) else None


def _median(method: Method) -> float | None:
    return float(np.median(method.errors)) if len(method.errors) else None


def _middle(method: Method) -> Bounds | None:
    if not len(method.errors):
        return None
    low, high = np.quantile(method.errors, (0.25, 0.75))
    return float(low), float(high)

"""The best trials as tables: a column for each hyperparameter, the error in the task's unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from molcryst_bench.report.columns import Column
from molcryst_bench.report.formatting import NOTHING, number, significant
from molcryst_bench.report.searches.reading import Comparison, Method, SearchTable
from molcryst_bench.report.searches.summary import error_decimals
from molcryst_bench.tuning.journal import STOPPED, Trial

TOP = 10
_MILLI = 1e3


class Ranked(NamedTuple):
    """A trial, and the search that it belongs to."""

    search: SearchTable
    trial: Trial
    error: float


def best_trials(method: Method, count: int = TOP) -> list[Ranked]:
    """Return the best of all trials that a method has proposed in all its repeats."""
    found = [
        Ranked(search, trial, trial.error)
        for search in method.searches
        for trial in search.own
        if trial.error is not None
    ]
    return sorted(found, key=lambda each: (each.error, each.search.seed))[:count]


def start_trials(comparison: Comparison) -> list[Ranked]:
    """Return the best of the trials with the settings to start from, if one has succeeded."""
    found = [
        Ranked(search, search.published, search.published.error)
        for search in comparison.searches
        if search.published is not None and search.published.error is not None
    ]
    return sorted(found, key=lambda each: each.error)[:1]


def trial_columns(comparison: Comparison, trials: Sequence[Ranked]) -> tuple[Column, ...]:
    """Return a table of trials.

    Args:
        comparison: that they belong to.
        trials: its rows.
    """
    decimals = error_decimals(comparison)
    errors = [each.error for each in trials]
    return (
        _counts("rank", "Rank", list(range(1, len(trials) + 1))),
        _counts("seed", "Seed", [each.search.seed for each in trials]),
        _counts("trial", "Trial", [each.trial.trial + 1 for each in trials]),
        Column(
            "error",
            f"Validation error ({comparison.unit})",
            tuple(number(error, decimals) for error in errors),
            tuple(errors),
        ),
        *(_setting(parameter.name, trials) for parameter in comparison.parameters),
        *_costs(trials),
        Column("trained", "Epochs trained", *_epochs(trials)),
    )


def _counts(key: str, header: str, counts: list[int]) -> Column:
    return Column(key, header, tuple(f"{count:,}" for count in counts), tuple(counts))


def _setting(name: str, trials: Sequence[Ranked]) -> Column:
    values = [each.trial.settings.get(name) for each in trials]
    return Column(f"setting {name}", name, tuple(map(in_words, values)), tuple(map(_key, values)))


def in_words(value: Any) -> str:
    """Return a setting as it is shown: numbers with three digits, small ones with powers."""
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    if value and not 1e-3 <= abs(value) < 1e4:
        mantissa, _, power = f"{value:.2e}".partition("e")
        return f"{mantissa}e{int(power)}"
    return significant(value)


def _key(value: Any) -> float | str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number else str(value)


def _costs(trials: Sequence[Ranked]) -> tuple[Column, ...]:
    """Return the columns of costs that are known."""
    weights = [each.trial.parameters for each in trials]
    times = [each.trial.inference_seconds for each in trials]
    columns = []
    if any(count is not None for count in weights):
        texts = [NOTHING if count is None else f"{count:,}" for count in weights]
        keys = [math.nan if count is None else float(count) for count in weights]
        columns.append(Column("parameters", "Parameters", tuple(texts), tuple(keys)))
    if any(seconds is not None for seconds in times):
        keys = [math.nan if seconds is None else seconds * _MILLI for seconds in times]
        texts = [NOTHING if math.isnan(key) else significant(key) for key in keys]
        header = "Inference (ms per structure)"
        columns.append(Column("inference", header, tuple(texts), tuple(keys)))
    return tuple(columns)


def _epochs(trials: Sequence[Ranked]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    counts = [each.trial.epochs or 0 for each in trials]
    stopped = [each.trial.status == STOPPED for each in trials]
    texts = [f"{n:,}{' (ended)' * ended}" for n, ended in zip(counts, stopped, strict=True)]
    return tuple(texts), tuple(map(float, counts))

"""The columns of a leaderboard table, as text: the same wherever it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from molcryst_bench.report.entries import NOMINAL_COVERAGE, Entry, Summary
from molcryst_bench.report.formatting import (
    NOTHING,
    between,
    decimals_for,
    duration,
    number,
    percent,
    significant,
    with_spread,
)
from molcryst_bench.training.bootstrap import CONFIDENCE, Bounds
from molcryst_bench.training.ensemble import EnsembleErrors

_AREA = 3  # decimals of miscalibration areas


@dataclass(frozen=True)
class Column:
    """One column of a table: texts to show and values to sort by, one for each entry."""

    key: str
    header: str
    texts: tuple[str, ...]
    values: tuple[float | str, ...]


def columns_of(
    entries: Sequence[Entry], unit: str, error_decimals: int, r2_decimals: int
) -> tuple[Column, ...]:
    """Return all columns of a table.

    Args:
        entries: its rows.
        unit: of the errors.
        error_decimals: decimals of errors.
        r2_decimals: decimals of R².
    """
    of = _Columns(entries)
    return (
        of.count("rank", "Rank", lambda entry: entry.rank),
        of.column("model", "Model", lambda entry: entry.model, lambda entry: entry.model),
        of.summary("mae", f"MAE ({unit})", lambda entry: entry.mae, error_decimals),
        of.interval("mae", f"MAE ({unit})", error_decimals),
        of.summary("rmse", f"RMSE ({unit})", lambda entry: entry.rmse, error_decimals),
        of.summary("r2", "R²", lambda entry: entry.r2, r2_decimals),
        *_of_forces(of, r2_decimals),
        *_of_intervals(of, unit, error_decimals),
        *_of_sizes_and_costs(of),
    )


def uncertainty_of(
    entries: Sequence[Entry], unit: str, error_decimals: int, r2_decimals: int
) -> tuple[Column, ...]:
    """Return the columns of the table of uncertainty; see ``columns_of`` for the arguments."""
    of = _Columns(entries)
    return (
        of.column("model", "Model", lambda entry: entry.model, lambda entry: entry.model),
        of.interval("rmse", f"RMSE ({unit})", error_decimals),
        of.interval("r2", "R²", r2_decimals),
        *_of_cosines(of, r2_decimals),
        of.summary("miscalibration", "Miscalibration area", lambda e: e.miscalibration, _AREA),
        of.ensemble("members", "Ensemble of", lambda found: found.members, 0),
        of.ensemble(
            "ensemble_mae", f"MAE of its mean ({unit})", lambda f: f.errors.mae, error_decimals
        ),
        of.ensemble(
            "deviation", f"Standard deviation ({unit})", lambda f: f.deviation, error_decimals
        ),
        of.ensemble("correlation", "Rank correlation with error", lambda f: f.correlation, 2),
        of.ensemble(
            "ensemble_miscalibration",
            "Miscalibration area of the deviation",
            lambda f: f.miscalibration,
            _AREA,
        ),
    )


def force_decimals(entries: Sequence[Entry]) -> int:
    """Return the decimals that show every error of the forces."""
    return max(1, decimals_for(entry.forces_mae.mean for entry in entries))


def _of_forces(of: _Columns, cosine_decimals: int) -> tuple[Column, ...]:
    """Return the errors of the forces, on tasks that have them."""
    unit = of.entries[0].cells[0].forces_unit
    if unit is None:
        return ()
    decimals = force_decimals(of.entries)
    return (
        of.summary("forces_mae", f"Force MAE ({unit})", lambda e: e.forces_mae, decimals),
        of.interval("forces_mae", f"force MAE ({unit})", decimals),
        of.summary("forces_cosine", "Force cosine", lambda e: e.forces_cosine, cosine_decimals),
    )


def _of_cosines(of: _Columns, decimals: int) -> tuple[Column, ...]:
    if of.entries[0].cells[0].forces_unit is None:
        return ()
    return (of.interval("forces_cosine", "force cosine", decimals),)


def _of_intervals(of: _Columns, unit: str, decimals: int) -> tuple[Column, ...]:
    """Return how often conformal intervals hold the truth, and how wide they are."""
    name = f"{100 * NOMINAL_COVERAGE:g} % intervals"
    return (
        of.column(
            "coverage",
            f"Coverage of {name}",
            lambda entry: percent(entry.coverage.mean, entry.coverage.spread),
            lambda entry: entry.coverage.mean,
        ),
        of.summary("width", f"Width of {name} ({unit})", lambda e: e.interval_width, decimals),
    )


def _training_items(entry: Entry) -> int:
    """Return how many were learnt from; of what others have trained, that is not known."""
    return entry.cells[0].n_train if entry.submission is None else 0


def _of_sizes_and_costs(of: _Columns) -> tuple[Column, ...]:
    return (
        of.count("n_test", "Test items", lambda entry: entry.cells[0].n_test),
        of.count("n_train", "Training items", _training_items),
        of.count("seeds", "Seeds", lambda entry: len(entry.cells)),
        of.count("parameters", "Parameters", lambda entry: entry.cells[0].parameters),
        of.column(
            "train_seconds",
            "Training time",
            lambda entry: duration(entry.train_seconds),
            lambda entry: entry.train_seconds,
        ),
        of.column(
            "graphs_per_second",
            "Inference (graphs/s)",
            lambda entry: significant(entry.graphs_per_second),
            lambda entry: entry.graphs_per_second,
        ),
    )


@dataclass(frozen=True)
class _Columns:
    """Makes columns of the rows of a table."""

    entries: Sequence[Entry]

    def column(
        self,
        key: str,
        header: str,
        text: Callable[[Entry], str],
        value: Callable[[Entry], float | str],
    ) -> Column:
        texts, values = map(text, self.entries), map(value, self.entries)
        return Column(key, header, tuple(texts), tuple(values))

    def count(self, key: str, header: str, value: Callable[[Entry], int]) -> Column:
        def text(entry: Entry) -> str:
            found = value(entry)
            return NOTHING if entry.submission is not None and not found else f"{found:,}"

        return self.column(key, header, text, value)

    def summary(
        self, key: str, header: str, value: Callable[[Entry], Summary], decimals: int
    ) -> Column:
        def text(entry: Entry) -> str:
            return with_spread(value(entry).mean, value(entry).spread, decimals)

        return self.column(key, header, text, lambda entry: value(entry).mean)

    def interval(self, error: str, header: str, decimals: int) -> Column:
        """Return the interval over test items of one of the errors."""
        nothing = (math.nan, math.nan)

        def bounds(entry: Entry) -> Bounds:
            return entry.intervals.get(error, nothing)

        return self.column(
            f"{error}_interval",
            f"{100 * CONFIDENCE:g} % interval of {header}",
            lambda entry: between(bounds(entry), decimals),
            lambda entry: bounds(entry)[0],
        )

    def ensemble(
        self, key: str, header: str, value: Callable[[EnsembleErrors], float], decimals: int
    ) -> Column:
        """Return a number of the ensembles; some models make none."""

        def found(entry: Entry) -> float:
            return math.nan if entry.ensemble is None else value(entry.ensemble)

        return self.column(key, header, lambda entry: number(found(entry), decimals), found)

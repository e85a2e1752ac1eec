"""The columns of a leaderboard table, as text: the same wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from molcryst_bench.report.entries import Entry, Summary
from molcryst_bench.report.formatting import between, duration, significant, with_spread


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
        of.column(
            "interval",
            f"95 % interval of MAE ({unit})",
            lambda entry: between(entry.mae_interval, error_decimals),
            lambda entry: entry.mae_interval[0],
        ),
        of.summary("rmse", f"RMSE ({unit})", lambda entry: entry.rmse, error_decimals),
        of.summary("r2", "R²", lambda entry: entry.r2, r2_decimals),
        *_of_forces(of, error_decimals, r2_decimals),
        *_of_sizes_and_costs(of),
    )


def _of_forces(of: _Columns, error_decimals: int, cosine_decimals: int) -> tuple[Column, ...]:
    """Return the errors of the forces, on tasks that have them."""
    unit = of.entries[0].cells[0].forces_unit
    if unit is None:
        return ()
    return (
        of.summary("forces_mae", f"Force MAE ({unit})", lambda e: e.forces_mae, error_decimals),
        of.summary("forces_cosine", "Force cosine", lambda e: e.forces_cosine, cosine_decimals),
    )


def _of_sizes_and_costs(of: _Columns) -> tuple[Column, ...]:
    return (
        of.count("n_test", "Test items", lambda entry: entry.cells[0].n_test),
        of.count("n_train", "Training items", lambda entry: entry.cells[0].n_train),
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
        return self.column(key, header, lambda entry: f"{value(entry):,}", value)

    def summary(
        self, key: str, header: str, value: Callable[[Entry], Summary], decimals: int
    ) -> Column:
        def text(entry: Entry) -> str:
            return with_spread(value(entry).mean, value(entry).spread, decimals)

        return self.column(key, header, text, lambda entry: value(entry).mean)

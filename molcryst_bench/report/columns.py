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

    def column(
        key: str,
        header: str,
        text: Callable[[Entry], str],
        value: Callable[[Entry], float | str],
    ) -> Column:
        return Column(key, header, tuple(map(text, entries)), tuple(map(value, entries)))

    def count(key: str, header: str, value: Callable[[Entry], int]) -> Column:
        return column(key, header, lambda entry: f"{value(entry):,}", value)

    def summary(key: str, header: str, value: Callable[[Entry], Summary], digits: int) -> Column:
        def text(entry: Entry) -> str:
            return with_spread(value(entry).mean, value(entry).spread, digits)

        return column(key, header, text, lambda entry: value(entry).mean)

    forces_unit = entries[0].cells[0].forces_unit
    of_forces = (
        summary("forces_mae", f"Force MAE ({forces_unit})", lambda e: e.forces_mae, error_decimals),
        summary("forces_cosine", "Force cosine", lambda e: e.forces_cosine, r2_decimals),
    )
    return (
        count("rank", "Rank", lambda entry: entry.rank),
        column("model", "Model", lambda entry: entry.model, lambda entry: entry.model),
        summary("mae", f"MAE ({unit})", lambda entry: entry.mae, error_decimals),
        column(
            "interval",
            f"95 % interval of MAE ({unit})",
            lambda entry: between(entry.mae_interval, error_decimals),
            lambda entry: entry.mae_interval[0],
        ),
        summary("rmse", f"RMSE ({unit})", lambda entry: entry.rmse, error_decimals),
        summary("r2", "R²", lambda entry: entry.r2, r2_decimals),
        *(of_forces if forces_unit else ()),
        count("n_test", "Test items", lambda entry: entry.cells[0].n_test),
        count("n_train", "Training items", lambda entry: entry.cells[0].n_train),
        count("seeds", "Seeds", lambda entry: len(entry.cells)),
        count("parameters", "Parameters", lambda entry: entry.cells[0].parameters),
        column(
            "train_seconds",
            "Training time",
            lambda entry: duration(entry.train_seconds),
            lambda entry: entry.train_seconds,
        ),
        column(
            "graphs_per_second",
            "Inference (graphs/s)",
            lambda entry: significant(entry.graphs_per_second),
            lambda entry: entry.graphs_per_second,
        ),
    )

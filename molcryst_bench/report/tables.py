"""One table for each task and split: what all outputs show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from molcryst_bench.base.errors import RunError
from molcryst_bench.report.formatting import (
    between,
    decimals_for,
    duration,
    number,
    significant,
    with_spread,
)
from molcryst_bench.report.results import Cell, Predictions, read_predictions, read_results
from molcryst_bench.report.statistics import interval, resampled_means, shared_ranks
from molcryst_bench.sources.card import Card, Target, load_card

_AGREEMENT = 1e-3  # relative; results come from single precision


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
        return min(self.cells, key=lambda cell: (_or_last(cell.valid_mae), cell.seed))

    @property
    def train_seconds(self) -> float:
        """Mean training time of a seed."""
        return float(np.mean([cell.train_seconds for cell in self.cells]))

    @property
    def graphs_per_second(self) -> float:
        """Mean throughput of inference on the test set."""
        return float(np.mean([cell.graphs_per_second for cell in self.cells]))


@dataclass(frozen=True)
class Column:
    """One column of a table: texts to show and values to sort by, one for each entry."""

    key: str
    header: str
    texts: tuple[str, ...]
    values: tuple[float | str, ...]


@dataclass(frozen=True)
class TaskTable:
    """All models on one task and split, from best to worst."""

    task: str
    split: str
    card: Card
    target: str
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """Task and split in words."""
        return f"{self.task}, {self.split} split"

    @property
    def first(self) -> Cell:
        """A cell to ask for what all cells of the table share."""
        return self.entries[0].cells[0]

    @property
    def properties(self) -> Target:
        """What the card says about the target."""
        return self.card.targets[self.target]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The table as text, with the unit of every number."""
        return _columns(self.entries, self.first.error_unit, self.error_decimals)

    @property
    def error_decimals(self) -> int:
        """Decimals that every error of the table is shown with."""
        return decimals_for(entry.mae.mean for entry in self.entries)

    @property
    def is_sample(self) -> bool:
        """Whether the cells have seen a part of the dataset only."""
        return self.first.records < self.card.records

    @property
    def scope(self) -> str:
        """How much of the dataset the cells have seen."""
        used, total = self.first.records, self.card.records
        if not self.is_sample:
            return f"all {total:,} records of {self.card.title}"
        return f"a sample of {used:,} of the {total:,} records of {self.card.title}"

    @property
    def in_words(self) -> str:
        """Models and their errors in one sentence, for those who cannot see the figure."""
        pairs = zip(self.column("model").texts, self.column("mae").texts, strict=True)
        return ", ".join(f"{model} {mae}" for model, mae in pairs)

    @property
    def code_digests(self) -> list[str]:
        """Digests of the code of all cells."""
        return sorted({cell.code_digest for entry in self.entries for cell in entry.cells})

    def column(self, key: str) -> Column:
        """Return one column."""
        return next(column for column in self.columns if column.key == key)


def build_tables(leaderboard: Path) -> list[TaskTable]:
    """Read all results, check them against their files and aggregate them.

    Raises:
        RunError: if a file is missing or does not give the number in the results, or if cells of
            one table cannot be compared.
        SettingsError: if a dataset has no card.
    """
    cells = read_results(leaderboard)
    groups = groupby(cells, key=lambda cell: (cell.task, cell.split))
    return [_build_table(leaderboard, list(group)) for _, group in groups]


def explain_ranks() -> str:
    """Say what a rank, a spread and an interval mean."""
    return (
        "MAE, RMSE and R² are means over seeds ± sample standard deviation over seeds (none with "
        "one seed). Models are sorted by mean MAE. Models share a rank if the 95 % interval of "
        "their paired difference in absolute error, each test item's averaged over seeds, contains "
        "0. Intervals come from 2,000 bootstrap resamples of the test items; they do not contain "
        "the spread over seeds."
    )


def _build_table(leaderboard: Path, cells: list[Cell]) -> TaskTable:
    first = cells[0]
    card = load_card(first.dataset)
    if first.target not in card.targets:
        raise RunError(f"{first.name}: the card of {card.name} has no target '{first.target}'")
    _check_comparable(leaderboard, cells)
    predictions = [read_predictions(leaderboard, cell) for cell in cells]
    _check_same_items(cells, predictions)
    factor = card.targets[first.target].error_factor
    errors = [factor * found.absolute_error for found in predictions]
    for cell, found in zip(cells, errors, strict=True):
        _check_number(leaderboard, cell, found)
    entries = _rank(cells, errors)
    return TaskTable(first.task, first.split, card, first.target, entries)


def _rank(cells: list[Cell], errors: list[np.ndarray]) -> tuple[Entry, ...]:
    """Aggregate over seeds and sort by mean MAE."""
    pairs = groupby(zip(cells, errors, strict=True), key=lambda pair: pair[0].model)
    groups = [list(zip(*group, strict=True)) for _, group in pairs]
    groups.sort(key=lambda group: _or_last(float(np.mean([cell.mae for cell in group[0]]))))
    per_item = np.stack([np.mean(found, axis=0) for _, found in groups])
    means = resampled_means(per_item)
    ranks = shared_ranks(means)
    return tuple(
        _entry(rank, tuple(of_model), interval(means[:, number]))
        for number, (rank, (of_model, _)) in enumerate(zip(ranks, groups, strict=True))
    )


def _entry(rank: int, cells: tuple[Cell, ...], mae_interval: tuple[float, float]) -> Entry:
    return Entry(
        rank,
        cells[0].model,
        cells,
        mae=Summary.over([cell.mae for cell in cells]),
        rmse=Summary.over([cell.rmse for cell in cells]),
        r2=Summary.over([cell.r2 for cell in cells]),
        mae_interval=mae_interval,
    )


def _columns(entries: tuple[Entry, ...], unit: str, error_digits: int) -> tuple[Column, ...]:

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

    return (
        count("rank", "Rank", lambda entry: entry.rank),
        column("model", "Model", lambda entry: entry.model, lambda entry: entry.model),
        summary("mae", f"MAE ({unit})", lambda entry: entry.mae, error_digits),
        column(
            "interval",
            f"95 % interval of MAE ({unit})",
            lambda entry: between(entry.mae_interval, error_digits),
            lambda entry: entry.mae_interval[0],
        ),
        summary("rmse", f"RMSE ({unit})", lambda entry: entry.rmse, error_digits),
        summary("r2", "R²", lambda entry: entry.r2, 3),
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


def _check_comparable(leaderboard: Path, cells: list[Cell]) -> None:
    """All numbers of one table must be about the same records in the same unit."""
    for field in ("store_digest", "split_digest", "unit", "error_unit", "target"):
        found = sorted({getattr(cell, field) for cell in cells})
        if len(found) > 1:
            path = leaderboard / "results.parquet"
            message = f"{path}: the cells of {cells[0].task} differ in {field}"
            advice = "run `molcryst bench run` again to renew the stale ones"
            raise RunError(f"{message} ({', '.join(found)}): {advice}")


def _check_same_items(cells: list[Cell], predictions: list[Predictions]) -> None:
    for cell, found in zip(cells, predictions, strict=True):
        if not np.array_equal(found.ids, predictions[0].ids):
            message = f"{cell.name} and {cells[0].name} were tested on different items"
            raise RunError(f"{message}: run `molcryst bench run` again")


def _check_number(leaderboard: Path, cell: Cell, errors: np.ndarray) -> None:
    """A number that does not follow from its file has no place on a leaderboard."""
    found = float(np.mean(errors))
    both_diverged = not math.isfinite(found) and not math.isfinite(cell.mae)
    if not both_diverged and not math.isclose(found, cell.mae, rel_tol=_AGREEMENT):
        path = leaderboard / cell.folder / "predictions.parquet"
        shown = f"{number(found, 4)} {cell.error_unit}, results.parquet says {number(cell.mae, 4)}"
        raise RunError(f"{path} gives an MAE of {shown}: run `molcryst bench run` again")


def _or_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def all_cells(tables: Iterable[TaskTable]) -> list[Cell]:
    """Return the cells of all tables, in the order of the tables."""
    return [cell for table in tables for entry in table.entries for cell in entry.cells]

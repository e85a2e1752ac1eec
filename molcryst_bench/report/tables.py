"""One table for each task and split: what all outputs show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from molcryst_bench.base.errors import RunError
from molcryst_bench.report.checks import check_comparable, check_number, check_same_items
from molcryst_bench.report.columns import Column, columns_of
from molcryst_bench.report.entries import Entry, Summary, finite_first
from molcryst_bench.report.formatting import decimals_for
from molcryst_bench.report.results import Cell, read_predictions, read_results
from molcryst_bench.report.statistics import (
    CONFIDENCE,
    RESAMPLES,
    interval,
    resampled_means,
    shared_ranks,
)
from molcryst_bench.sources.card import Card, Target, load_card


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
        return columns_of(
            self.entries, self.first.error_unit, self.error_decimals, self.r2_decimals
        )

    @property
    def error_decimals(self) -> int:
        """Decimals that every error of the table is shown with."""
        return max(1, decimals_for(entry.mae.mean for entry in self.entries))

    @property
    def r2_decimals(self) -> int:
        """Decimals that tell a good R² from 1."""
        missing = decimals_for(1 - entry.r2.mean for entry in self.entries)
        return min(max(3, missing - 1), 6)

    @property
    def profile(self) -> str:
        """The profile, or those, that the cells were run with."""
        profiles = {cell.profile for entry in self.entries for cell in entry.cells}
        return ", ".join(sorted(profiles))

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
    percent = round(100 * CONFIDENCE)
    return (
        "MAE, RMSE and R² are means over seeds ± sample standard deviation over seeds (none with "
        "one seed). Models are sorted by mean MAE. Models share a rank if the "
        f"{percent} % interval of their paired difference in absolute error, each test item's "
        f"averaged over seeds, contains 0. Intervals come from {RESAMPLES:,} bootstrap resamples "
        "of the test items; they do not contain the spread over seeds."
    )


def _build_table(leaderboard: Path, cells: list[Cell]) -> TaskTable:
    first = cells[0]
    card = load_card(first.dataset)
    if first.target not in card.targets:
        raise RunError(f"{first.name}: the card of {card.name} has no target '{first.target}'")
    check_comparable(leaderboard, cells)
    predictions = [read_predictions(leaderboard, cell) for cell in cells]
    check_same_items(cells, predictions)
    factor = card.targets[first.target].error_factor
    errors = [factor * found.absolute_error for found in predictions]
    for cell, found in zip(cells, errors, strict=True):
        check_number(leaderboard, cell, found)
    entries = _rank(cells, errors)
    return TaskTable(first.task, first.split, card, first.target, entries)


def _rank(cells: list[Cell], errors: list[np.ndarray]) -> tuple[Entry, ...]:
    """Aggregate over seeds and sort by mean MAE."""
    pairs = groupby(zip(cells, errors, strict=True), key=lambda pair: pair[0].model)
    groups = [list(zip(*group, strict=True)) for _, group in pairs]
    groups.sort(key=lambda group: finite_first(float(np.mean([cell.mae for cell in group[0]]))))
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


def all_cells(tables: Iterable[TaskTable]) -> list[Cell]:
    """Return the cells of all tables, in the order of the tables."""
    return [cell for table in tables for entry in table.entries for cell in entry.cells]

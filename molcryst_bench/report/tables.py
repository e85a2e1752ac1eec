"""One table for each task and split: what all outputs show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from molcryst_bench.base.errors import RunError
from molcryst_bench.report.aggregate import Tested, rank_models
from molcryst_bench.report.checks import check_comparable, check_same_items, check_split
from molcryst_bench.report.columns import Column, columns_of, force_decimals, uncertainty_of
from molcryst_bench.report.entries import NOMINAL_COVERAGE, Entry
from molcryst_bench.report.formatting import decimals_for, percent
from molcryst_bench.report.provenance.numbers import check_cell
from molcryst_bench.report.quoted import Quoted, quoted_results
from molcryst_bench.report.results import (
    Cell,
    read_force_terms,
    read_predictions,
    read_results,
)
from molcryst_bench.report.submissions.judge import Submission
from molcryst_bench.report.submissions.shown import (
    measure_submissions,
    read_submissions,
    truth_of,
)
from molcryst_bench.sources.card import Card, Target, load_card
from molcryst_bench.training.bootstrap import CONFIDENCE, RESAMPLES


@dataclass(frozen=True)
class TaskTable:
    """All models on one task and split, from best to worst."""

    task: str
    split: str
    card: Card
    target: str
    entries: tuple[Entry, ...]
    quoted: tuple[Quoted, ...] = ()  # what others have published

    @property
    def title(self) -> str:
        """Task and split in words."""
        return f"{self.task}, {self.split} split"

    @property
    def own(self) -> tuple[Entry, ...]:
        """The models that were trained here, without what others have submitted."""
        return tuple(entry for entry in self.entries if entry.submission is None)

    @property
    def submitted(self) -> tuple[Entry, ...]:
        """What others have submitted."""
        return tuple(entry for entry in self.entries if entry.submission is not None)

    @property
    def first(self) -> Cell:
        """A cell to ask for what all cells of the table share."""
        return self.own[0].cells[0]

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
    def uncertainty(self) -> tuple[Column, ...]:
        """What is known of the errors of each model, as text: the table below the first."""
        return uncertainty_of(
            self.entries, self.first.error_unit, self.error_decimals, self.r2_decimals
        )

    @property
    def has_intervals(self) -> bool:
        """Whether all cells have intervals; those of older versions have none."""
        return all(cell.coverage_90 is not None for entry in self.own for cell in entry.cells)

    @property
    def has_forces(self) -> bool:
        """Whether forces are learnt with the energies."""
        return "forces_mae" in self.own[0].intervals

    @property
    def too_little_covered(self) -> str:
        """Say whose intervals hold the truth less often than chance explains; or nothing."""
        found = [entry for entry in self.entries if entry.covers_too_little]
        if not found:
            return ""
        models = ", ".join(f"{each.model} {percent(each.coverage.mean)}" for each in found)
        return (
            f"{100 * NOMINAL_COVERAGE:g} % intervals hold the truth less often here than they "
            f"promise, by more than chance explains: {models}. They are made for structures like "
            "those of the validation set."
        )

    @property
    def error_decimals(self) -> int:
        """Decimals that every error of the table is shown with."""
        return max(1, decimals_for(entry.mae.mean for entry in self.entries))

    @property
    def force_decimals(self) -> int:
        """Decimals that every error of the forces is shown with."""
        return force_decimals(self.entries)

    @property
    def r2_decimals(self) -> int:
        """Decimals that tell a good R² from 1."""
        missing = decimals_for(1 - entry.r2.mean for entry in self.entries)
        return min(max(3, missing - 1), 6)

    @property
    def profile(self) -> str:
        """The profile, or those, that the cells were run with."""
        profiles = {cell.profile for entry in self.own for cell in entry.cells}
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
    submissions = read_submissions(leaderboard)
    return [_build_table(leaderboard, list(group), submissions) for _, group in groups]


def explain_ranks() -> str:
    """Say what a rank, a spread and an interval mean."""
    confidence = round(100 * CONFIDENCE)
    return (
        "MAE, RMSE and R² are means over seeds ± sample standard deviation over seeds (none with "
        "one seed). Models are sorted by mean MAE. Models share a rank if the "
        f"{confidence} % interval of their paired difference in absolute error, each test item's "
        f"averaged over seeds, contains 0. Intervals come from {RESAMPLES:,} bootstrap resamples "
        "of the test items, of whole structures for forces; they do not contain the spread over "
        "seeds. The coverage of intervals is the part of the test items whose true value lies in "
        "a split conformal interval made from the errors on the validation set."
    )


def explain_uncertainty() -> str:
    """Say what the numbers of the second table mean."""
    return (
        "The miscalibration area lies between the coverage of intervals of all levels and what "
        "they promise: 0 is perfect, 0.5 the worst. The seeds of a model are also an ensemble: "
        "its mean prediction has an error, and its standard deviation a root mean square (which "
        "says how far seeds differ, not how far they are from the truth), a rank correlation "
        "(Spearman) with the absolute error of the mean, and a miscalibration area, of normal "
        "distributions with that standard deviation. Seeds that all predict the same make none."
    )


def _build_table(
    leaderboard: Path, cells: list[Cell], submissions: Sequence[Submission]
) -> TaskTable:
    first = cells[0]
    card = load_card(first.dataset)
    if first.target not in card.targets:
        raise RunError(f"{first.name}: the card of {card.name} has no target '{first.target}'")
    check_comparable(leaderboard, cells)
    check_split(first)
    target, forces = card.targets[first.target], _forces(cells, card)
    tested = [_test(leaderboard, cell, with_forces=forces is not None) for cell in cells]
    check_same_items(cells, [each.predictions for each in tested])
    for each in tested:
        of_forces = each.force_terms_of(forces)
        check_cell(leaderboard, each.cell, each.predictions, target, of_forces)
    truth = truth_of(leaderboard, tested[0], target, forces)
    tested += measure_submissions(submissions, tested[:1], truth)
    entries = rank_models(tested, target, forces)
    quoted = quoted_results(first.task, {"mae": first.error_unit, "forces_mae": first.forces_unit})
    return TaskTable(first.task, first.split, card, first.target, entries, quoted)


def _test(leaderboard: Path, cell: Cell, with_forces: bool) -> Tested:
    predictions = read_predictions(leaderboard, cell)
    return Tested(cell, predictions, read_force_terms(leaderboard, cell) if with_forces else None)


def _forces(cells: list[Cell], card: Card) -> Target | None:
    """Return the definition of the forces that all cells have learnt."""
    if card.force_field is None or any(cell.forces_mae is None for cell in cells):
        return None
    return card.targets[card.force_field.forces]


def all_cells(tables: Iterable[TaskTable]) -> list[Cell]:
    """Return the cells of all tables that were trained here, in the order of the tables."""
    return [cell for table in tables for entry in table.own for cell in entry.cells]

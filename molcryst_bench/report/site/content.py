"""What the pages of the site are about, each part read when it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from molcryst_bench.bench.result import RESULTS
from molcryst_bench.bench.searches import SEARCHES
from molcryst_bench.dynamics.transfers import read_transfers
from molcryst_bench.interpret.looks.stage import read_looks
from molcryst_bench.report.changes.found import Changes, changes_since
from molcryst_bench.report.changes.previous import Previous
from molcryst_bench.report.datasets import DatasetFacts, describe_dataset
from molcryst_bench.report.documentation import ModelDocument, describe_model
from molcryst_bench.report.interpretation.tables import TaskLooks, tasks_of
from molcryst_bench.report.items.structures import Structures
from molcryst_bench.report.results import Cell
from molcryst_bench.report.searches.found import Findings, findings_of
from molcryst_bench.report.searches.reading import read_comparisons
from molcryst_bench.report.tables import TaskTable, all_cells
from molcryst_bench.report.transfers.tables import MoleculeScores, molecules_of


@dataclass(frozen=True)
class Content:
    """All that the site shows.

    Attributes:
        tables: one of each task.
        leaderboard: where the files of the cells lie.
        since: older results, if changes are to be told.
    """

    tables: Sequence[TaskTable]
    leaderboard: Path
    since: Previous | None = None

    @cached_property
    def cells(self) -> list[Cell]:
        """What has been trained or submitted."""
        return all_cells(self.tables)

    @cached_property
    def models(self) -> list[ModelDocument]:
        """What each model says of itself."""
        return [describe_model(name) for name in sorted({cell.model for cell in self.cells})]

    @cached_property
    def datasets(self) -> dict[str, DatasetFacts]:
        """What is known of each dataset."""
        return {
            name: describe_dataset(name, [cell for cell in self.cells if cell.dataset == name])
            for name in sorted({cell.dataset for cell in self.cells})
        }

    @cached_property
    def searches(self) -> list[Findings]:
        """What searches for hyperparameters have found."""
        return findings_of(read_comparisons([self.leaderboard / RESULTS / SEARCHES]))

    @cached_property
    def transfers(self) -> list[MoleculeScores]:
        """How models do on molecules that they were not trained on."""
        return molecules_of(read_transfers(self.leaderboard))

    @cached_property
    def interpretations(self) -> list[TaskLooks]:
        """What looks into models have shown."""
        return tasks_of(read_looks(self.leaderboard))

    @cached_property
    def changes(self) -> Changes | None:
        """What is new since older results."""
        return None if self.since is None else changes_since(self.since, self.cells)

    def structures(self, dataset: str, digest: str) -> Structures:
        """Return the structures of a store, which is opened once."""
        if (dataset, digest) not in self._opened:
            self._opened[dataset, digest] = Structures(dataset, digest)
        return self._opened[dataset, digest]

    @cached_property
    def _opened(self) -> dict[tuple[str, str], Structures]:
        return {}

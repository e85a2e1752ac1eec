"""The static site: plain pages that work from a folder and load nothing from elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from molcryst_bench.base.errors import StoreError
from molcryst_bench.base.files import checksum_of
from molcryst_bench.base.project import store_path
from molcryst_bench.base.theme import figure_style, save_figure
from molcryst_bench.bench.result import RESULTS
from molcryst_bench.bench.searches import SEARCHES
from molcryst_bench.dynamics.transfers import read_transfers
from molcryst_bench.graphs.split import SUBSETS
from molcryst_bench.graphs.store import open_store
from molcryst_bench.interpret.looks.stage import read_looks
from molcryst_bench.report import addresses, figures, uncertainty
from molcryst_bench.report.changes.found import changes_since
from molcryst_bench.report.changes.previous import Previous
from molcryst_bench.report.comparison.page import MOST_ITEMS, SEED, compare_page
from molcryst_bench.report.costs import Costs, costs_of, draw_costs
from molcryst_bench.report.croissant import DESCRIPTION, TABLE, export_dataset
from molcryst_bench.report.datasets import DatasetFacts, describe_dataset
from molcryst_bench.report.documentation import (
    Block,
    ModelDocument,
    describe_model,
    flatten,
    used_settings,
)
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.environment import make_environment
from molcryst_bench.report.formulas import Formula, draw_formula
from molcryst_bench.report.interpretation import found as interpretation
from molcryst_bench.report.interpretation import pages
from molcryst_bench.report.interpretation.tables import TaskLooks, tasks_of
from molcryst_bench.report.items.drawing import draw_structure
from molcryst_bench.report.items.shown import SEED as SEED_OF_ITEMS
from molcryst_bench.report.items.shown import Item, drawn_items, show_items, worst_items
from molcryst_bench.report.items.structures import Structures
from molcryst_bench.report.paper.differences import differences
from molcryst_bench.report.paper.exhibits import exhibits_of, known_profiles
from molcryst_bench.report.paper.run import Run
from molcryst_bench.report.paper.space import published_space
from molcryst_bench.report.results import (
    Cell,
    Predictions,
    cell_folder,
    read_history,
    read_levels,
    read_predictions,
)
from molcryst_bench.report.searches.found import Findings, findings_of
from molcryst_bench.report.searches.reading import read_comparisons
from molcryst_bench.report.submissions.shown import left_out
from molcryst_bench.report.table_files import write_table_files
from molcryst_bench.report.tables import TaskTable, all_cells, explain_ranks, explain_uncertainty
from molcryst_bench.report.transfers.found import draw_molecule, in_one_line
from molcryst_bench.report.transfers.tables import MoleculeScores, explain_scores, molecules_of

_ASSETS = Path(__file__).parent / "assets"
_CELL_FILES = (
    ("cell.json", "everything on this page"),
    ("metrics.json", "errors"),
    ("predictions.parquet", "predictions on the test set"),
    ("history.csv", "learning curve"),
    ("card.md", "what the model is for, its limits and how to use it"),
    ("model.json", "architecture and configuration"),
    ("model.safetensors", "weights"),
    ("calibration.safetensors", "errors on the validation set, for intervals"),
)


@dataclass(frozen=True)
class Result:
    """What one model did on one task, with the address of its learning curves if it has any."""

    table: TaskTable
    entry: Entry
    curves: str | None


@dataclass(frozen=True)
class Uncertain:
    """The figures of a model's uncertainty on one task, as far as there are any."""

    entry: Entry
    calibration: str | None
    deviation: str | None


def write_site(
    tables: Sequence[TaskTable],
    leaderboard: Path,
    folder: Path,
    since: Previous | None = None,
) -> None:
    """Write all pages, figures and assets into an empty folder.

    Args:
        tables: what to show.
        leaderboard: where the files of the cells lie.
        folder: becomes the site; links to cells' files assume that it lies in ``leaderboard``.
        since: older results, if changes are to be told.

    Raises:
        RunError: if a file of a cell is missing or damaged.
    """
    with figure_style():
        _Site(tables, leaderboard, folder, since).write()


class _Site:
    def __init__(
        self,
        tables: Sequence[TaskTable],
        leaderboard: Path,
        folder: Path,
        since: Previous | None,
    ) -> None:
        self.tables = tables
        self.leaderboard = leaderboard
        self.folder = folder
        self.cells = all_cells(tables)
        self.changes = None if since is None else changes_since(since, self.cells)
        self.structures = cache(Structures)
        self.environment = make_environment()
        self.environment.globals |= {
            "version": version("molcryst_bench"),
            "results_sha256": checksum_of(leaderboard / "results.parquet"),
            "finished": sorted(cell.finished for cell in self.cells),
        }

    @cached_property
    def models(self) -> list[ModelDocument]:
        return [describe_model(name) for name in sorted({cell.model for cell in self.cells})]

    @cached_property
    def datasets(self) -> dict[str, DatasetFacts]:
        return {
            name: describe_dataset(name, [cell for cell in self.cells if cell.dataset == name])
            for name in sorted({cell.dataset for cell in self.cells})
        }

    @cached_property
    def searches(self) -> list[Findings]:
        return findings_of(read_comparisons([self.leaderboard / RESULTS / SEARCHES]))

    @cached_property
    def transfers(self) -> list[MoleculeScores]:
        return molecules_of(read_transfers(self.leaderboard))

    @cached_property
    def interpretations(self) -> list[TaskLooks]:
        return tasks_of(read_looks(self.leaderboard))

    def write(self) -> None:
        shutil.copytree(_ASSETS, self.folder / "assets")
        self._write_index()
        for document in self.models:
            self._write_model(document)
        for facts in self.datasets.values():
            self._write_dataset(facts)
        for found in self.searches:
            self._write_search(found)
        if self.transfers:
            self._write_transfers()
        if self.interpretations:
            self._write_interpretations()
        for table in self.tables:
            self._write_task(table)
            for entry in table.own:
                for cell in entry.cells:
                    self._write_cell(table, entry, cell)
            for entry in table.submitted:
                self._write_submission(table, entry)
            if len(table.entries) > 1:
                self._write_comparison(table)
        if self.changes is not None:
            self._write(addresses.CHANGES, "changes.html", {"changes": self.changes})
        self._write_paper()

    def _write_index(self) -> None:
        content = {
            "tables": self.tables,
            "overviews": [self._draw_overview(table) for table in self.tables],
            "costs": [self._draw_costs(table) for table in self.tables],
            "models": self.models,
            "datasets": [facts.card for facts in self.datasets.values()],
            "searches": [found.comparison for found in self.searches],
            "transfers": in_one_line(self.transfers) if self.transfers else "",
            "interpretations": interpretation.in_one_line(self.interpretations),
            "cells": self.cells,
            "changes": self.changes,
            "left_out": left_out(self.leaderboard, self._submitted_names()),
            "explanation": explain_ranks(),
        }
        self._write(addresses.INDEX, "index.html", content)

    def _write_task(self, table: TaskTable) -> None:
        files = write_table_files(table, self.folder / addresses.table_files(table))
        content = {
            "table": table,
            "parities": list(self._draw_parities(table)),
            "spread": self._draw_spread(table),
            "uncertain": list(self._draw_uncertainties(table)),
            "on_uncertainty": explain_uncertainty(),
            "files": [path.relative_to(self.folder).as_posix() for path in files],
        }
        self._write(addresses.task_page(table), "task.html", content)

    def _write_model(self, document: ModelDocument) -> None:
        page = addresses.model_page(document.name)
        results = [
            Result(table, entry, self._draw_curves(table, entry))
            for table in self.tables
            for entry in table.own
            if entry.model == document.name
        ]
        hyperparameters = used_settings(
            [[cell.hyperparameter_values for cell in result.entry.cells] for result in results]
        )
        content = {
            "document": document,
            "formulas": self._draw_formulas(document.blocks),
            "results": results,
            "atoms": pages.atoms_of(
                document.name, self.interpretations, self.leaderboard, pages.keep_in(self.folder)
            ),
            "hyperparameters": hyperparameters,
            "fields": {field.name: field for field in document.fields},
            "training": used_settings(
                [[cell.training_values for cell in result.entry.cells] for result in results]
            ),
        }
        self._write(page, "model.html", content)

    def _submitted_names(self) -> set[str]:
        entries = [entry for table in self.tables for entry in table.submitted]
        return {entry.submission.submission.name for entry in entries if entry.submission}

    def _write_submission(self, table: TaskTable, entry: Entry) -> None:
        judged = entry.submission
        if judged is None:
            return
        content = {"table": table, "entry": entry, "cell": entry.cells[0], "judged": judged}
        page = addresses.submission_page(judged.submission.name)
        self._write(page, "submission.html", {**content, "card": judged.card})

    def _write_paper(self) -> None:
        """Say where the paper's tables and figures are; all other pages have been written."""
        pages = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.html"))
        comparisons = [found.comparison for found in self.searches]
        space = published_space()
        run = Run(self.tables, comparisons, frozenset(pages), bool(space))
        profile = ", ".join(sorted({cell.profile for cell in self.cells}))
        exhibits = exhibits_of(run, known_profiles())
        content = {"exhibits": exhibits, "profile": profile, "space": space}
        content["differences"] = differences(self.tables)
        self._write(addresses.PAPER, "paper.html", content)

    def _write_comparison(self, table: TaskTable) -> None:
        structures = self.structures(table.card.name, table.first.store_digest)
        content = {
            "table": table,
            "shown": compare_page(table, self.leaderboard, structures),
            "most": MOST_ITEMS,
            "seed": SEED,
        }
        self._write(addresses.compare_page(table), "compare.html", content)

    def _write_dataset(self, facts: DatasetFacts) -> None:
        content = {
            "facts": facts,
            "card": facts.card,
            "croissant": self._export(facts),
            "subsets": SUBSETS,
            "tables": [table for table in self.tables if table.card.name == facts.card.name],
            "histograms": list(self._draw_histograms(facts)),
        }
        self._write(addresses.dataset_page(facts.card.name), "dataset.html", content)

    def _export(self, facts: DatasetFacts) -> list[str]:
        """Write the records of a dataset for other programs; without its store there are none."""
        if facts.store is None:
            return []
        name = facts.card.name
        place = addresses.dataset_folder(name)
        try:
            export_dataset(open_store(store_path(name)), facts.card, self.folder / place)
        except StoreError:
            return []
        return [f"{place}/{file}" for file in (DESCRIPTION, TABLE)]

    def _write_search(self, found: Findings) -> None:
        drawn = [
            (each, self._save(each.figure, addresses.search_figure(each.name, found.comparison)))
            for each in found.draw()
        ]
        content = {"found": found, "drawn": drawn, "leaderboard": self.leaderboard}
        self._write(addresses.search_page(found.comparison), "search.html", content)

    def _write_transfers(self) -> None:
        molecules = [
            (
                of,
                [
                    (each, self._save(each.figure, addresses.transfer_figure(each.kind, of)))
                    for each in draw_molecule(of)
                ],
            )
            for of in self.transfers
        ]
        content = {"molecules": molecules, "explanation": explain_scores()}
        self._write(addresses.TRANSFER, "transfer.html", content)

    def _write_interpretations(self) -> None:
        drawn = interpretation.draw_roughness_of(self.interpretations)
        content = {**pages.overview(self.interpretations), "drawn": drawn, "figure": None}
        if drawn:
            content["figure"] = self._save(drawn.figure, addresses.ROUGHNESS)
        self._write(addresses.INTERPRETATION, "interpretation.html", content)
        for of in self.interpretations:
            content = pages.task_page(of, self.leaderboard, pages.keep_in(self.folder))
            self._write(addresses.interpretation_page(of.task), "interpretation_task.html", content)

    def _write_cell(self, table: TaskTable, entry: Entry, cell: Cell) -> None:
        folder = cell_folder(self.leaderboard, cell)
        found = read_predictions(self.leaderboard, cell)
        content = {
            "cell": cell,
            "table": table,
            "entry": entry,
            "raw": self.datasets[cell.dataset].raw_checksums(cell),
            "files": [(name, text) for name, text in _CELL_FILES if (folder / name).exists()],
            "hyperparameters": flatten(cell.hyperparameter_values),
            "training": flatten(cell.training_values),
            "search": flatten(cell.search_values),
            "worst": list(self._draw_items(table, cell, worst_items(found), found)),
            "drawn": list(self._draw_items(table, cell, drawn_items(found), found)),
            "seed": SEED_OF_ITEMS,
        }
        self._write(addresses.cell_page(cell), "cell.html", content)

    def _draw_items(
        self, table: TaskTable, cell: Cell, places: np.ndarray, predictions: Predictions
    ) -> Iterator[tuple[Item, str, str]]:
        """Yield test items, each with its drawing and what that shows, if there is one."""
        structures = self.structures(cell.dataset, cell.store_digest)
        for item in show_items(table, predictions, places, structures):
            address = addresses.structure_figure(cell.dataset, item.id)
            atoms = structures.atoms(item.id)
            if atoms is None:
                yield item, "", ""
            else:
                # Of dynamics, all items have the same formula.
                flat = table.card.force_field is None
                yield item, address, draw_structure(atoms, self.folder / address, flat)

    def _draw_overview(self, table: TaskTable) -> str:
        address = addresses.task_figure("overview", table)
        return self._save(figures.overview(table), address)

    def _draw_costs(self, table: TaskTable) -> tuple[str, list[Costs]] | None:
        found = costs_of(table)
        if not found:
            return None
        return self._save(draw_costs(table, found), addresses.task_figure("costs", table)), found

    def _draw_spread(self, table: TaskTable) -> str | None:
        drawn = uncertainty.spread(table)
        address = addresses.task_figure("spread", table)
        return None if drawn is None else self._save(drawn, address)

    def _draw_uncertainties(self, table: TaskTable) -> Iterator[Uncertain]:
        """Draw coverage and deviations of each model that has any."""
        for entry in table.own:
            found, calibration, deviation = entry.ensemble, None, None
            levels = self._levels(entry)
            if levels or found:
                address = addresses.task_figure("calibration", table, entry.model)
                calibration = self._save(uncertainty.calibration(entry, levels), address)
            if found:
                address = addresses.task_figure("deviation", table, entry.model)
                drawn = uncertainty.deviation(entry, found, table.first.error_unit)
                deviation = self._save(drawn, address)
            yield Uncertain(entry, calibration, deviation)

    def _levels(self, entry: Entry) -> list[np.ndarray]:
        """Return from which level on the interval of each test item holds, for each seed."""
        found = (
            read_levels(self.leaderboard, cell, read_predictions(self.leaderboard, cell))
            for cell in entry.cells
        )
        return [levels for levels in found if levels is not None]

    def _draw_parities(self, table: TaskTable) -> Iterator[tuple[Entry, str]]:
        """Draw the cell of each model that did best on the validation set."""
        for entry in table.own:
            cell = entry.representative
            predictions = read_predictions(self.leaderboard, cell)
            drawn = figures.parity(table, cell, predictions)
            address = addresses.task_figure("parity", table, entry.model)
            yield entry, self._save(drawn, address)

    def _draw_curves(self, table: TaskTable, entry: Entry) -> str | None:
        """A model that is fitted in one step has no curve to draw."""
        histories = [read_history(self.leaderboard, cell) for cell in entry.cells]
        if max(len(history.epoch) for history in histories) < 2:
            return None
        address = addresses.task_figure("curves", table, entry.model)
        return self._save(figures.learning_curves(entry.cells, histories), address)

    def _draw_histograms(self, facts: DatasetFacts) -> Iterator[tuple[str, str]]:
        """Yield the label and address of each histogram."""
        if facts.store is None:
            return
        name = facts.card.name
        label = "atoms per record"
        drawn = figures.histogram(facts.store.atoms, label, "records")
        yield label, self._save(drawn, addresses.dataset_figure("atoms", name))
        for target, values in facts.store.values.items():
            properties = facts.card.targets[target]
            label = f"{target} ({properties.unit})"
            counted = "records" if properties.level == "graph" else "atoms"
            drawn = figures.histogram(values, label, counted)
            yield label, self._save(drawn, addresses.dataset_figure("target", name, target))

    def _draw_formulas(self, blocks: Sequence[Block]) -> dict[str, Formula | None]:
        formulas = (span.text for block in blocks for span in block.spans if span.kind == "math")
        folder = self.folder / "formulas"
        return {latex: draw_formula(latex, folder) for latex in formulas}

    def _save(self, figure: Figure, address: str) -> str:
        save_figure(figure, self.folder / address)
        return address

    def _write(self, page: str, template: str, content: Mapping[str, Any]) -> None:
        link = partial(addresses.link, page)
        text = self.environment.get_template(template).render(page=page, link=link, **content)
        path = self.folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

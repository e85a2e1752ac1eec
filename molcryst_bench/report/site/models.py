"""The page of each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from molcryst_bench.report import addresses, figures
from molcryst_bench.report.documentation import Block, ModelDocument, used_settings
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.formulas import Formula, draw_formula
from molcryst_bench.report.interpretation.pages import atoms_of, keep_in
from molcryst_bench.report.results import read_history
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.press import Press
from molcryst_bench.report.tables import TaskTable


@dataclass(frozen=True)
class Result:
    """What one model did on one task, with the address of its learning curves if it has any."""

    table: TaskTable
    entry: Entry
    curves: str | None


def write_models(of: Content, press: Press) -> None:
    """Write what each model is, what it was given and what it did."""
    for document in of.models:
        _write_model(document, of, press)


def _write_model(document: ModelDocument, of: Content, press: Press) -> None:
    results = _results_of(document.name, of, press)
    cells = [result.entry.cells for result in results]
    keep = keep_in(press.folder)
    content = {
        "document": document,
        "formulas": _draw_formulas(document.blocks, press.folder / "formulas"),
        "results": results,
        "atoms": atoms_of(document.name, of.interpretations, of.leaderboard, keep),
        "hyperparameters": used_settings(
            [[cell.hyperparameter_values for cell in each] for each in cells]
        ),
        "fields": {field.name: field for field in document.fields},
        "training": used_settings([[cell.training_values for cell in each] for each in cells]),
    }
    press.page(addresses.model_page(document.name), "model.html", content)


def _results_of(model: str, of: Content, press: Press) -> list[Result]:
    return [
        Result(table, entry, _draw_curves(table, entry, of.leaderboard, press))
        for table in of.tables
        for entry in table.own
        if entry.model == model
    ]


def _draw_curves(table: TaskTable, entry: Entry, leaderboard: Path, press: Press) -> str | None:
    """A model that is fitted in one step has no curve to draw."""
    histories = [read_history(leaderboard, cell) for cell in entry.cells]
    if max(len(history.epoch) for history in histories) < 2:
        return None
    drawn = figures.learning_curves(entry.cells, histories)
    return press.figure(drawn, addresses.task_figure("curves", table, entry.model))


def _draw_formulas(blocks: Sequence[Block], folder: Path) -> dict[str, Formula | None]:
    formulas = (span.text for block in blocks for span in block.spans if span.kind == "math")
    return {latex: draw_formula(latex, folder) for latex in formulas}

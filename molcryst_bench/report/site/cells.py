"""The page of each cell: where its numbers come from, and what it is wrong about."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from molcryst_bench.report import addresses
from molcryst_bench.report.documentation import flatten
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.items.drawing import draw_structure
from molcryst_bench.report.items.shown import (
    SEED,
    Item,
    drawn_items,
    show_items,
    worst_items,
)
from molcryst_bench.report.results import Cell, Predictions, cell_folder, read_predictions
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.press import Press
from molcryst_bench.report.tables import TaskTable

_FILES = (
    ("cell.json", "everything on this page"),
    ("metrics.json", "errors"),
    ("predictions.parquet", "predictions on the test set"),
    ("history.csv", "learning curve"),
    ("card.md", "what the model is for, its limits and how to use it"),
    ("model.json", "architecture and configuration"),
    ("model.safetensors", "weights"),
    ("calibration.safetensors", "errors on the validation set, for intervals"),
)


def write_cells(of: Content, press: Press) -> None:
    """Write how each number came about."""
    for table in of.tables:
        for entry in table.own:
            for cell in entry.cells:
                _write_cell(table, entry, cell, of, press)


def _write_cell(table: TaskTable, entry: Entry, cell: Cell, of: Content, press: Press) -> None:
    folder = cell_folder(of.leaderboard, cell)
    found = read_predictions(of.leaderboard, cell)
    content = {
        "cell": cell,
        "table": table,
        "entry": entry,
        "raw": of.datasets[cell.dataset].raw_checksums(cell),
        "files": [(name, text) for name, text in _FILES if (folder / name).exists()],
        "hyperparameters": flatten(cell.hyperparameter_values),
        "training": flatten(cell.training_values),
        "search": flatten(cell.search_values),
        "worst": list(_draw_items(table, cell, worst_items(found), found, of, press)),
        "drawn": list(_draw_items(table, cell, drawn_items(found), found, of, press)),
        "seed": SEED,
    }
    press.page(addresses.cell_page(cell), "cell.html", content)


def _draw_items(
    table: TaskTable,
    cell: Cell,
    places: np.ndarray,
    predictions: Predictions,
    of: Content,
    press: Press,
) -> Iterator[tuple[Item, str, str]]:
    """Yield test items, each with its drawing and what that shows, if there is one."""
    structures = of.structures(cell.dataset, cell.store_digest)
    flat = table.card.force_field is None  # of dynamics, all items have the same formula
    for item in show_items(table, predictions, places, structures):
        address = addresses.structure_figure(cell.dataset, item.id)
        atoms = structures.atoms(item.id)
        if atoms is None:
            yield item, "", ""
        else:
            yield item, address, draw_structure(atoms, press.folder / address, flat)

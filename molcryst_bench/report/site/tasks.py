"""The pages of a task: its table and figures, and models side by side, item by item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molcryst_bench.report import addresses, figures, uncertainty
from molcryst_bench.report.comparison.page import MOST_ITEMS, SEED, compare_page
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.results import read_levels, read_predictions
from molcryst_bench.report.site.content import Content
from molcryst_bench.report.site.press import Press
from molcryst_bench.report.table_files import write_table_files
from molcryst_bench.report.tables import TaskTable, explain_uncertainty


@dataclass(frozen=True)
class Uncertain:
    """The figures of a model's uncertainty on one task, as far as there are any."""

    entry: Entry
    calibration: str | None
    deviation: str | None


def write_tasks(of: Content, press: Press) -> None:
    """Write the page of each task, and one that compares its models if there are two."""
    for table in of.tables:
        _write_task(table, of, press)
        if len(table.entries) > 1:
            _write_comparison(table, of, press)


def _write_task(table: TaskTable, of: Content, press: Press) -> None:
    files = write_table_files(table, press.folder / addresses.table_files(table))
    content = {
        "table": table,
        "parities": list(_draw_parities(table, of.leaderboard, press)),
        "spread": _draw_spread(table, press),
        "uncertain": list(_draw_uncertainties(table, of.leaderboard, press)),
        "on_uncertainty": explain_uncertainty(),
        "files": [path.relative_to(press.folder).as_posix() for path in files],
    }
    press.page(addresses.task_page(table), "task.html", content)


def _write_comparison(table: TaskTable, of: Content, press: Press) -> None:
    structures = of.structures(table.card.name, table.first.store_digest)
    content = {
        "table": table,
        "shown": compare_page(table, of.leaderboard, structures),
        "most": MOST_ITEMS,
        "seed": SEED,
    }
    press.page(addresses.compare_page(table), "compare.html", content)


def _draw_parities(
    table: TaskTable, leaderboard: Path, press: Press
) -> Iterator[tuple[Entry, str]]:
    """Draw the cell of each model that did best on the validation set."""
    for entry in table.own:
        cell = entry.representative
        drawn = figures.parity(table, cell, read_predictions(leaderboard, cell))
        yield entry, press.figure(drawn, addresses.task_figure("parity", table, entry.model))


def _draw_spread(table: TaskTable, press: Press) -> str | None:
    drawn = uncertainty.spread(table)
    return None if drawn is None else press.figure(drawn, addresses.task_figure("spread", table))


def _draw_uncertainties(table: TaskTable, leaderboard: Path, press: Press) -> Iterator[Uncertain]:
    for entry in table.own:
        calibration = _draw_calibration(table, entry, leaderboard, press)
        yield Uncertain(entry, calibration, _draw_deviation(table, entry, press))


def _draw_calibration(
    table: TaskTable, entry: Entry, leaderboard: Path, press: Press
) -> str | None:
    levels = _levels(entry, leaderboard)
    if not levels and not entry.ensemble:
        return None
    address = addresses.task_figure("calibration", table, entry.model)
    return press.figure(uncertainty.calibration(entry, levels), address)


def _draw_deviation(table: TaskTable, entry: Entry, press: Press) -> str | None:
    if not entry.ensemble:
        return None
    drawn = uncertainty.deviation(entry, entry.ensemble, table.first.error_unit)
    return press.figure(drawn, addresses.task_figure("deviation", table, entry.model))


def _levels(entry: Entry, leaderboard: Path) -> list[np.ndarray]:
    """Return from which level on the interval of each test item holds, for each seed."""
    found = (
        read_levels(leaderboard, cell, read_predictions(leaderboard, cell)) for cell in entry.cells
    )
    return [levels for levels in found if levels is not None]

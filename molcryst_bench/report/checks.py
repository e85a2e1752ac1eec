"""What must hold before cells stand in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from molcryst_bench.base.errors import RunError
from molcryst_bench.report.results import Cell, Predictions


def check_comparable(leaderboard: Path, cells: list[Cell]) -> None:
    """All numbers of one table must be about the same records in the same unit.

    Raises:
        RunError: if some cells have another store, split, target or unit.
    """
    for field in ("store_digest", "split_digest", "unit", "error_unit", "target"):
        found = sorted({getattr(cell, field) for cell in cells})
        if len(found) > 1:
            path = leaderboard / "results.parquet"
            message = f"{path}: the cells of {cells[0].task} differ in {field}"
            advice = "run `molcryst bench run` again to renew the stale ones"
            raise RunError(f"{message} ({', '.join(found)}): {advice}")


def check_same_items(cells: list[Cell], predictions: list[Predictions]) -> None:
    """The errors of models are paired by item.

    Raises:
        RunError: if a cell was tested on other items.
    """
    for cell, found in zip(cells, predictions, strict=True):
        if not np.array_equal(found.ids, predictions[0].ids):
            message = f"{cell.name} and {cells[0].name} were tested on different items"
            raise RunError(f"{message}: run `molcryst bench run` again")

"""What must hold before cells stand in one table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from molcryst_bench.base.errors import RunError
from molcryst_bench.report.formatting import number
from molcryst_bench.report.results import Cell, Predictions

_AGREEMENT = 1e-3  # relative; results come from single precision


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


def check_number(leaderboard: Path, cell: Cell, errors: np.ndarray) -> None:
    """A number that does not follow from its file has no place on a leaderboard.

    Args:
        leaderboard: where the files lie.
        cell: whose error is checked.
        errors: (items,) absolute errors of its predictions, in its ``error_unit``.

    Raises:
        RunError: if their mean is not the cell's MAE.
    """
    found = float(np.mean(errors))
    both_diverged = not math.isfinite(found) and not math.isfinite(cell.mae)
    if not both_diverged and not math.isclose(found, cell.mae, rel_tol=_AGREEMENT):
        path = leaderboard / cell.folder / "predictions.parquet"
        shown = f"{number(found, 4)} {cell.error_unit}, results.parquet says {number(cell.mae, 4)}"
        raise RunError(f"{path} gives an MAE of {shown}: run `molcryst bench run` again")

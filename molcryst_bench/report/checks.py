"""What must hold before cells stand in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from molcryst_bench.base.errors import MolcrystError, RunError, StoreError
from molcryst_bench.base.project import splits_folder, store_path
from molcryst_bench.graphs.store import open_store
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


def check_split(cell: Cell) -> None:
    """A number is about the test records of a split as it was then.

    Where the file of the split or the store of the results is not here, nothing can be said.

    Raises:
        RunError: if the split has changed since, or is no split any more.
    """
    path = splits_folder(cell.dataset) / f"{cell.split}.parquet"
    if not path.exists():
        return
    try:
        store = open_store(store_path(cell.dataset))
    except StoreError:
        return
    if store.digest != cell.store_digest:
        return
    try:
        found = store.split(cell.split).digest
    except MolcrystError as error:
        raise RunError(f"the {cell.split} split of {cell.name} cannot be read: {error}") from error
    if found != cell.split_digest:
        message = f"{path} has changed since {cell.name} was evaluated: digest {found}"
        advice = "restore the split from git, or run `molcryst bench run` again"
        raise RunError(f"{message}, stored is {cell.split_digest}: {advice}")

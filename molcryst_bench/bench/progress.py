"""How far a running cell is, told by its history, which it writes as it goes."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from molcryst_bench.base.files import partial_of
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.training.history import Epoch

HISTORY = "history.csv"
_CHECKPOINT = ".ckpt"


def history_writer(path: Path) -> Callable[[Epoch], None]:
    """Return a function that appends an epoch to a CSV, which others may read meanwhile."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(Epoch._fields)

    def append(epoch: Epoch) -> None:
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(epoch)

    return append


def epochs_so_far(plan: CellPlan, results: Path) -> list[Epoch] | None:
    """Return the epochs of a cell that is being run, or nothing if it has not begun."""
    try:
        return read_history(partial_of(results / plan.cell.name) / HISTORY)
    except FileNotFoundError:
        return None


def read_history(path: Path) -> list[Epoch]:
    """Return the epochs in a CSV that ``history_writer`` writes, but for a row it has begun."""
    with path.open(newline="", encoding="utf-8") as file:
        return [_epoch(row) for row in csv.DictReader(file) if None not in row.values()]


def sweep(plan: CellPlan, results: Path) -> None:
    """Remove what a killed run of a cell has left, but for the checkpoint of this very plan."""
    shutil.rmtree(partial_of(results / plan.cell.name), ignore_errors=True)
    own = checkpoint_path(plan, results)
    for path in own.parent.glob(f".{plan.cell.seed}.*{_CHECKPOINT}"):
        if path != own:
            path.unlink()


def checkpoint_path(plan: CellPlan, results: Path) -> Path:
    """Return where a cell keeps its checkpoint, which is good for its key alone."""
    folder = results / plan.cell.name
    return folder.with_name(f".{folder.name}.{plan.key[:16]}{_CHECKPOINT}")


@contextmanager
def kept(plan: CellPlan, results: Path) -> Iterator[Path]:
    """Yield the path of a cell's checkpoint, which goes when the block succeeds."""
    path = checkpoint_path(plan, results)
    yield path
    path.unlink(missing_ok=True)


def _epoch(row: dict[str, str]) -> Epoch:
    values = {name: float(text) for name, text in row.items() if text and name != "epoch"}
    return Epoch(epoch=int(row["epoch"]), **values)

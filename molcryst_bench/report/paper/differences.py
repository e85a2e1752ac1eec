"""By how much errors of a run differ from those that the paper states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from molcryst_bench.report import addresses
from molcryst_bench.report.entries import Entry
from molcryst_bench.report.formatting import NOTHING, number, significant, with_spread
from molcryst_bench.report.quoted import Quoted
from molcryst_bench.report.tables import TaskTable

_OURS = {"MAE": "mae", "Force MAE": "forces_mae"}


@dataclass(frozen=True)
class Difference:
    """One error of the paper and that of the same model here, as they are shown."""

    task: str
    address: str  # of the page of the task
    model: str
    quoted: Quoted
    ours: str
    difference: str
    ratio: str
    trained: str  # what ours was trained on


def differences(tables: Sequence[TaskTable]) -> list[Difference]:
    """Return all errors that the paper states for what a run has trained, as it was trained.

    Args:
        tables: of all tasks.
    """
    return [found for table in tables for found in _of_table(table)]


def _of_table(table: TaskTable) -> Iterator[Difference]:
    entries = {entry.model: entry for entry in table.own}
    for quoted in table.quoted:
        if (entry := entries.get(quoted.reproduced)) is not None:
            yield _difference(table, entry, quoted)


def _difference(table: TaskTable, entry: Entry, quoted: Quoted) -> Difference:
    error = getattr(entry, _OURS[quoted.quantity])
    decimals = table.error_decimals
    return Difference(
        task=table.title,
        address=addresses.task_page(table),
        model=entry.model,
        quoted=quoted,
        ours=f"{with_spread(error.mean, error.spread, decimals)} {quoted.unit}",
        difference=_signed(error.mean - quoted.error, decimals, quoted.unit),
        ratio=f"{significant(error.mean / quoted.error)} times",
        trained=_trained(entry),
    )


def _signed(value: float, decimals: int, unit: str) -> str:
    text = number(value, decimals)
    if text == NOTHING:
        return text
    return f"{'+' if value > 0 else ''}{text} {unit}"


def _trained(entry: Entry) -> str:
    """Say what an entry was trained on, which a smaller profile has less of."""
    cell, seeds = entry.representative, len(entry.cells)
    return f"{cell.n_train:,} items, {seeds} seed{'s' if seeds > 1 else ''}"

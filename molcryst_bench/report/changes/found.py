"""Cells that are new, gone, or have another number than before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from molcryst_bench.report.changes.previous import Previous
from molcryst_bench.report.formatting import NOTHING, decimals_for, number
from molcryst_bench.report.results import Cell

_Key = tuple[str, str, str, int]  # task, split, model, seed


@dataclass(frozen=True)
class Change:
    """One cell before and after."""

    kind: Literal["new", "changed", "gone"]
    task: str
    split: str
    model: str
    seed: int
    before: float  # MAE; no number for a new cell
    after: float  # and for one that is gone
    before_text: str  # with its unit
    after_text: str
    cell: Cell | None  # that is there now

    @property
    def growth(self) -> float:
        """By which part of what it was the error has grown; no number if the units differ."""
        units = {text.split()[-1] for text in (self.before_text, self.after_text)}
        return self.after / self.before - 1 if len(units) == 1 and self.before else math.nan


@dataclass(frozen=True)
class Changes:
    """All that differs from older results."""

    since: str
    found: tuple[Change, ...]
    same: int  # cells with the same predictions

    @property
    def in_words(self) -> str:
        """Say how many there are of each kind."""
        counts = [
            (kind, sum(change.kind == kind for change in self.found))
            for kind in ("new", "changed", "gone")
        ]
        said = [f"{count:,} {kind}" for kind, count in counts if count]
        return ", ".join([*said, f"{self.same:,} as before"])


def changes_since(previous: Previous, cells: Sequence[Cell]) -> Changes:
    """Compare older results with those of today, cell by cell."""
    before: dict[_Key, dict[str, Any]] = {
        (row["task"], row["split"], row["model"], row["seed"]): row for row in previous.rows
    }
    after: dict[_Key, Cell] = {
        (cell.task, cell.split, cell.model, cell.seed): cell for cell in cells
    }
    keys = sorted(before.keys() | after.keys())
    differing = [key for key in keys if _differ(before.get(key), after.get(key))]
    changes = tuple(_change(key, before.get(key), after.get(key)) for key in differing)
    return Changes(previous.name, changes, len(keys) - len(differing))


def _differ(before: dict[str, Any] | None, after: Cell | None) -> bool:
    if before is None or after is None:
        return True
    return bool(before["predictions_sha256"] != after.predictions_sha256)


def _change(key: _Key, before: dict[str, Any] | None, after: Cell | None) -> Change:
    old = math.nan if before is None else before["mae"]
    now = math.nan if after is None else after.mae
    decimals = max(1, decimals_for([old, now]))
    return Change(
        "new" if before is None else "gone" if after is None else "changed",
        *key,
        old,
        now,
        _with_unit(number(old, decimals), before["error_unit"] if before else ""),
        _with_unit(number(now, decimals), after.error_unit if after else ""),
        after,
    )


def _with_unit(text: str, unit: str) -> str:
    return text if text == NOTHING else f"{text} {unit}"

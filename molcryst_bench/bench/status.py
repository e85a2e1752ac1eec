"""What state each cell is in, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from molcryst_bench.base.locks import is_held
from molcryst_bench.bench.cell import CellPlan
from molcryst_bench.bench.ledger import LEDGER, Ledger
from molcryst_bench.bench.progress import epochs_so_far
from molcryst_bench.bench.result import RESULTS, read_result
from molcryst_bench.bench.runner import LOCK, finished_result

CellState = Literal["done", "running", "failed", "stale", "queued"]


class CellStatus(NamedTuple):
    """A cell, its state, and a word on it."""

    plan: CellPlan
    state: CellState
    detail: str
    seconds: float  # that it took, if done


def status_of_all(plans: Sequence[CellPlan], leaderboard: Path) -> list[CellStatus]:
    """Return the status of every cell of a profile."""
    at_work = is_held(leaderboard / LOCK)
    ledger = Ledger(leaderboard / LEDGER)
    return [_status(plan, leaderboard / RESULTS, ledger, at_work) for plan in plans]


def _status(plan: CellPlan, results: Path, ledger: Ledger, at_work: bool) -> CellStatus:
    if result := finished_result(plan, results):
        return CellStatus(plan, "done", result.errors_in_words, result.train_seconds)
    if at_work and (epochs := epochs_so_far(plan, results)) is not None:
        total = f" of {plan.training.epochs}" if plan.trains else ""
        return CellStatus(plan, "running", f"epoch {len(epochs)}{total}", 0.0)
    entry = ledger.entries.get(plan.cell.name)
    if entry and entry.state == "failed" and entry.key == plan.key:
        return CellStatus(plan, "failed", entry.reason, 0.0)
    if read_result(results / plan.cell.name):
        return CellStatus(plan, "stale", "made with other data, code or settings", 0.0)
    return CellStatus(plan, "queued", "", 0.0)

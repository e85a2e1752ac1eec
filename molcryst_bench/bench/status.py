"""What state each cell is in, for people; quick, since nothing is planned, trained or opened."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from molcryst_bench.bench.estimates import Estimates
from molcryst_bench.bench.ledger import LEDGER, Entry, Ledger
from molcryst_bench.bench.planned import Planned
from molcryst_bench.bench.running import Running, list_running
from molcryst_bench.bench.schedule import simulate
from molcryst_bench.bench.seat import Driver, driver_at_work

CellState = Literal["done", "running", "searching", "failed", "stale", "queued"]
_RESULTS, _RESULT, _HISTORY = "results", "cell.json", "history.csv"
_SEARCHES, _TRIALS = "searches", "search.parquet"


class CellStatus(NamedTuple):
    """A cell, its state, and a word on it."""

    cell: str
    state: CellState
    detail: str
    entry: Entry | None = None


class BenchStatus(NamedTuple):
    """The state of a benchmark."""

    cells: list[CellStatus]
    driver: Driver | None  # who is at work
    seconds_left: float | None  # with the workers of the driver, or of the profile
    workers: int


def status_of_all(planned: Sequence[Planned], leaderboard: Path, workers: int = 1) -> BenchStatus:
    """Return the status of every cell of a profile."""
    driver = driver_at_work(leaderboard)
    entries = Ledger(leaderboard / LEDGER).entries
    words = list_running(leaderboard) if driver is not None else {}
    running = {n: w for n, w in words.items() if driver is not None and w.token == driver.token}
    results = leaderboard / _RESULTS
    cells = [_status(cell, results, entries.get(cell.cell), running) for cell in planned]
    if driver is not None:
        cells = _with_searches(cells, planned, results / _SEARCHES)
    if driver is not None and driver.workers:
        workers = driver.workers
    return BenchStatus(cells, driver, _seconds_left(cells, entries, running, workers), workers)


def _status(
    planned: Planned, results: Path, entry: Entry | None, running: Mapping[str, Running]
) -> CellStatus:
    folder = results / planned.cell
    known = entry if entry is not None and entry.key == planned.key else None
    has_result = (folder / _RESULT).exists()
    if has_result and known is not None and known.state == "done":
        return CellStatus(planned.cell, "done", known.note, known)
    if (word := running.get(planned.cell)) is not None:
        return CellStatus(planned.cell, "running", _progress(planned, folder, word), known)
    if known is not None and known.state == "failed":
        return CellStatus(planned.cell, "failed", known.reason, known)
    if has_result:
        return _of_unknown(planned, folder)
    return CellStatus(planned.cell, "queued", known.reason if known is not None else "", known)


def _with_searches(
    cells: Sequence[CellStatus], planned: Sequence[Planned], searches: Path
) -> list[CellStatus]:
    """Tell the cells whose search is under way from those that wait for a worker."""
    names = {cell.search for cell in planned if cell.search}
    ended = {name: _ended_trials(searches / name / _TRIALS) for name in names}
    found = []
    for cell, plan in zip(cells, planned, strict=True):
        trials = ended.get(plan.search)
        if cell.state in ("queued", "stale") and trials is not None and trials < plan.trials:
            detail = f"{trials} of {plan.trials} trials for its settings"
            found.append(cell._replace(state="searching", detail=detail))
        else:
            found.append(cell)
    return found


def _ended_trials(table: Path) -> int | None:
    """Return how many trials of a search have ended; none if it has not begun."""
    if not table.exists():
        return None
    import pyarrow.parquet as pq  # takes a while, and few benchmarks search

    states: list[str] = pq.read_table(table, columns=["status"])["status"].to_pylist()
    return sum(state != "running" for state in states)


def _of_unknown(planned: Planned, folder: Path) -> CellStatus:
    """Look into a result that the ledger does not know."""
    try:
        key = json.loads((folder / _RESULT).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, TypeError, KeyError):
        return CellStatus(planned.cell, "stale", "the result is damaged")
    if key == planned.key:
        return CellStatus(planned.cell, "done", "")
    return CellStatus(planned.cell, "stale", "made with other data, code or settings")


def _progress(planned: Planned, folder: Path, word: Running) -> str:
    path = folder.with_name(f".{folder.name}.partial") / _HISTORY
    try:
        with path.open(newline="", encoding="utf-8") as file:
            epochs = sum(1 for _ in csv.reader(file)) - 1
    except OSError:
        epochs = 0
    where = f"on {word.where}"
    return f"epoch {epochs} of {planned.epochs}, {where}" if planned.trains else where


def _seconds_left(
    cells: Sequence[CellStatus],
    entries: Mapping[str, Entry],
    running: Mapping[str, Running],
    workers: int,
) -> float | None:
    """Estimate from what cells of the same models have cost; none where one has cost nothing."""
    estimates = Estimates(entries)
    left = []
    for status in cells:
        if status.state in ("done", "failed"):
            continue
        seconds = estimates.seconds(status.cell)
        if seconds is None:
            return None
        begun = running.get(status.cell)
        left.append(max(0.0, seconds - (time.time() - begun.since)) if begun else seconds)
    return simulate(left, workers).seconds

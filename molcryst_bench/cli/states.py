"""The table of ``molcryst bench status``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from molcryst_bench.bench.status import BenchStatus, CellState, CellStatus
from molcryst_bench.cli.console import console
from molcryst_bench.report.formatting import duration

_COLORS: dict[CellState, str] = {
    "done": "green",
    "running": "cyan",
    "searching": "magenta",
    "failed": "red",
    "stale": "yellow",
    "queued": "dim",
}
_MANY = 60  # cells, from which those of a model on a task share a row


def show_status(status: BenchStatus, everything: bool = False) -> None:
    """Print a table of all cells, who runs them, and about how long the rest will take."""
    if everything or len(status.cells) <= _MANY:
        console.print(_table_of(status.cells))
    else:
        console.print(_groups_of(status.cells))
        remarkable = [cell for cell in status.cells if cell.state in ("running", "failed")]
        if remarkable:
            console.print(_table_of(remarkable[:_MANY]))
    console.print(_summary(status), highlight=False, soft_wrap=True)
    if status.driver is not None:
        console.print(f"Run by {status.driver.in_words}", highlight=False, markup=False)


def _table_of(cells: Iterable[CellStatus]) -> Table:
    table = Table("cell", "state", "took", "")
    for cell in cells:
        color = _COLORS[cell.state]
        state = f"[{color}]{cell.state}[/{color}]"
        table.add_row(escape(cell.cell), state, _took(cell), escape(_detail(cell)))
    return table


def _groups_of(cells: Sequence[CellStatus]) -> Table:
    """Return a row for each model on each task, with the number of its cells in each state."""
    groups: dict[str, Counter[CellState]] = {}
    for cell in cells:
        groups.setdefault(cell.cell.rpartition("/")[0], Counter())[cell.state] += 1
    table = Table("cells of", *_COLORS)
    for name, counts in groups.items():
        numbers = [f"{counts[state]:,}" if counts[state] else "" for state in _COLORS]
        table.add_row(escape(name), *numbers)
    return table


def _took(cell: CellStatus) -> str:
    if cell.state != "done" or cell.entry is None:
        return ""
    return seconds_in_words(cell.entry.cost.wall)


def _detail(cell: CellStatus) -> str:
    attempts = cell.entry.attempts if cell.entry is not None else 0
    words = [cell.detail, f"{attempts} attempts" if attempts > 1 else ""]
    return ", ".join(filter(None, words))


def _summary(status: BenchStatus) -> str:
    counts = Counter(cell.state for cell in status.cells)
    parts = [f"{counts['done']:,} of {len(status.cells):,} cells done"]
    parts += [
        f"{counts[state]:,} {state}" for state in _COLORS if state != "done" and counts[state]
    ]
    if status.seconds_left:
        workers = f"{status.workers} worker{'s' * (status.workers > 1)}"
        parts.append(f"about {seconds_in_words(status.seconds_left)} left with {workers}")
    elif status.seconds_left is None:
        parts.append("time left unknown until one cell of each model is done")
    return ", ".join(parts)


def seconds_in_words(seconds: float) -> str:
    """Write a time with the precision that one needs."""
    return duration(seconds) if seconds >= 60 else f"{seconds:.3g} s"

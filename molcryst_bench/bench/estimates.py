"""How long a cell will take, from what others have cost."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from molcryst_bench.bench.ledger import Entry


class Estimates:
    """Means over the cells that are done: of a model on a task, else of a model on any task."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        groups: dict[str, list[float]] = {}
        for name, entry in entries.items():
            if entry.state == "done" and entry.cost.wall > 0:
                for group in _groups(name):
                    groups.setdefault(group, []).append(entry.cost.wall)
        self.means = {group: fmean(seconds) for group, seconds in groups.items()}

    def seconds(self, cell: str) -> float | None:
        """Return the estimate for a cell; none where nothing like it has been measured."""
        return next((self.means[group] for group in _groups(cell) if group in self.means), None)


def _groups(cell: str) -> tuple[str, str]:
    """Return the model on this task, and the model."""
    of_task = cell.rpartition("/")[0]
    return of_task, of_task.rpartition("/")[2]

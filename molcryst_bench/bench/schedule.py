"""Simulated schedules: when a number of workers is through with cells of known lengths."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple


class Schedule(NamedTuple):
    """What workers come to that take the longest cell left whenever they are free."""

    workers: int
    seconds: float  # until the last cell is done
    busy: float  # seconds of all workers together

    @property
    def idle_share(self) -> float:
        """The part of the workers' time in which they have nothing to do."""
        whole = self.workers * self.seconds
        return 1 - self.busy / whole if whole else 0.0


def simulate(cells: Sequence[float], workers: int, overhead: float = 0.0) -> Schedule:
    """Give each cell, the longest first, to the worker that is free first.

    Args:
        cells: seconds that each takes.
        workers: that begin at the same time.
        overhead: seconds of the driver for each cell, which hands out one after the other.
    """
    free = [0.0] * max(1, workers)
    handed = 0.0
    for seconds in sorted(cells, reverse=True):
        handed += overhead
        begin = max(heapq.heappop(free), handed)
        heapq.heappush(free, begin + seconds)
    return Schedule(workers, max(free), sum(cells))

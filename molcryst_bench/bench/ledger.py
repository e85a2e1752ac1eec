"""The ledger: what the driver of a benchmark knows of each cell, in one small file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

from molcryst_bench.base.files import write_json

LEDGER = "ledger.json"
State = Literal["queued", "running", "done", "failed"]


class Entry(NamedTuple):
    """What is known of a cell."""

    key: str
    state: State
    since: float  # seconds since the epoch
    seconds: float = 0.0  # that it took, when it is done or has failed
    reason: str = ""  # of a failure


class Ledger:
    """Written by the one driver that holds the lock of the results, read by anybody.

    A finished cell is known by its own folder; the ledger adds what a folder cannot tell.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = _read(path)

    def record(self, cell: str, key: str, state: State, reason: str = "") -> None:
        """Note a new state of a cell."""
        now = time.time()
        before = self.entries.get(cell)
        began = before.since if before and before.state == "running" else now
        self.entries[cell] = Entry(key, state, now, now - began, reason)
        content = {name: entry._asdict() for name, entry in self.entries.items()}
        write_json(self.path, content)


def _read(path: Path) -> dict[str, Entry]:
    """Read a ledger; one that is damaged is begun anew, since finished cells do not need it."""
    try:
        content: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return {name: Entry(**entry) for name, entry in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

"""The ledger: what the driver of a benchmark knows of each cell, in one small file.

It is a list of lines, each of which tells a new state of a cell; the last one of a cell counts.
Lines are only ever added, by the one driver that holds the seat, so that others read it at any
time, also over a network, and a kill costs no more than the line that was being written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TextIO

from molcryst_bench.base.files import explained_disk_errors, whole_file
from molcryst_bench.base.usage import Cost

LEDGER = "ledger.jsonl"
State = Literal["queued", "running", "done", "failed"]
_SPARE = 4  # lines for each cell from which the file is written anew


class Entry(NamedTuple):
    """What is known of a cell."""

    key: str
    state: State
    since: float  # seconds since the epoch
    attempts: int = 0  # begun so far
    reason: str = ""  # of a failure, or why it is in the queue again
    where: str = ""  # machine and process that runs it, or ran it last
    cost: Cost = Cost()  # of all attempts that have told theirs
    epochs: int = 0  # trained, once it is done
    note: str = ""  # its errors, once it is done


class Ledger:
    """The entries of all cells; a context in which new ones are written.

    A finished cell is known by its own folder; the ledger adds what a folder cannot tell.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        lines = 0
        for name, entry in _read(path):
            lines += 1
            self.entries[name] = entry
        self._is_long = lines > _SPARE * len(self.entries)
        self._file: TextIO | None = None
        self._unsure = False  # lines that the system may still lose

    def __enter__(self) -> Self:
        with explained_disk_errors(self.path):
            if self._is_long or not _ends_in_a_line(self.path):
                self._write_anew()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8", buffering=1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.secure()
        if self._file is not None:
            self._file.close()
            self._file = None

    def get(self, cell: str, key: str) -> Entry | None:
        """Return the entry of a cell if it is about this very key."""
        entry = self.entries.get(cell)
        return entry if entry is not None and entry.key == key else None

    def record(self, cell: str, key: str, state: State, **known: Any) -> Entry:
        """Note a new state of a cell; what is not given stays as it was under the same key."""
        before = self.get(cell, key) or Entry(key, state, 0.0)
        now = {"state": state, "since": time.time(), "reason": "", **known}
        entry = self.entries[cell] = before._replace(**now)
        if self._file is not None:
            with explained_disk_errors(self.path):
                self._file.write(_line(cell, entry))
            self._unsure = True
        return entry

    def secure(self) -> None:
        """Make sure that what was recorded outlasts the machine."""
        if self._file is not None and self._unsure:
            with explained_disk_errors(self.path):
                os.fsync(self._file.fileno())
            self._unsure = False

    def _write_anew(self) -> None:
        with whole_file(self.path) as partial, partial.open("w", encoding="utf-8") as file:
            file.writelines(_line(name, entry) for name, entry in self.entries.items())


def _line(cell: str, entry: Entry) -> str:
    return json.dumps({"cell": cell, **entry._asdict(), "cost": entry.cost._asdict()}) + "\n"


def _read(path: Path) -> Iterator[tuple[str, Entry]]:
    """Read a ledger but for damaged lines, since finished cells do not need it."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            found = json.loads(line)
            name, cost = found.pop("cell"), Cost(**found.pop("cost"))
            yield name, Entry(cost=cost, **found)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def _ends_in_a_line(path: Path) -> bool:
    try:
        return path.read_bytes()[-1:] in (b"", b"\n")
    except OSError:
        return True

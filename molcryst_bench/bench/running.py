"""Which cells are being run: each worker leaves a word, whatever executor it belongs to."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from molcryst_bench.bench.notes import write_note

_FOLDER = ".running"


class Running(NamedTuple):
    """A cell that is being run."""

    cell: str
    where: str
    since: float  # seconds since the epoch
    token: str  # of the driver


def here() -> str:
    """Return the name of this machine and the number of this process."""
    return f"{platform.node()}:{os.getpid()}"


@contextmanager
def announced(cell: str, leaderboard: Path, token: str) -> Iterator[None]:
    """Leave word that a cell is being run here, while the block does so."""
    running = Running(cell, here(), time.time(), token)
    write_note(_word(cell, leaderboard), running._asdict())
    try:
        yield
    finally:
        forget_running(cell, leaderboard)


def list_running(leaderboard: Path) -> dict[str, Running]:
    """Return the cells that are being run, by name; a worker that was killed leaves its word."""
    found = {}
    with suppress(FileNotFoundError):
        for path in (leaderboard / _FOLDER).glob("*.json"):
            with suppress(OSError, ValueError, TypeError):
                running = Running(**json.loads(path.read_text(encoding="utf-8")))
                found[running.cell] = running
    return found


def forget_running(cell: str, leaderboard: Path) -> None:
    """Remove the word of a worker that has gone."""
    with suppress(OSError):
        _word(cell, leaderboard).unlink(missing_ok=True)


def _word(cell: str, leaderboard: Path) -> Path:
    return leaderboard / _FOLDER / f"{cell.replace('/', '+')}.json"

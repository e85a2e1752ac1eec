"""The seat of the driver: one at a time on a results folder, on whatever machine it runs."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from molcryst_bench.base.files import explained_disk_errors, write_json

LOCK, DRIVER = ".lock", ".driver.json"
_BEAT_SECONDS = 10.0  # between two signs of life
_SILENT_SECONDS = 60.0  # after which a driver on another machine counts as dead
_POLL_SECONDS = 0.5


class Driver(NamedTuple):
    """Who runs a benchmark."""

    host: str
    process: int
    since: str  # ISO 8601, UTC
    token: str  # of this run alone
    workers: int | None = None
    executor: str = ""

    @property
    def in_words(self) -> str:
        """Say who it is."""
        since = datetime.fromisoformat(self.since).astimezone().isoformat(" ", "minutes")
        return f"process {self.process} on {self.host}, since {since}"


@contextmanager
def seat(
    leaderboard: Path,
    on_wait: Callable[[Driver | None], None],
    workers: int | None = None,
    executor: str = "",
) -> Iterator[Driver]:
    """Hold the seat of the driver; wait for it if somebody else does.

    The file system's lock decides. Where locks do not work, or not between machines, the signs of
    life of a driver on another machine do.

    Args:
        leaderboard: the folder of results, tables and ledger.
        on_wait: told once who has the seat, before waiting.
        workers: of this driver, for others to read.
        executor: of this driver, for others to read.
    """
    here, process = platform.node(), os.getpid()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    driver = Driver(here, process, since, uuid.uuid4().hex, workers, executor)
    with explained_disk_errors(leaderboard):
        leaderboard.mkdir(parents=True, exist_ok=True)
        lock = FileLock(leaderboard / LOCK)
        _take(lock, leaderboard, on_wait)
        write_json(leaderboard / DRIVER, driver._asdict())
    ended = threading.Event()
    threading.Thread(target=_beat, args=(leaderboard / DRIVER, ended), daemon=True).start()
    try:
        yield driver
    finally:
        ended.set()
        if who_drives(leaderboard) == driver:
            (leaderboard / DRIVER).unlink(missing_ok=True)
        lock.release()


def who_drives(leaderboard: Path) -> Driver | None:
    """Return the driver that has the seat, or had it when it was killed."""
    try:
        return Driver(**json.loads((leaderboard / DRIVER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def driver_at_work(leaderboard: Path) -> Driver | None:
    """Return the driver that has the seat now, if any."""
    driver = who_drives(leaderboard)
    if driver is None or not _is_alive(driver, leaderboard):
        return None
    return driver


def _take(lock: FileLock, leaderboard: Path, on_wait: Callable[[Driver | None], None]) -> None:
    told = False
    while not _is_free(lock, leaderboard):
        if not told:
            on_wait(who_drives(leaderboard))
            told = True
        time.sleep(_POLL_SECONDS)


def _is_free(lock: FileLock, leaderboard: Path) -> bool:
    try:
        lock.acquire(timeout=0)
        has_lock = True
    except Timeout:
        return False
    except NotImplementedError:  # a file system without locks
        has_lock = False
    driver = who_drives(leaderboard)
    if driver is None or (has_lock and driver.host == platform.node()):
        return True
    if _is_alive(driver, leaderboard):
        lock.release()
        return False
    return True


def _is_alive(driver: Driver, leaderboard: Path) -> bool:
    """Say whether a driver lives: by its process on this machine, by its signs on another."""
    if driver.host == platform.node():
        return _process_lives(driver.process)
    try:
        beat = (leaderboard / DRIVER).stat().st_mtime
    except OSError:
        return False
    return time.time() - beat < _SILENT_SECONDS


def _process_lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(_BEAT_SECONDS):
        try:
            os.utime(path)
        except OSError:
            continue

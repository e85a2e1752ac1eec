"""One driver at a time: the second says who runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from molcryst_bench.bench import seat as rooms
from molcryst_bench.bench.seat import Driver, driver_at_work, seat

HOLDER = """
import sys, time
from pathlib import Path
from molcryst_bench.bench.seat import seat
with seat(Path(sys.argv[1]), on_wait=lambda driver: None, workers=7):
    print("seated", flush=True)
    time.sleep(600)
"""


def hold(leaderboard: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(leaderboard)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "seated\n"
    return holder


def test_the_second_driver_says_who_runs_and_waits_until_it_has_ended(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    told: list[Driver | None] = []
    taken = threading.Event()

    def second() -> None:
        with seat(tmp_path, told.append):
            taken.set()

    waiting = threading.Thread(target=second)
    try:
        waiting.start()
        end = time.monotonic() + 120
        while not told and time.monotonic() < end:
            time.sleep(0.05)
        assert told[0] is not None
        assert told[0].process == holder.pid
        assert f"process {holder.pid} on " in told[0].in_words
        assert driver_at_work(tmp_path) == told[0]
        assert not taken.wait(1.0)
    finally:
        holder.kill()
        holder.wait()
    assert taken.wait(120)
    waiting.join()
    assert driver_at_work(tmp_path) is None


def test_a_driver_on_another_machine_counts_by_its_signs_of_life(tmp_path: Path) -> None:
    other = Driver("elsewhere", 1, "2026-01-01T00:00:00+00:00", "token")
    path = tmp_path / rooms.DRIVER
    path.write_text(json.dumps(other._asdict()))
    assert driver_at_work(tmp_path) == other
    long_ago = time.time() - 2 * rooms._SILENT_SECONDS
    os.utime(path, (long_ago, long_ago))
    assert driver_at_work(tmp_path) is None
    told: list[Driver | None] = []
    with seat(tmp_path, told.append) as driver:
        assert driver_at_work(tmp_path) == driver
    assert told == []
    assert not path.exists()


def test_a_damaged_word_of_the_driver_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / rooms.DRIVER).write_text("{")
    with seat(tmp_path, on_wait=lambda driver: None) as driver:
        assert driver_at_work(tmp_path) == driver

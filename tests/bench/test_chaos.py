"""Chaos: workers and drivers are killed at random, and it is as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from bench_project import Record, write_params
from trivial_cells import copy_cell, logged, many_cells, write_template

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.bench.campaign import Conditions
from molcryst_bench.bench.cell import plan_cells
from molcryst_bench.bench.ledger import LEDGER, Ledger
from molcryst_bench.bench.result import read_result
from molcryst_bench.bench.runner import run_bench
from molcryst_bench.graphs.store import GraphStore

CELLS = int(os.environ.get("CHAOS_CELLS", "30"))
SECONDS = float(os.environ.get("CHAOS_SECONDS", "25"))  # of kills; then it is left alone
PAUSE = float(os.environ.get("CHAOS_PAUSE", "5"))  # seconds between kills, on average
"""The whole of it: CHAOS_CELLS=200 CHAOS_SECONDS=240 pytest tests/bench/test_chaos.py"""

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("chaos_driver.py")
HERE = Path(__file__).parent


def test_kills_lose_nothing_and_repeat_nothing(project: Path, tiny_store: GraphStore) -> None:
    plan = plan_cells(write_params(project, models={"ridge": {}}))[0]
    template = run_bench([plan], project / "template", InlineExecutor(), Record())[0]
    calm, wild = project / "calm", project / "wild"
    for leaderboard in (calm, wild):
        write_template(leaderboard, template)
    plans = many_cells(plan, CELLS)
    run_bench(plans, calm, InlineExecutor(), Record(), Conditions(work=copy_cell))
    kills = run_wildly(project, wild)
    assert known(wild) == known(calm)
    for each in plans:
        found = [read_result(folder / "results" / each.cell.name) for folder in (calm, wild)]
        assert found[0] == found[1]
    repeated = {name: n for name, n in Counter(logged(wild)).items() if n > 1}
    assert not repeated
    assert set(logged(wild)) >= {each.cell.name for each in plans} - doubtful(wild)
    assert kills.total()
    assert not list(wild.glob(".running/*"))
    print(f"\n{CELLS} cells, {SECONDS:g} s of kills: {dict(kills)}")


def known(leaderboard: Path) -> dict[str, tuple[str, str, str, int, str]]:
    """Return the ledger, but for what depends on times and places."""
    entries = Ledger(leaderboard / LEDGER).entries
    return {n: (e.key, e.state, e.reason, e.epochs, e.note) for n, e in entries.items()}


def doubtful(leaderboard: Path) -> set[str]:
    """Return the cells whose worker was killed between its result and its word in the log."""
    done = {path.parent for path in (leaderboard / "results").rglob("cell.json")}
    costs = {path.parent for path in (leaderboard / "results").rglob("cost.json")}
    return {path.relative_to(leaderboard / "results").as_posix() for path in done - costs}


def run_wildly(project: Path, leaderboard: Path) -> Counter[str]:
    """Start the driver again and again, and kill it and its workers, until all is done."""
    chance, kills = random.Random(0), Counter[str]()
    end = time.monotonic() + SECONDS
    while True:
        driver = start(project, leaderboard)
        while driver.poll() is None and time.monotonic() < end:
            time.sleep(chance.uniform(0.2, 1.8) * PAUSE)
            kills += kill_something(driver, chance)
        if driver.wait(timeout=600) == 0:
            return kills


def start(project: Path, leaderboard: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(project), str(leaderboard), str(CELLS)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )


def kill_something(driver: subprocess.Popen[bytes], chance: random.Random) -> Counter[str]:
    """Kill a worker outright, tell it to stop, or kill the driver, which is rarer."""
    try:
        children = psutil.Process(driver.pid).children()
        workers = [p for p in children if "spawn_main" in " ".join(p.cmdline())]
    except psutil.NoSuchProcess:
        return Counter()
    if not workers:  # it has only begun
        return Counter()
    with suppress(psutil.NoSuchProcess):
        if chance.random() < 0.08:
            driver.kill()
            return Counter(driver=1)
        number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
        chance.choice(workers).send_signal(number)
        return Counter(worker=1)
    return Counter()

"""``molcryst tune`` as a person runs it, and what is left when it is killed."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench_project import write_params
from click.testing import CliRunner

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.cli.main import molcryst
from molcryst_bench.graphs.store import GraphStore

SPACE = """
training:
  learning_rate: {distribution: log-uniform, low: 1.0e-4, high: 0.1}
  epochs: {distribution: integer, low: 3, high: 12}
models:
  schnet:
    width: {distribution: categorical, values: [8, 16]}
"""
COMMAND = ["tune", "qm9/homo", "schnet", "--profile", "active", "--space", "space.yaml"]
MAIN = [sys.executable, "-c", "from molcryst_bench.cli.main import run; run()"]
FOLDER = Path("runs", "tune", "qm9", "homo", "schnet", "cbo-0")


@pytest.fixture(autouse=True)
def space(tiny_store: GraphStore, project: Path) -> None:
    write_params(project, training__epochs=6)
    (project / "space.yaml").write_text(SPACE)


def rows(folder: Path = FOLDER) -> list[dict[str, Any]]:
    path = folder / "search.parquet"
    if not path.exists():
        return []
    content = path.read_bytes()  # at once: the next trial replaces the file
    return pq.read_table(pa.BufferReader(content)).to_pylist()


def found(folder: Path = FOLDER) -> list[tuple[Any, ...]]:
    return [(row["trial"], row["status"], row["settings"], row["error"]) for row in rows(folder)]


def test_a_wrong_space_is_refused_with_its_line(project: Path) -> None:
    (project / "space.yaml").write_text(SPACE.replace("epochs", "epoches"))
    with pytest.raises(SettingsError, match=r"space.yaml, line 4: .*did you mean 'epochs'\?"):
        CliRunner().invoke(molcryst, COMMAND, catch_exceptions=False)
    with pytest.raises(SettingsError, match="unknown search space 'papr'"):
        CliRunner().invoke(molcryst, [*COMMAND[:-1], "papr"], catch_exceptions=False)


@pytest.mark.slow
def test_the_command_it_ends_with_gives_the_error_that_it_found() -> None:
    told = subprocess.run([*MAIN, *COMMAND, "--trials", "5"], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert len(rows()) == 5
    best = min(row["error"] for row in rows() if row["error"] is not None)
    command = told.stdout.strip().splitlines()[-1].split()
    assert command[:4] == ["molcryst", "train", "qm9/homo", "schnet"]
    subprocess.run([*MAIN, *command[1:]], check=True, capture_output=True)
    result = Path("runs", "qm9", "homo", "schnet", "0", "cell.json").read_text()
    match = re.search(r'"valid_mae": ([0-9.e-]+)', result)
    assert match is not None
    assert float(match[1]) == pytest.approx(best, rel=1e-6)
    again = subprocess.run([*MAIN, *COMMAND, "--trials", "5"], capture_output=True, text=True)
    assert again.returncode == 1
    assert "add --resume" in again.stderr


@pytest.mark.slow
def test_a_search_survives_any_kill() -> None:
    """The driver is killed twice, with one worker: nothing changes. A worker: its trial fails."""
    command = [*MAIN, *COMMAND, "--trials", "10", "--workers", "1"]
    subprocess.run([*command, "--output", "whole"], check=True, capture_output=True)
    draw = random.Random(0)
    for _ in range(2):
        _kill_driver([*command, "--resume"], len(rows()) + 1 + draw.random())
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    assert found() == found(Path("whole", "qm9", "homo", "schnet", "cbo-0"))
    assert [row["trial"] for row in rows()] == list(range(10))


@pytest.mark.slow
def test_a_killed_worker_costs_one_trial_at_most() -> None:
    driver = subprocess.Popen([*MAIN, *COMMAND, "--trials", "8", "--workers", "1"])
    _wait_until(lambda: len(rows()) >= 3)
    for child in psutil.Process(driver.pid).children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    assert driver.wait(timeout=240) == 0
    failed = [row["reason"] for row in rows() if row["status"] == "failed"]
    died = ["its worker process died, perhaps for lack of memory"]
    assert failed in (died, [])  # none if it was idle just then
    assert len(rows()) == 8


def _kill_driver(command: list[str], trials: float) -> None:
    """Kill a search when some trials are in its table, and part of a second later."""
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _wait_until(lambda: len(rows()) >= int(trials))
    time.sleep(trials % 1)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()


def _wait_until(condition: Any) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)

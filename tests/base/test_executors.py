from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from molcryst_bench.base.executors import InlineExecutor, local_executor

DRIVER = """
import os, sys, time
from molcryst_bench.base.executors import local_executor

def report(number):
    open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
    time.sleep(600)

if __name__ == "__main__":
    with local_executor(2) as executor:
        list(executor.map(report, range(2)))
"""


def environment(name: str) -> str | None:
    return os.environ.get(name)


def fail() -> None:
    raise ValueError("the task failed")


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_workers_end_when_the_driver_is_killed_outright(tmp_path: Path) -> None:
    script, running = tmp_path / "driver.py", tmp_path / "running"
    script.write_text(DRIVER)
    running.mkdir()
    driver = subprocess.Popen([sys.executable, str(script), str(running)])
    try:
        assert wait_until(lambda: len(list(running.iterdir())) == 2)
        workers = [int(path.name) for path in running.iterdir()]
        assert driver.pid not in workers
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert wait_until(lambda: not any(map(is_alive, workers)), seconds=60)


def test_one_worker_means_this_process() -> None:
    with local_executor(1) as executor:
        assert executor.submit(os.getpid).result() == os.getpid()


def test_more_workers_are_other_processes_with_one_thread_each() -> None:
    with local_executor(2) as executor:
        assert executor.submit(os.getpid).result() != os.getpid()
        assert executor.submit(environment, "OMP_NUM_THREADS").result() == "1"


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_a_task_comes_back(workers: int) -> None:
    with local_executor(workers) as executor:
        future = executor.submit(fail)
        with pytest.raises(ValueError, match="the task failed"):
            future.result()


def test_an_inline_executor_maps_in_order() -> None:
    assert list(InlineExecutor().map(str, range(3))) == ["0", "1", "2"]


def test_tasks_that_have_not_begun_when_the_block_fails_never_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"):
        submit_many_and_stop(tmp_path)
    assert 0 < len(list(tmp_path.iterdir())) < 25


def submit_many_and_stop(folder: Path) -> None:
    with local_executor(2) as executor:
        futures = [executor.submit(slow_touch, str(folder / str(n))) for n in range(50)]
        futures[0].result()
        raise ValueError("stop")


def slow_touch(path: str) -> None:
    time.sleep(0.05)
    Path(path).touch()

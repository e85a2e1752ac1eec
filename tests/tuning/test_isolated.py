"""Processes of which one may die or hang without harm to the others."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import BrokenExecutor

import pytest

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.isolated import isolated_executor


@pytest.mark.slow
def test_who_dies_or_hangs_takes_no_other_along() -> None:
    with isolated_executor(workers=2, threads=1, seconds=15) as executor:
        dies = executor.submit(os._exit, 3)
        hangs = executor.submit(time.sleep, 60)
        raises = executor.submit(int, "no number")
        fine = [executor.submit(os.getpid) for _ in range(4)]
        with pytest.raises(BrokenExecutor):
            dies.result()
        with pytest.raises(RunError, match="longer than its limit of 15 s"):
            hangs.result()
        with pytest.raises(ValueError, match="no number"):
            raises.result()
        assert os.getpid() not in {each.result() for each in fine}
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"


@pytest.mark.slow
def test_work_is_not_lost_with_a_process_that_died_idle() -> None:
    with isolated_executor(workers=1, threads=1) as executor:
        first = executor.submit(os.getpid).result()
        os.kill(first, signal.SIGKILL)
        assert executor.submit(os.getpid).result() != first


@pytest.mark.slow
def test_an_interrupted_block_ends_what_is_under_way() -> None:
    start, under_way = time.monotonic(), []

    def interrupted() -> None:
        with isolated_executor(2, threads=1) as executor:
            executor.submit(os.getpid).result()
            under_way.extend(executor.submit(time.sleep, 600) for _ in range(4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - start < 60
    assert all(each.done() for each in under_way)

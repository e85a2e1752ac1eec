"""Executors: where work runs. Each is a ``concurrent.futures.Executor``."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any


class InlineExecutor(Executor):
    """Runs everything at once in this process: for one worker, and for debugging."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def process_pool(workers: int, threads: int) -> ProcessPoolExecutor:
    """Return worker processes that end with this process, each with its share of the cores."""
    return ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(threads,),
    )


@contextmanager
def local_executor(workers: int) -> Iterator[Executor]:
    """Yield an executor for short tasks; one worker is this process itself."""
    if workers <= 1:
        yield InlineExecutor()
        return
    with worker_pool(workers, threads=1) as pool:
        yield pool


@contextmanager
def worker_pool(workers: int, threads: int) -> Iterator[Executor]:
    """Yield worker processes; if the block fails or is interrupted they stop at once."""
    others = set(multiprocessing.active_children())
    pool = process_pool(workers, threads)
    try:
        yield pool
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()  # Lightning would answer SIGTERM by talking to ranks that have gone
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which ends workers
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A driver that is killed outright cannot stop its workers; they must notice by themselves."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

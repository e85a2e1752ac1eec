"""Worker processes of which one may die, or be ended, without harm to the others."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from threading import RLock
from typing import Any

from molcryst_bench.base.errors import RunError, StoppedError
from molcryst_bench.base.executors import process_pool


class IsolatedExecutor(Executor):
    """Runs each piece of work in one of several processes, and replaces those that die.

    A pool of processes breaks as a whole when one of them dies, with all work that others have
    in hand. Here each process is a pool of its own.
    """

    def __init__(
        self,
        workers: int,
        threads: int,
        seconds: float | None = None,
        environments: Sequence[Mapping[str, str]] = (),
        cores: Sequence[Collection[int]] = (),
    ) -> None:
        """Start no process yet.

        Args:
            workers: processes at the same time.
            threads: of each process.
            seconds: after which work is ended by force; none for no limit.
            environments: what the environment of each process has of its own, such as its GPU.
            cores: those of each process, if it is to use no other.
        """
        self.seconds = seconds
        environments, cores = environments or [{}] * workers, cores or [()] * workers
        self._workers = [_Worker(threads, *own) for own in zip(environments, cores, strict=True)]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._waiting = ThreadPoolExecutor(workers, thread_name_prefix="isolated")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` in the next process that is free.

        The future raises ``BrokenExecutor`` if the process dies, ``RunError`` after the time limit.
        """
        return self._waiting.submit(self._run, partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work, and end the processes when they have done theirs."""
        self._waiting.shutdown(wait=wait, cancel_futures=cancel_futures)
        for worker in self._workers:
            worker.end()

    def stop(self) -> None:
        """Tell the processes to stop, as the system does; each is replaced if there is work."""
        for worker in self._workers:
            worker.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Take no more work, and end the processes at once, with what they have in hand."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def _run(self, work: Callable[[], Any]) -> Any:
        worker = self._free.get()
        try:
            return worker.run(work, self.seconds)
        finally:
            self._free.put(worker)


@contextmanager
def isolated_executor(
    workers: int,
    threads: int,
    seconds: float | None = None,
    environments: Sequence[Mapping[str, str]] = (),
    cores: Sequence[Collection[int]] = (),
) -> Iterator[Executor]:
    """Yield an ``IsolatedExecutor``; if the block fails or is interrupted it stops at once."""
    executor = IsolatedExecutor(workers, threads, seconds, environments, cores)
    try:
        yield executor
    except BaseException:
        executor.kill()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """One process, started when there is work, and again after it has died."""

    def __init__(
        self, threads: int, environment: Mapping[str, str], cores: Collection[int]
    ) -> None:
        self.threads = threads
        self.environment = environment
        self.cores = cores
        self.pool: ProcessPoolExecutor | None = None
        self.pid: int | None = None  # known as soon as the lock is free
        self.lock = RLock()
        self.closed = False

    def run(self, work: Callable[[], Any], seconds: float | None) -> Any:
        """Return what work comes to; the time limit does not hold for what it imports."""
        try:
            future = self._handed(work).submit(_do)
            if wait([future], seconds).not_done:
                self.kill()
                raise RunError(f"it ran longer than its limit of {seconds:g} s")
            return future.result()
        except BrokenExecutor:
            self.end()
            raise
        except StoppedError:
            self.kill()  # what one process was told is not for the next piece of work
            raise

    def _handed(self, work: Callable[[], Any]) -> ProcessPoolExecutor:
        """Return the process with work in hand; another one if it has died while idle."""
        pool = self._started()
        try:
            pool.submit(_take, work).result()
        except BrokenExecutor:
            self.end()
            pool = self._started()
            pool.submit(_take, work).result()
        return pool

    def kill(self) -> None:
        """End the process by force; more work starts another."""
        with self.lock:
            self.signal(signal.SIGKILL)
            self.end()

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        with self.lock, suppress(ProcessLookupError):
            if self.pid is not None:
                os.kill(self.pid, number)

    def close(self) -> None:
        """End the process by force, and start none any more."""
        with self.lock:
            self.closed = True
            self.kill()

    def end(self) -> None:
        """Let go of the process."""
        with self.lock:
            if self.pool is not None:
                self.pool.shutdown(wait=False, cancel_futures=True)
            self.pool = self.pid = None

    def _started(self) -> ProcessPoolExecutor:
        with self.lock:
            if self.closed:
                raise BrokenExecutor("the executor has been stopped")
            if self.pool is None:
                self.pool = process_pool(1, self.threads)
                self.pid = self.pool.submit(_settle_in, self.environment, self.cores).result()
            return self.pool


def _settle_in(environment: Mapping[str, str], cores: Collection[int]) -> int:
    """Take what belongs to a worker process alone, before libraries look; return its number."""
    os.environ.update(environment)
    if cores:
        os.sched_setaffinity(0, cores)
    return os.getpid()


_taken: list[Callable[[], Any]] = []


def _take(work: Callable[[], Any]) -> None:
    """Keep work for later, in a worker process, which imports all that it needs."""
    _taken.append(work)


def _do() -> Any:
    return _taken.pop()()

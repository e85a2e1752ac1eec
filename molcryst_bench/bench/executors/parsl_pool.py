"""Parsl's pool as an executor whose losses are told like those of processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import parsl
from parsl.addresses import address_by_hostname, address_by_interface
from parsl.concurrent import ParslPoolExecutor
from parsl.errors import ParslError
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
from parsl.jobs.states import JobState

from molcryst_bench.base.errors import RunError
from molcryst_bench.bench.executors.blocks import Blocks, LocalBlocks

_LABEL = "blocks"
_FAILED_BLOCKS = 5  # one after the other, from which more would fail, too
_SHORTEST = 4  # times the grace: a block that is shorter takes work until its end


class ParslPool(Executor):
    """Hands work to Parsl; a worker or node that is lost breaks what it had in hand, no more."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.pool = ParslPoolExecutor(dfk=kernel)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` on any worker; it cannot be taken back.

        The future raises ``BrokenExecutor`` if the worker or its node is lost, ``RunError`` if
        there will be no workers any more.
        """
        told: Future[Any] = Future()
        told.set_running_or_notify_cancel()
        self.pool.submit(fn, *args, **kwargs).add_done_callback(lambda inner: _pass_on(inner, told))
        return told

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give the blocks back, with what they have in hand."""
        self.kernel.cleanup()
        parsl.clear()


@contextmanager
def parsl_pool(site: Blocks, folder: Path) -> Iterator[ParslPool]:
    """Yield the workers of a site.

    Args:
        site: where they are.
        folder: for scripts and logs of blocks, which all nodes see.
    """
    config = parsl.Config(
        executors=[_executor(site)],
        run_dir=str(folder.resolve()),
        # "htex_auto_scale" would end blocks that have not begun, when there are few cells left.
        strategy="simple",
        max_idletime=120.0,
        retries=0,  # the driver knows better what to run next
    )
    pool = ParslPool(parsl.load(config))
    try:
        yield pool
    finally:
        pool.shutdown()


def _executor(site: Blocks) -> HighThroughputExecutor:
    grace = round(site.grace)
    long_enough = site.walltime_seconds > _SHORTEST * grace and not isinstance(site, LocalBlocks)
    return HighThroughputExecutor(
        label=_LABEL,
        provider=site.provider(),
        address=_address(site),
        cores_per_worker=1e-6,  # how many workers there are is said below
        max_workers_per_node=site.workers_per_node,
        available_accelerators=site.gpus_per_node,
        cpu_affinity="block" if site.pin_cores else "none",
        prefetch_capacity=0,
        heartbeat_period=max(1, site.heartbeat // 4),
        heartbeat_threshold=site.heartbeat,
        drain_period=site.walltime_seconds - 2 * grace if long_enough else None,
        block_error_handler=_give_up_in_time,
        encrypted=site.encrypted,
        interchange_launch_cmd=[sys.executable, "-m", _INTERCHANGE],
    )


_INTERCHANGE = "molcryst_bench.bench.executors.interchange"


def _address(site: Blocks) -> str:
    if site.interface is not None:
        return str(address_by_interface(site.interface))
    if site.address is not None:
        return site.address
    return "127.0.0.1" if isinstance(site, LocalBlocks) else str(address_by_hostname())


def _give_up_in_time(executor: Any, blocks: Mapping[str, Any]) -> None:
    """End when the last blocks have all failed; cancelled ones are somebody's wish."""
    last = [blocks[number] for number in sorted(blocks, key=int)][-_FAILED_BLOCKS:]
    if len(last) < _FAILED_BLOCKS or any(block.state != JobState.FAILED for block in last):
        return
    reason = last[-1].stderr_summary or last[-1].message or "the scheduler says no more"
    executor.set_bad_state_and_fail_all(RunError(f"{len(last)} jobs failed in a row: {reason}"))


def _pass_on(inner: Future[Any], told: Future[Any]) -> None:
    error = inner.exception()
    if error is None:
        told.set_result(inner.result())
    elif isinstance(error, ManagerLost | WorkerLost):
        told.set_exception(BrokenExecutor(str(error)))
    elif isinstance(error, ParslError):
        told.set_exception(RunError(f"the executor takes no more work: {error}"))
    else:
        told.set_exception(error)

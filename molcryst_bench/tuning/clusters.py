"""Workers on clusters that Ray or MPI holds together, by DeepHyper's evaluators for them.

All nodes see the folders of the store and of the search.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.tuning.trial import Outcome
from molcryst_bench.tuning.workers import End, Work, ended

_LIFES = 2  # of a trial: one whose worker or node died runs once more


class RayWorkers:
    """The workers of a Ray cluster: of that of ``RAY_ADDRESS``, or of one on this machine.

    A trial has as many cores as threads, and a GPU of its own if the cluster has any.
    """

    def __init__(self, threads: int, most: int | None = None, seconds: float | None = None) -> None:
        """Join the cluster.

        Args:
            threads: of each trial.
            most: trials at the same time; as many as there is room for by default.
            seconds: after which a trial is ended by force; none for no limit.

        Raises:
            SettingsError: if Ray is not installed.
        """
        try:
            import ray
        except ModuleNotFoundError as error:
            raise _missing("Ray", "ray", error) from None
        self.threads = threads
        self.most = most
        self.seconds = seconds
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)

    @property
    def share(self) -> int:
        """How many trials run at the same time, on the nodes that are alive."""
        room = int(_resources().get("CPU", 0)) // self.threads
        return max(1, room if self.most is None else min(room, self.most))

    @contextmanager
    def evaluator(self, work: Work) -> Iterator[Any]:
        """Yield DeepHyper's evaluator for Ray."""
        gpus = int(_resources().get("GPU", 0) > 0)
        evaluator = _ray_evaluator(work, self.seconds)(
            _run, num_cpus_per_task=self.threads, num_gpus_per_task=gpus
        )
        try:
            yield evaluator
        finally:
            evaluator.close()


class MpiWorkers:
    """The processes of an MPI job, of which the first one drives the search."""

    def __init__(self) -> None:
        """Find the other processes.

        Raises:
            SettingsError: if mpi4py is not installed, or there are no other processes.
        """
        try:
            from deephyper.evaluator.mpi import MPI
        except (ModuleNotFoundError, RuntimeError) as error:  # the latter without an MPI library
            raise _missing("MPI", "mpi", error) from None
        if not MPI.Is_initialized():
            MPI.Init_thread()
        self.processes: int = MPI.COMM_WORLD.Get_size()
        self.is_driver: bool = MPI.COMM_WORLD.Get_rank() == 0
        if self.processes < 2:
            message = "a search with MPI needs two processes or more, of which one drives it"
            raise SettingsError(f"{message}: mpirun -n 3 molcryst tune ...")

    @property
    def share(self) -> int:
        """How many trials run at the same time."""
        return self.processes - 1

    @contextmanager
    def evaluator(self, work: Work) -> Iterator[Any]:
        """Yield DeepHyper's evaluator for MPI; in other processes than the driver, serve it."""
        from deephyper.evaluator import Evaluator
        from deephyper.evaluator.storage import MemoryStorage

        chosen = {"storage": MemoryStorage(), "search_id": None}
        with Evaluator.create(partial(_run_job, work), "mpicomm", chosen) as evaluator:
            yield evaluator

    def serve(self) -> None:
        """Run trials for the driver until it has no more; it sends all that they need."""
        with self.evaluator(_nothing):
            return


def _resources() -> dict[str, float]:
    """Return what the nodes that are alive have."""
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def _nothing(number: int, settings: Mapping[str, Any]) -> Outcome:
    raise RuntimeError("this process drives no search")


def _run(work: Work, number: int, settings: Mapping[str, Any]) -> End:
    return ended(lambda: work(number, settings))


def _run_job(work: Work, job: Mapping[str, Any]) -> End:
    return _run(work, job["trial"], job["settings"])


def _ray_evaluator(work: Work, seconds: float | None) -> Callable[..., Any]:
    """Return DeepHyper's evaluator, but that the loss of a node costs its trials alone."""
    import ray
    from deephyper.evaluator import JobStatus
    from deephyper.evaluator._ray import RayEvaluator
    from deephyper.evaluator.storage import MemoryStorage

    async def end_of(reference: Any) -> End:
        start = datetime.now(UTC)
        try:
            return await asyncio.wait_for(_awaited(reference), seconds)
        except TimeoutError:
            ray.cancel(reference, force=True)
            reason = f"it ran longer than its limit of {seconds:g} s"
        except ray.exceptions.RayError as error:
            reason = f"its worker or node died: {error}".partition("\n")[0]
        return End(start, datetime.now(UTC), None, reason)

    class SparingEvaluator(RayEvaluator):  # type: ignore[misc]
        def __init__(self, run: Callable[..., End], **chosen: Any) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                super().__init__(run, storage=MemoryStorage(), **chosen)
            remote = ray.remote(
                num_cpus=self.num_cpus_per_task,
                num_gpus=self.num_gpus_per_task,
                max_retries=_LIFES - 1,
            )
            self._remote_run_function = remote(run)

        async def execute(self, job: Any) -> Any:
            async with self.sem:
                job.status = JobStatus.RUNNING
                arguments = work, job.args["trial"], job.args["settings"]
                end = await end_of(self._remote_run_function.remote(*arguments))
                return self._update_job_when_done(job, end)

    return SparingEvaluator


async def _awaited(reference: Any) -> End:
    found: End = await reference
    return found


def _missing(what: str, extra: str, error: Exception) -> SettingsError:
    advice = f"pip install 'molcryst_bench[{extra}]'"
    reason = str(error).partition("\n")[0]
    return SettingsError(f"{what} is not there to search with ({reason}): {advice}")

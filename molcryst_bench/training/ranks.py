"""Processes that train one model together, one for each device: ranks.

On one machine the process that trains starts the others. On several machines, or where a job starts
them all at once, ``srun`` or ``torchrun`` has done so, and what they set tells each its rank.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, Future, wait
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import (
    LightningEnvironment,
    find_free_network_port,
)
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import distributed

from molcryst_bench.base.errors import RunError
from molcryst_bench.base.executors import worker_pool
from molcryst_bench.training.settings import TrainingSettings
from molcryst_bench.training.shares import Place

_LAST_WORDS = 2.0  # seconds in which one that has failed says why


class LocalRanks(LightningEnvironment):
    """What Lightning asks about ranks on this machine alone."""

    def __init__(self, place: Place, port: int) -> None:
        super().__init__()
        self.place = place
        self._main_port = port

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning is not to start any process."""
        return True

    @property
    def main_address(self) -> str:
        """Where the ranks meet."""
        return "127.0.0.1"

    def local_rank(self) -> int:
        """Which of the ranks on this machine one is."""
        return self.place.rank

    def global_rank(self) -> int:
        """Which of all ranks one is."""
        return self.place.rank

    def world_size(self) -> int:
        """How many ranks there are."""
        return self.place.ranks

    def node_rank(self) -> int:
        """Which of the machines this is."""
        return 0


def place_in(environment: ClusterEnvironment) -> Place:
    """Return the place of this process."""
    return Place(environment.global_rank(), environment.world_size())


def devices_of(settings: TrainingSettings) -> int:
    """Return the number of devices of each machine.

    Raises:
        RunError: if this machine has not as many GPUs.
    """
    gpus = 0 if settings.device == "cpu" else torch.cuda.device_count()
    if settings.devices == "auto":
        return max(gpus, 1)
    if settings.devices > gpus and (gpus or settings.device == "gpu"):
        raise RunError(
            f"devices is {settings.devices}, but {gpus} GPUs can be seen here: lower devices, or "
            "set device to cpu"
        )
    return settings.devices


def ranks_of(settings: TrainingSettings) -> int:
    """Return the number of processes that train together."""
    return devices_of(settings) * settings.nodes


def started_outside(settings: TrainingSettings) -> ClusterEnvironment | None:
    """Return the environment of a job that has started a process for each device, if it is one.

    Raises:
        RunError: if it has started another number than ``devices`` times ``nodes``.
    """
    environment = _job()
    if environment is None or environment.world_size() == 1:
        return None
    devices, ranks = devices_of(settings), environment.world_size()
    if ranks != devices * settings.nodes:
        raise RunError(
            f"{ranks} processes were started for {devices} devices on each of {settings.nodes} "
            "nodes: set devices and nodes to what the job has, such as "
            "--set devices=4 --set nodes=2"
        )
    try:
        environment.validate_settings(devices, settings.nodes)
    except ValueError as error:
        raise RunError(str(error)) from error
    return environment


def _job() -> ClusterEnvironment | None:
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    # A batch script has the number of its job's tasks, but only srun starts more than one process.
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) == 1:
        return None
    try:
        return SLURMEnvironment(auto_requeue=False)
    except RuntimeError as error:
        raise RunError(f"{error}") from error


@contextmanager
def joined(
    environment: ClusterEnvironment | None, settings: TrainingSettings, work: Callable[..., Any]
) -> Iterator[ClusterEnvironment]:
    """Yield the environment of this rank; start the others if they have not been yet.

    Args:
        environment: of this rank, where all have been started.
        settings: of the training.
        work: what another rank on this machine does, with its ``environment``; it is sent to
            another process, which ends with the block.

    Raises:
        RunError: for several machines, which have to be started from outside.
        Exception: what another rank has failed with.
    """
    if environment is not None:
        yield environment
    elif ranks_of(settings) == 1:
        yield LightningEnvironment()
    else:
        with _helped(settings, work) as environment:
            yield environment


@contextmanager
def _helped(settings: TrainingSettings, work: Callable[..., Any]) -> Iterator[ClusterEnvironment]:
    if settings.nodes > 1:
        raise RunError(
            f"training on {settings.nodes} nodes needs a process for each device from outside: "
            "srun --nodes=2 --ntasks-per-node=4 molcryst train ... --set devices=4 --set nodes=2"
        )
    ranks, port = ranks_of(settings), find_free_network_port()
    with worker_pool(ranks - 1, torch.get_num_threads()) as pool:
        places = [Place(rank, ranks) for rank in range(ranks)]
        helpers = [pool.submit(_help, work, LocalRanks(place, port)) for place in places[1:]]
        with _left_afterwards(), _failures_explained(helpers):
            yield LocalRanks(places[0], port)


def _help(work: Callable[..., Any], environment: ClusterEnvironment) -> None:
    """Do the work of another rank; if it fails, the first one notices that the line is dead."""
    with _left_afterwards():
        work(environment=environment)


@contextmanager
def _left_afterwards() -> Iterator[None]:
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


@contextmanager
def _failures_explained(helpers: list[Future[None]]) -> Iterator[None]:
    """Raise what a helper failed with in place of the loss of its line."""
    try:
        yield
    except RuntimeError as error:
        ended, _ = wait(helpers, timeout=_LAST_WORDS, return_when=FIRST_EXCEPTION)
        for reason in filter(None, (helper.exception() for helper in ended)):
            if isinstance(reason, BrokenExecutor):
                message = "the process of another device died, perhaps for lack of memory"
                raise RunError(message) from error
            raise reason from error
        raise

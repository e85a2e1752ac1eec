"""Blocks of nodes that Parsl asks a scheduler for: what all schedulers have in common."""

from __future__ import annotations

import shlex
import sys
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from shutil import which
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.settings import Settings
from molcryst_bench.bench.executors.site import Site

_TIME = r"^(\d+-)?\d{1,3}:\d\d:\d\d$"


class BlockCount(Settings):
    """How many blocks to ask for."""

    start: NonNegativeInt = Field(default=1, description="at the beginning")
    min: NonNegativeInt = Field(default=0, description="kept although there is nothing to do")
    max: PositiveInt = Field(default=1, description="at the same time")

    @model_validator(mode="after")
    def _ordered(self) -> BlockCount:
        if not self.min <= self.max or not self.start <= self.max:
            raise ValueError("min and start must not be more than max")
        return self


class Blocks(Site):
    """Workers in jobs of a scheduler; a block is one job of one or more nodes."""

    commands: ClassVar[tuple[str, ...]] = ()  # that the scheduler's provider calls

    workers_per_node: PositiveInt = Field(
        default=1, description="with a GPU each, if there are any"
    )
    gpus_per_node: NonNegativeInt = Field(default=0, description="which workers share evenly")
    nodes_per_block: PositiveInt = 1
    blocks: BlockCount = BlockCount()
    walltime: str = Field(default="01:00:00", pattern=_TIME, description="of a block")
    worker_init: str = Field(
        default="", description="shell lines on each node first, such as module load"
    )
    inherit_environment: bool = Field(
        default=True, description="use this very Python on the nodes, which see its folder"
    )
    address: str | None = Field(
        default=None, description="of this machine as nodes see it; by default its host name"
    )
    interface: str | None = Field(
        default=None, description="in place of address: the network interface, such as bond0"
    )
    pin_cores: bool = Field(default=False, description="give each worker cores of its own")
    heartbeat: PositiveInt = Field(default=60, description="seconds of silence of a lost node")
    encrypted: bool = Field(default=True, description="what driver and workers tell each other")

    @model_validator(mode="after")
    def _shares_evenly(self) -> Blocks:
        if self.gpus_per_node and self.workers_per_node % self.gpus_per_node:
            raise ValueError("workers_per_node must be a multiple of gpus_per_node")
        return self

    @property
    def slots(self) -> int:
        """How many cells run at the same time, at most."""
        return self.blocks.max * self.nodes_per_block * self.workers_per_node

    @abstractmethod
    def provider(self) -> Any:
        """Return Parsl's provider of blocks."""

    @contextmanager
    def executor(self, folder: Path) -> Iterator[Executor]:
        """Yield the workers of all blocks, which come and go as there is work."""
        if problems := self.problems():
            raise SettingsError("; ".join(problems))
        from molcryst_bench.bench.executors.parsl_pool import parsl_pool

        with parsl_pool(self, folder / ".parsl") as pool:
            yield pool

    def problems(self) -> list[str]:
        """Say which package and which commands are missing."""
        if util.find_spec("parsl") is None:
            return ["parsl is not installed: pip install 'molcryst_bench[parsl]'"]
        missing = [command for command in self.commands if which(command) is None]
        if missing:
            names = ", ".join(missing)
            return [f"{names} cannot be found: is this a machine from which one submits jobs?"]
        return []

    @property
    def walltime_seconds(self) -> int:
        """The wall time of a block."""
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = map(int, clock.split(":"))
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds

    @property
    def start_of_worker(self) -> str:
        """Shell lines that make a node ready: environment, threads, the user's own."""
        lines = [f"export {name}_NUM_THREADS={self.threads}" for name in ("OMP", "MKL", "OPENBLAS")]
        # The warning before the end of the wall time is for cells, not for who hands them out.
        lines.append("trap '' USR1")
        if self.inherit_environment:
            lines.append(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
            lines.append(f"cd {shlex.quote(str(Path.cwd()))}")
        return "\n".join([*lines, self.worker_init.rstrip(), ""])


class LocalBlocks(Blocks):
    """Parsl's workers on this machine, to try what a cluster does."""

    kind: Literal["local"]

    def provider(self) -> Any:
        """Return Parsl's provider of processes."""
        from parsl.providers import LocalProvider

        return LocalProvider(
            nodes_per_block=1,
            init_blocks=self.blocks.start,
            min_blocks=self.blocks.min,
            max_blocks=self.blocks.max,
            worker_init=self.start_of_worker,
        )

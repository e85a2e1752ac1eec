"""Worker processes on this machine, each with cores and a GPU of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shutil import which
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.base.executors import available_cores
from molcryst_bench.base.isolated import isolated_executor
from molcryst_bench.bench.executors.site import Site


class Processes(Site):
    """One machine with several cores or GPUs."""

    kind: Literal["processes"] = "processes"
    workers: PositiveInt | Literal["auto"] = Field(
        default="auto", description="auto: one for each GPU, or as many as the cores have room for"
    )
    gpus: NonNegativeInt | Literal["auto"] = Field(
        default=0, description="each worker sees one of them alone; auto for all there are"
    )
    workers_per_gpu: PositiveInt = Field(default=1, description="that share a GPU")
    pin_cores: bool = Field(default=False, description="give each worker cores of its own")

    @property
    def slots(self) -> int:
        """How many cells run at the same time."""
        if self.workers != "auto":
            return self.workers
        if count := len(self.gpu_names()):
            return count * self.workers_per_gpu
        return max(1, available_cores() // self.threads)

    def gpu_names(self) -> list[str]:
        """Return the GPUs that workers share, as ``CUDA_VISIBLE_DEVICES`` names them."""
        if self.gpus == 0:
            return []
        visible = _visible_gpus()
        count = len(visible) if self.gpus == "auto" else self.gpus
        if count > len(visible):
            raise SettingsError(f"gpus is {count}, but {len(visible)} can be seen here")
        return visible[:count]

    def environments(self) -> list[dict[str, str]]:
        """Return what the environment of each worker has of its own."""
        names = self.gpu_names()
        if not names:
            return [{} for _ in range(self.slots)]
        return [{"CUDA_VISIBLE_DEVICES": names[n % len(names)]} for n in range(self.slots)]

    def cores(self) -> list[frozenset[int]]:
        """Return the cores of each worker, which no other one has; nothing if they are shared."""
        if not self.pin_cores or not hasattr(os, "sched_getaffinity"):
            return []
        cores, width = sorted(os.sched_getaffinity(0)), self.threads
        return [frozenset(cores[n * width : (n + 1) * width]) for n in range(self.slots)]

    @contextmanager
    def executor(self, folder: Path) -> Iterator[Executor]:
        """Yield worker processes of which one may die without harm to the others."""
        if problems := self.problems():
            raise SettingsError("; ".join(problems))
        with isolated_executor(
            self.slots, self.threads, environments=self.environments(), cores=self.cores()
        ) as pool:
            yield pool

    def problems(self) -> list[str]:
        """Say where more is asked for than this machine has."""
        wanted, cores = self.slots * self.threads, available_cores()
        if wanted <= cores or self.slots == 1:
            return []
        words = f"{self.slots} workers of {self.threads} threads each need {wanted} cores"
        return [f"{words}, and there are {cores}: lower workers or threads"]


@cache
def _visible_gpus() -> list[str]:
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in chosen.split(",") if name and name != "-1"]
    if (tool := which("nvidia-smi")) is None:
        return []
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))]

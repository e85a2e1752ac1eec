"""Ranks of one MPI job, where a site prefers it: ``mpi4py.futures``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.bench.executors.site import Site

_HOW = "mpiexec -n 9 python -m mpi4py.futures -m molcryst_bench bench run --executor mpi"


class Mpi(Site):
    """Ranks that MPI has started; the first one is the driver.

    MPI ends a job as a whole when a rank dies: the same command goes on after that.
    """

    kind: Literal["mpi"] = "mpi"
    workers: PositiveInt | Literal["auto"] = Field(
        default="auto", description="ranks beside the driver; auto for all that were started"
    )

    @property
    def slots(self) -> int:
        """How many cells run at the same time."""
        if self.workers != "auto":
            return self.workers
        if self.problems():
            return 1
        from mpi4py import MPI

        return max(1, int(MPI.COMM_WORLD.Get_size()) - 1)

    @contextmanager
    def executor(self, folder: Path) -> Iterator[Executor]:
        """Yield the ranks as an executor."""
        if problems := self.problems():
            raise SettingsError("; ".join(problems))
        from mpi4py.futures import MPIPoolExecutor

        threads = {
            f"{library}_NUM_THREADS": str(self.threads) for library in ("OMP", "MKL", "OPENBLAS")
        }
        with MPIPoolExecutor(max_workers=self.slots, env=threads) as pool:
            yield pool

    def problems(self) -> list[str]:
        """Say what is missing."""
        if util.find_spec("mpi4py") is None:
            return ["mpi4py is not installed: pip install 'molcryst_bench[mpi]', then " + _HOW]
        return []

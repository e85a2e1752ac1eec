"""What all sites have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from molcryst_bench.base.settings import Settings


class Site(Settings, ABC):
    """Settings of a place to run, and the executor that they describe."""

    kind: str
    threads: int = Field(default=1, gt=0, description="of each worker")
    grace: float = Field(
        default=25.0, gt=0, description="seconds between a worker's being told to stop and its end"
    )
    stage_to: Path | None = Field(
        default=None, description="folder on each node's own disk, to which stores are copied once"
    )

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many cells run at the same time, at most."""

    @abstractmethod
    @contextmanager
    def executor(self, folder: Path) -> Iterator[Executor]:
        """Yield the executor; if the block fails its workers stop at once.

        Args:
            folder: for what the executor writes down, where all machines see it.

        Raises:
            SettingsError: if this machine cannot be such a site.
        """

    def problems(self) -> list[str]:
        """Say what is missing on this machine, for ``molcryst doctor``."""
        return []

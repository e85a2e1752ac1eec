"""Raw files that the project makes by itself: how much, where, and who makes them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import Field

from molcryst_bench.base.executors import InlineExecutor
from molcryst_bench.base.settings import Settings


class Generation(Settings):
    """How much of a dataset to make, in ``params.yaml``."""

    trajectories: int = Field(
        default=3, gt=0, le=10_000, description="of each molecule; the card says how long they are"
    )


@dataclass(frozen=True)
class Making:
    """How much to make, where the work runs, and who is told how far it is."""

    generation: Generation = field(default_factory=Generation)
    executor: Executor = field(default_factory=InlineExecutor)
    progress: Callable[[int, int], None] = lambda done, total: None


@runtime_checkable
class MakesFiles(Protocol):
    """A source whose raw files are computed here; ``Source.files``, what to fetch, is empty."""

    def make(self, folder: Path, making: Making) -> dict[str, Path]:
        """Make the raw files that are not there yet and return all of them by name.

        The same settings give the same files for any number of workers, and a killed call goes
        on where it was.

        Raises:
            SourceError: if a file that is there already is damaged.
            RunError: if the computation fails.
        """

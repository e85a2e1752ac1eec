"""What importers yield: records, and records that cannot be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from ase import Atoms

from molcryst_bench.sources.fetch import RawFile


class Record(NamedTuple):
    """A structure with its targets, in the units of the dataset's card."""

    id: str  # unique; "group/name" where a dataset has groups, such as the molecules of MD17
    atoms: Atoms
    targets: dict[str, float | np.ndarray]
    features: Mapping[str, float] = MappingProxyType({})


class RawRecord(NamedTuple):
    """A record as it stands in a raw file, cheap to send to a worker that parses it."""

    file: str
    id: str
    payload: Any


class Quarantined(NamedTuple):
    """A record that cannot be right, and why."""

    file: str
    id: str
    reason: str


class BadRecordError(ValueError):
    """Raised while parsing a record that cannot be right; the message is the reason."""


class Source(Protocol):
    """One public form of a dataset: which files it needs and how to read them."""

    @property
    def name(self) -> str:
        """The word for this form on the command line and in a store's provenance."""

    @property
    def files(self) -> tuple[RawFile, ...]:
        """The raw files that it needs."""

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        """Iterate over the records, in the same order every time."""

    def parse(self, raw: RawRecord) -> Record:
        """Parse one record.

        Raises:
            BadRecordError: if it cannot be right.
        """


@runtime_checkable
class PublishesSplits(Protocol):
    """A source whose raw files say which records are to train on and which to test on."""

    def published_splits(self, paths: Mapping[str, Path]) -> dict[str, dict[str, str]]:
        """Return for each split the subset of each record by its id."""


@runtime_checkable
class ReadsInPlace(Protocol):
    """A source whose raw files, or folders of them, belong to the user and stay where they are."""

    def local_paths(self) -> dict[str, Path]:
        """Return files and folders by the names that provenance gives them."""


@dataclass(frozen=True)
class Dataset:
    """An importer: the sources of one dataset, in order of preference."""

    name: str
    sources: tuple[Source, ...]
    interchangeable: bool = True  # whether all sources hold the same records

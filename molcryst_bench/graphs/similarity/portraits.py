"""What is compared of each record, computed from the raw files by any number of workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ase import Atoms

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.similarity.frameworks import Framework, framework_of
from molcryst_bench.graphs.similarity.geometry import Geometry, geometry_of
from molcryst_bench.graphs.similarity.molecules import Molecule, molecule_of
from molcryst_bench.sources.record import BadRecordError, RawRecord, Source

_BATCH = 256  # records of one task
_AHEAD = 16  # tasks in flight: enough to keep workers busy, few enough to bound memory


class Portrait(NamedTuple):
    """A structure as it is compared with others."""

    geometry: Geometry
    molecule: Molecule | None  # of what is not periodic
    framework: Framework | None  # of what is


@dataclass(frozen=True)
class Portraits:
    """All records of a dataset, in the order of the raw files."""

    ids: tuple[str, ...]
    portraits: tuple[Portrait | None, ...]  # None of a record that cannot be parsed


def portray(atoms: Atoms) -> Portrait:
    """Describe one structure."""
    if atoms.pbc.any():
        return Portrait(geometry_of(atoms), None, framework_of(atoms))
    return Portrait(geometry_of(atoms), molecule_of(atoms), None)


def portray_records(
    source: Source,
    paths: Mapping[str, Path],
    executor: Executor,
    progress: Callable[[int], None] = lambda done: None,
) -> Portraits:
    """Describe all records of a dataset; the result does not depend on the executor.

    Args:
        source: of the dataset.
        paths: its raw files.
        executor: where the work runs.
        progress: is told how many records are done.

    Raises:
        StoreError: if a worker process died.
    """
    ids: list[str] = []
    portraits: list[Portrait | None] = []
    running: deque[Future[list[Portrait | None]]] = deque()
    try:
        for batch in _batches(source, paths):
            ids += [raw.id for raw in batch]
            running.append(executor.submit(_portray_batch, source, batch))
            while len(running) > _AHEAD:
                portraits += running.popleft().result()
                progress(len(portraits))
        while running:
            portraits += running.popleft().result()
            progress(len(portraits))
    except BrokenExecutor as error:
        problem = "a worker process ended abruptly, perhaps for want of memory"
        raise StoreError(f"{problem}: run the same command again, with fewer workers") from error
    return Portraits(tuple(ids), tuple(portraits))


def _batches(source: Source, paths: Mapping[str, Path]) -> Iterator[list[RawRecord]]:
    records = iter(source.raw_records(paths))
    while batch := list(islice(records, _BATCH)):
        yield batch


def _portray_batch(source: Source, batch: Sequence[RawRecord]) -> list[Portrait | None]:
    return [_portray_raw(source, raw) for raw in batch]


def _portray_raw(source: Source, raw: RawRecord) -> Portrait | None:
    try:
        return portray(source.parse(raw).atoms)
    except BadRecordError:
        return None

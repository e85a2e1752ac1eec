"""Building a graph store: in parts by any number of workers, resumable, the same every time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from molcryst_bench.base.code import code_digest
from molcryst_bench.base.errors import SettingsError, SourceError, StoreError
from molcryst_bench.base.files import (
    checksum_of,
    checksum_of_folder,
    digest_of,
    explained_disk_errors,
    recover_folder,
    replace_folder,
    whole_file,
    write_json,
)
from molcryst_bench.base.locks import exclusive
from molcryst_bench.base.settings import Settings
from molcryst_bench.graphs.layout import SCHEMA_VERSION, id_digest
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.parts import read_quarantined, write_part
from molcryst_bench.graphs.store import open_store
from molcryst_bench.graphs.writer import DEFAULT_SHARD_BYTES, write_store
from molcryst_bench.sources.card import Card
from molcryst_bench.sources.making import Generation
from molcryst_bench.sources.record import Quarantined, RawRecord, Source

PART_RECORDS = 1024  # at most
_FEWEST_RECORDS, _PARTS = 16, 32  # few records make many parts, too: workers share them evenly
_AHEAD = 16  # parts in flight: enough to keep workers busy, few enough to bound memory
Progress = Callable[[int, int], None]


class Sample(Settings):
    """A fixed random subset of a dataset."""

    size: int = Field(gt=0, description="number of records")
    seed: int = 0


class DatasetSettings(Settings):
    """How a dataset becomes a store, in ``params.yaml``."""

    graph: GraphSpec = GraphSpec()
    sample: Sample | None = Field(default=None, description="build only this subset")
    generate: Generation | None = Field(
        default=None, description="how much to make, of a dataset that the project makes itself"
    )


@dataclass(frozen=True)
class BuildRequest:
    """Everything that decides what is in a store."""

    card: Card
    source: Source
    paths: Mapping[str, Path]
    settings: DatasetSettings

    def raw_checksums(self) -> dict[str, str]:
        """Return the SHA-256 of every raw file, or of all files in a folder."""
        return {
            name: checksum_of_folder(path) if path.is_dir() else checksum_of(path)
            for name, path in sorted(self.paths.items())
        }


def build_store(
    request: BuildRequest,
    path: Path,
    executor: Executor,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    progress: Progress = lambda done, total: None,
    accept_quarantined: bool = False,
) -> str:
    """Build a store, or find it built already with all its shards, and return its digest.

    Parts that an earlier, killed build has finished are kept. The old store stays until the new
    one is whole. Of several processes that build the same, one builds and the others wait.

    Raises:
        SourceError: if more records are unusable than the card knows of; they are listed in
            ``quarantine.parquet`` beside the store.
        StoreError: if a worker process died.
    """
    raw = request.raw_checksums()
    fingerprint = _fingerprint(request, raw)
    if (digest := _digest_if_built(path, fingerprint)) is not None:
        return digest
    workspace = path.with_name(f".{path.name}.building")
    lock = path.with_name(f".{path.name}.lock")
    with explained_disk_errors(path), _explained_worker_death(path), exclusive(lock):
        recover_folder(path)
        if (digest := _digest_if_built(path, fingerprint)) is not None:
            return digest  # another process has just built it
        _prepare(workspace, fingerprint)
        population = [record.id for record in request.source.raw_records(request.paths)]
        _check_unique(population, request.paths)
        chosen = _choose(population, request.settings.sample)
        parts = _make_parts(request, chosen, workspace, executor, progress)
        quarantined = _list_quarantined(parts, path)
        _check_usable(quarantined, request.card, len(chosen), path, accept_quarantined)
        attributes = _attributes(request, raw, fingerprint, population)
        return _assemble(parts, workspace, path, request.card, attributes, shard_bytes)


def _assemble(
    parts: list[Path],
    workspace: Path,
    path: Path,
    card: Card,
    attributes: dict[str, Any],
    shard_bytes: int,
) -> str:
    assembled = workspace / "store"
    shutil.rmtree(assembled, ignore_errors=True)
    digest = write_store(parts, assembled, card, attributes, shard_bytes)
    replace_folder(assembled, path)
    shutil.rmtree(workspace)
    return digest


def _fingerprint(request: BuildRequest, raw: Mapping[str, str]) -> str:
    """Identify a build by all that its result depends on."""
    columns = request.card.model_dump(include={"targets", "features", "closest_contact", "folder"})
    settings = request.settings.model_dump()
    code = code_digest(
        write_part.__module__, write_store.__module__, type(request.source).__module__
    )
    sizes = [PART_RECORDS, _FEWEST_RECORDS, _PARTS]
    parts = [SCHEMA_VERSION, *sizes, request.source.name, dict(raw), columns, settings, code]
    return digest_of(parts)


def _digest_if_built(path: Path, fingerprint: str) -> str | None:
    try:
        store = open_store(path)
        if store.attributes.get("fingerprint") != fingerprint:
            return None
        store.check_shards()
    except StoreError:
        return None  # there is none, or one that only building again can help
    return store.digest


def _prepare(workspace: Path, fingerprint: str) -> None:
    """Keep the parts of a killed build of the same thing; sweep away those of any other."""
    stamp = workspace / "fingerprint.json"
    if not stamp.exists() or stamp.read_text().strip() != f'"{fingerprint}"':
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir(parents=True)
        write_json(stamp, fingerprint)


def _check_unique(ids: list[str], paths: Mapping[str, Path]) -> None:
    files = ", ".join(map(str, paths.values()))
    if not ids:
        raise SourceError(f"{files}: there is no record in what should be a whole dataset")
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(name for name in ids if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise SourceError(f"{files}: the record '{twice}' is there more than once")


def _choose(population: list[str], sample: Sample | None) -> frozenset[str]:
    if sample is None:
        return frozenset(population)
    if sample.size > len(population):
        message = f"a sample of {sample.size:,} records is asked for, the dataset has"
        raise SettingsError(f"{message} {len(population):,}")
    generator = np.random.default_rng(sample.seed)
    rows = generator.choice(len(population), sample.size, replace=False)
    return frozenset(population[row] for row in rows)


def _make_parts(
    request: BuildRequest,
    chosen: frozenset[str],
    workspace: Path,
    executor: Executor,
    progress: Progress,
) -> list[Path]:
    """Make all missing parts, a bounded number at a time, and return all of them in order."""
    spec, card = request.settings.graph, request.card
    parts: list[Path] = []
    running: dict[Future[Any], int] = {}  # records of each
    done = 0

    def collect(at_most: int) -> None:
        nonlocal done
        for records in _finished(running, at_most):
            done += records
            progress(done, len(chosen))

    for number, raws in enumerate(_batches(request, chosen)):
        parts.append(workspace / f"part-{number:06d}.npz")
        arguments = (parts[-1], raws, request.source, spec, card)
        future = _made(parts[-1]) or executor.submit(write_part, *arguments)
        running[future] = len(raws)
        collect(_AHEAD)
    collect(0)
    return parts


def _made(part: Path) -> Future[Any] | None:
    """Return a part that an earlier build has finished, as if it had just been made."""
    if not part.exists():
        return None
    made: Future[Any] = Future()
    made.set_result(None)
    return made


def _batches(request: BuildRequest, chosen: frozenset[str]) -> Iterator[list[RawRecord]]:
    records: Iterable[RawRecord] = request.source.raw_records(request.paths)
    wanted = (record for record in records if record.id in chosen)
    size = min(PART_RECORDS, max(_FEWEST_RECORDS, ceil(len(chosen) / _PARTS)))
    while batch := list(islice(wanted, size)):
        yield batch


def _finished(running: dict[Future[Any], int], at_most: int) -> Iterator[int]:
    """Take out parts as they are finished, until so few are left, and yield their records."""
    while len(running) > at_most or any(future.done() for future in running):
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            future.result()
            yield running.pop(future)


@contextmanager
def _explained_worker_death(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        problem = f"{path}: a worker process ended abruptly, perhaps for want of memory"
        advice = "What is finished is kept: run the same command again, with fewer workers."
        raise StoreError(f"{problem}. {advice}") from error


def _list_quarantined(parts: list[Path], path: Path) -> list[Quarantined]:
    """Write the unusable records of all parts beside the store, and return them."""
    rows = [row for part in parts for row in read_quarantined(part)]
    with whole_file(_quarantine_listing(path)) as partial:
        columns = {field: [getattr(row, field) for row in rows] for field in Quarantined._fields}
        schema = pa.schema([(field, pa.string()) for field in Quarantined._fields])
        pq.write_table(pa.table(columns, schema=schema), partial)
    return rows


def _check_usable(
    rows: list[Quarantined], card: Card, records: int, path: Path, accept: bool
) -> None:
    if len(rows) == records:
        problem = f"no usable record among {records:,}"
    elif len(rows) > card.quarantined and not accept:
        known = f"where the card of {card.name} knows of {card.quarantined:,}"
        problem = f"{len(rows):,} unusable records {known}"
    else:
        return
    shown = [f"  {row.file}, {row.id}: {row.reason}" for row in rows[:5]]
    more = [f"  ... and {len(rows) - 5:,} more"] if len(rows) > 5 else []
    tail = f"All are listed in {_quarantine_listing(path)}."
    advice = [f"{tail} Build without them: --accept-quarantined"] if len(rows) < records else [tail]
    raise SourceError("\n".join([f"{problem}:", *shown, *more, *advice]))


def _quarantine_listing(path: Path) -> Path:
    return path.with_name("quarantine.parquet")


def _attributes(
    request: BuildRequest, raw: Mapping[str, str], fingerprint: str, population: list[str]
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": request.card.name,
        "graph": request.settings.graph.model_dump(),
        "targets": {
            name: target.model_dump(exclude={"raw"})
            for name, target in request.card.targets.items()
        },
        "features": {
            name: feature.model_dump(exclude={"raw"})
            for name, feature in request.card.features.items()
        },
        "provenance": {
            "source": request.source.name,
            "raw_sha256": dict(raw),
            "sample": request.settings.model_dump()["sample"],
        },
        "population": {"records": len(population), "id_digest": id_digest(population)},
        "fingerprint": fingerprint,
    }

"""Checking a graph store: every file, every value, and the rules that its arrays obey."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import fsspec
import numpy as np
import zarr
from numpy.dtypes import StringDType

from molcryst_bench.base.errors import MolcrystError, StoreError
from molcryst_bench.graphs.chunks import shards_of
from molcryst_bench.graphs.layout import (
    ArraySpec,
    array_digest,
    metadata_digest,
    row_blocks,
    store_digest,
)
from molcryst_bench.graphs.shards import ShardReader
from molcryst_bench.graphs.split import read_split
from molcryst_bench.graphs.store import GraphStore

_EDGES_AT_ONCE = 1 << 20
_METADATA = "zarr.json"
SPLITS = "../splits/"  # where splits are, seen from the store
_INDICES = ("edges/sender", "edges/receiver")
_OFFSETS = {
    "graphs/node_offset": ("nodes/atomic_number", "nodes/position"),
    "graphs/edge_offset": (*_INDICES, "edges/shift"),
}


class Damage(NamedTuple):
    """What is wrong with a store, in one line."""

    array: str  # or a file that belongs to no array
    problem: str  # begins with the shard, where one is at fault

    def __str__(self) -> str:
        return self.problem if self.problem.startswith(self.array) else ": ".join(self)


def find_damage(store: GraphStore, progress: Callable[[int, int], None]) -> list[Damage]:
    """Check all of a store and return everything that is wrong with it.

    Args:
        store: may be on any file system.
        progress: told how many of how many arrays are done.
    """
    damage = list(_damaged_metadata(store))
    expected = store.array_digests
    for done, name in enumerate(expected, start=1):
        damage += _damaged_values(store, name, expected[name])
        progress(done, len(expected))
    if store_digest(expected) != store.digest:
        damage.append(Damage(_METADATA, "the digest is not that of the list of digests"))
    for rule in (_broken_offsets, _broken_edges, _broken_ids, _broken_splits):
        sound = set(expected) - {each.array for each in damage}
        damage += rule(store, sound)
    return damage


def _damaged_metadata(store: GraphStore) -> Iterator[Damage]:
    """Compare what the store says of each array with what the array says of itself."""
    document = _read_json(store, _METADATA)
    if metadata_digest(document) != store.attributes.get("metadata_digest"):
        yield Damage(_METADATA, "changed since it was built")
    for name, known in document["consolidated_metadata"]["metadata"].items():
        file = f"{name}/{_METADATA}"
        try:
            own = _read_json(store, file)
        except StoreError as error:
            yield Damage(file, str(error))
        else:
            if any(own.get(key) != known[key] for key in known if key != "consolidated_metadata"):
                yield Damage(file, f"differs from what {_METADATA} of the store says")


def _read_json(store: GraphStore, file: str) -> Any:
    files, place = fsspec.url_to_fs(store.path, **store.storage_options)
    try:
        return json.loads(files.cat_file(f"{place}/{file}"))
    except FileNotFoundError as error:
        raise StoreError("is missing") from error
    except Exception as error:  # each remote file system has errors of its own
        raise StoreError(f"cannot be read: {error}") from error


def _damaged_values(store: GraphStore, name: str, expected: str) -> list[Damage]:
    """Read an array shard by shard, and go on after a damaged one."""
    damage: list[Damage] = []
    reader = ShardReader(store.path, store.storage_options)
    try:
        array = store.array(name)
    except StoreError:
        return [Damage(name, "is missing")]

    def blocks() -> Iterator[np.ndarray]:
        for shard in shards_of(array):
            try:
                yield reader.read(array, [slice(shard.start, shard.stop)])
            except StoreError as error:
                damage.append(Damage(name, str(error)))

    if array_digest(_spec_of(array), blocks()) != expected and not damage:
        return [Damage(name, "values changed since it was built")]
    return damage


def _spec_of(array: zarr.Array[Any]) -> ArraySpec:
    dtype = StringDType() if isinstance(array.dtype, StringDType) else array.dtype
    return ArraySpec(array.path, dtype, array.shape)


def _broken_offsets(store: GraphStore, sound: set[str]) -> Iterator[Damage]:
    for name, flat in _OFFSETS.items():
        if name in sound:
            offset = store.read(name)
            if len(offset) != len(store) + 1 or offset[0] != 0 or (np.diff(offset) < 0).any():
                yield Damage(name, f"does not rise from 0 through {len(store):,} graphs")
            for other in flat:
                if (rows := store.array(other).shape[0]) != offset[-1]:
                    yield Damage(name, f"ends at {offset[-1]:,}, {other} has {rows:,} rows")


def _broken_edges(store: GraphStore, sound: set[str]) -> Iterator[Damage]:
    """An edge joins two atoms of its own graph."""
    if not {*_OFFSETS, *_INDICES} <= sound:
        return
    edge_offset = store.read("graphs/edge_offset")
    atoms = np.diff(store.read("graphs/node_offset"))  # (graphs,)
    for block in row_blocks(int(edge_offset[-1]), _EDGES_AT_ONCE):
        rows = np.arange(block.start, block.stop)
        graph = np.searchsorted(edge_offset, rows, side="right") - 1
        for name in _INDICES:
            outside = store.read(name, block.start, block.stop) >= atoms[graph]
            if outside.any():
                first = int(outside.argmax())
                problem = f"edge {rows[first]:,} leaves its graph, number {graph[first]:,}"
                yield Damage(name, problem)


def _broken_ids(store: GraphStore, sound: set[str]) -> Iterator[Damage]:
    if "graphs/id" in sound and len(set(store.ids.tolist())) != len(store):
        yield Damage("graphs/id", "an id is there more than once")


def _broken_splits(store: GraphStore, sound: set[str]) -> Iterator[Damage]:
    for name in store.splits.names() if "graphs/id" in sound else []:
        try:
            read_split(store.splits, name).checked(store)
        except MolcrystError as error:
            yield Damage(f"{SPLITS}{name}.parquet", str(error))

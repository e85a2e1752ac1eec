"""The files of a graph store: each array is cut into shards, a shard into chunks with checksums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import zarr
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, StorePath, WrapperStore

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.layout import row_blocks


class Shard(NamedTuple):
    """One file of an array."""

    name: str  # within the store, such as "nodes/position/c/3/0"
    start: int  # its first row
    stop: int


class StoreFiles(WrapperStore[Store]):
    """Reads files of a store, each of which must be there.

    Zarr takes a missing shard for fill values, but these stores are written with all their shards.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes of a file or of a part of it.

        Raises:
            StoreError: if it is missing or cannot be read.
        """
        try:  # "from the start" is one request, where some would ask for the size of a whole first
            found = await self._store.get(key, prototype, byte_range or OffsetByteRequest(0))
        except Exception as error:  # each remote file system has errors of its own
            raise StoreError(f"{key}: cannot be read ({_in_words(error)})") from error
        if found is None:
            raise StoreError(f"{key}: is missing")
        if not len(found):  # which Zarr would take for fill values, too
            raise StoreError(f"{key}: is empty")
        return found


class _WholeFiles(WrapperStore[Store]):
    """Fetches a file at once, where Zarr would fetch its index and then chunk after chunk."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._fetched: dict[str, Buffer] = {}

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key not in self._fetched:
            whole = await self._store.get(key, prototype)
            if byte_range is None or whole is None:
                return whole
            self._fetched[key] = whole
        return _cut(self._fetched[key], byte_range)


def _cut(whole: Buffer, part: ByteRequest | None) -> Buffer:
    if isinstance(part, SuffixByteRequest):
        return whole[max(len(whole) - part.suffix, 0) :]
    if isinstance(part, RangeByteRequest):
        return whole[part.start : part.end]
    return whole


def open_files(path: str, storage_options: Mapping[str, Any] | None = None) -> StoreFiles:
    """Return the files under a local path or an fsspec URL, without asking for any of them."""
    if "://" not in path and "::" not in path:
        return StoreFiles(LocalStore(path, read_only=True))
    options = dict(storage_options or {})
    # The error of the file system says more than "missing", such as that there is no such bucket.
    remote = FsspecStore.from_url(path, options, read_only=True, allowed_exceptions=())
    return StoreFiles(remote)


def shards_of(array: zarr.Array[Any]) -> Iterator[Shard]:
    """Yield the shards of an array in the order of its rows."""
    rows = (array.shards or array.chunks)[0]
    columns = [0] * (array.ndim - 1)  # a shard holds whole rows
    for number, block in enumerate(row_blocks(array.shape[0], rows)):
        key = array.metadata.encode_chunk_key((number, *columns))
        yield Shard(f"{array.path}/{key}", block.start, block.stop)


def read_rows(array: zarr.Array[Any], start: int, stop: int) -> np.ndarray:
    """Read rows ``start`` to ``stop``; shards that are mostly wanted are fetched in one go.

    Raises:
        StoreError: naming the first shard that is missing or damaged.
    """
    wanted = [shard for shard in shards_of(array) if shard.start < stop and start < shard.stop]
    mostly = 2 * (stop - start) >= sum(shard.stop - shard.start for shard in wanted)
    try:
        return np.asarray((_by_whole_shards(array) if mostly else array)[start:stop])
    except StoreError:
        raise
    except (ValueError, RuntimeError) as error:  # of checksums and codecs
        if len(wanted) == 1:
            raise StoreError(f"{wanted[0].name}: is damaged ({_in_words(error)})") from error
    parts = [read_rows(array, max(start, s.start), min(stop, s.stop)) for s in wanted]
    return np.concatenate(parts)


def _by_whole_shards(array: zarr.Array[Any]) -> zarr.Array[Any]:
    files = StorePath(_WholeFiles(array.store), array.path)
    return zarr.Array(zarr.AsyncArray(array.metadata, files))


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")

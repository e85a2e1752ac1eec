"""Reading the files of a graph store in few requests.

Zarr reads the metadata and writes everything. Shards are read here, each chunk straight to where
its rows belong: Zarr, which hands it from coroutine to thread to buffer, takes three times as long.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import zarr
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import ByteRequest, OffsetByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.chunks import ChunkLayout, Shard
from molcryst_bench.graphs.scratch import Scratch


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


def is_remote(path: str) -> bool:
    """Return whether a path is an fsspec URL."""
    return "://" in path or "::" in path


def open_files(path: str, storage_options: Mapping[str, Any] | None = None) -> StoreFiles:
    """Return the files under a local path or an fsspec URL, without asking for any of them."""
    if not is_remote(path):
        return StoreFiles(LocalStore(path, read_only=True))
    options = dict(storage_options or {})
    # The error of the file system says more than "missing", such as that there is no such bucket.
    remote = FsspecStore.from_url(path, options, read_only=True, allowed_exceptions=())
    return StoreFiles(remote)


class ShardReader:
    """Reads rows of the arrays of one store; may be used by several threads at once."""

    def __init__(self, path: str, storage_options: Mapping[str, Any] | None = None) -> None:
        self._files, self._root = fsspec.url_to_fs(path, **(storage_options or {}))
        self._layouts: dict[str, ChunkLayout] = {}
        self._indices: dict[str, np.ndarray] = {}

    def read(
        self, array: zarr.Array[Any], blocks: Sequence[slice], scratch: Scratch | None = None
    ) -> np.ndarray:
        """Read blocks of rows of an array, one after the other, into new memory or into scratch.

        Raises:
            StoreError: naming the first shard that is missing or damaged.
        """
        layout = self._layout(array)
        rows = sum(block.stop - block.start for block in blocks)
        shape = (rows, *array.shape[1:])
        empty = np.empty if scratch is None else partial(scratch.empty, array.path)
        result = empty(shape, layout.dtype)
        done = 0
        for block in blocks:
            for shard in layout.shards[block.start // layout.shard_rows :]:
                part = shard.overlap(block)
                if part.start == part.stop:
                    break
                target = result[done : done + part.stop - part.start]
                done += len(target)
                self._read_shard(layout, shard, part, target)
        return result

    def check(self, array: zarr.Array[Any]) -> None:
        """Look whether the shards of an array are there and end as they should.

        Raises:
            StoreError: naming the first that is missing or cut short.
        """
        layout = self._layout(array)
        for shard in layout.shards:
            try:
                layout.decode_index(self._fetch(shard.name, -layout.index_bytes))
            except ValueError as error:
                raise StoreError(f"{shard.name}: is damaged ({_in_words(error)})") from error

    def _layout(self, array: zarr.Array[Any]) -> ChunkLayout:
        if array.path not in self._layouts:
            self._layouts[array.path] = ChunkLayout.of(array)
        return self._layouts[array.path]

    def _read_shard(
        self, layout: ChunkLayout, shard: Shard, part: slice, target: np.ndarray
    ) -> None:
        step = layout.chunk_rows
        chunks = slice(part.start // step, -(-part.stop // step))
        mostly = 2 * (part.stop - part.start) >= shard.stop - shard.start
        try:
            for number, packed in enumerate(self._chunks(layout, shard.name, chunks, mostly)):
                first = (chunks.start + number) * step
                rows = slice(max(part.start - first, 0), min(part.stop - first, step))
                begin = first + rows.start - part.start
                layout.decode(packed, rows, target[begin : begin + rows.stop - rows.start])
        except (ValueError, RuntimeError) as error:  # of checksums and codecs
            raise StoreError(f"{shard.name}: is damaged ({_in_words(error)})") from error

    def _chunks(
        self, layout: ChunkLayout, name: str, chunks: slice, mostly: bool
    ) -> Iterator[np.ndarray]:
        """Fetch consecutive chunks: the whole file if it is mostly wanted, else their bytes."""
        start, index = 0, self._indices.get(name)
        if mostly:
            data = self._fetch(name)
            index = layout.decode_index(data[-layout.index_bytes :])
        else:
            if index is None:
                index = layout.decode_index(self._fetch(name, -layout.index_bytes))
            start = int(index[chunks, 0].min())
            data = self._fetch(name, start, int(index[chunks].sum(1).max()))
        self._indices[name] = index
        for offset, size in index[chunks].tolist():
            yield data[offset - start : offset - start + size]

    def _fetch(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        path = f"{self._root}/{name}"
        local = isinstance(self._files, LocalFileSystem)
        if local and not Path(path).is_file():
            raise StoreError(f"{name}: is missing")
        try:
            if local:
                found = _mapped(path)[start:stop]
            else:  # "from the start" is one request; some would ask for the size of a whole first
                content = self._files.cat_file(path, start=start, end=stop)
                found = np.frombuffer(content, np.uint8)
        except Exception as error:  # each remote file system has errors of its own
            raise StoreError(f"{name}: cannot be read ({_in_words(error)})") from error
        if not len(found):
            raise StoreError(f"{name}: is empty")
        return found


def _mapped(path: str) -> np.ndarray:
    """Return the bytes of a file where the system keeps them, without a copy."""
    with open(path, "rb") as file:  # noqa: PTH123
        if not os.fstat(file.fileno()).st_size:  # which cannot be mapped
            return np.empty(0, np.uint8)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")

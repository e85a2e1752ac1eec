"""The layout of an array of a graph store in files: shards, which consist of chunks, and an index.

Each chunk is compressed and has a checksum at its end, as the index has at the end of the shard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import zarr
from numcodecs import Zstd, blosc
from numcodecs.vlen import VLenUTF8
from numpy.dtypes import StringDType

from molcryst_bench.graphs.layout import row_blocks

_CHECKSUM_BYTES = 4
_INDEX_ROW = 16  # bytes for the offset and the size of a chunk


class Shard(NamedTuple):
    """One file of an array."""

    name: str  # within the store, such as "nodes/position/c/3/0"
    start: int  # its first row
    stop: int

    def overlap(self, block: slice) -> slice:
        """Return which rows of the shard a block of rows of the array has."""
        first, last = max(block.start, self.start), min(block.stop, self.stop)
        return slice(first - self.start, max(first, last) - self.start)


def shards_of(array: zarr.Array[Any]) -> Iterator[Shard]:
    """Yield the shards of an array in the order of its rows."""
    rows = (array.shards or array.chunks)[0]
    columns = [0] * (array.ndim - 1)  # a shard holds whole rows
    for number, block in enumerate(row_blocks(array.shape[0], rows)):
        key = array.metadata.encode_chunk_key((number, *columns))
        yield Shard(f"{array.path}/{key}", block.start, block.stop)


@dataclass(frozen=True)
class ChunkLayout:
    """How the rows of an array lie in its shards."""

    shards: list[Shard]
    shard_rows: int
    chunk_rows: int
    row_shape: tuple[int, ...]
    dtype: np.dtype | StringDType

    @classmethod
    def of(cls, array: zarr.Array[Any]) -> ChunkLayout:
        """Take it from the metadata of an array."""
        text = isinstance(array.dtype, StringDType)
        return cls(
            list(shards_of(array)),
            (array.shards or array.chunks)[0],
            array.chunks[0],
            array.shape[1:],
            array.dtype if text else array.dtype.newbyteorder("<"),
        )

    @property
    def chunks(self) -> int:
        """Number of chunks in a shard."""
        return self.shard_rows // self.chunk_rows

    @property
    def index_bytes(self) -> int:
        """Bytes of the index at the end of each shard."""
        return _INDEX_ROW * self.chunks + _CHECKSUM_BYTES

    def decode_index(self, packed: np.ndarray) -> np.ndarray:
        """Return the offset and the size of each chunk in a shard, (chunks, 2).

        Raises:
            ValueError: if the checksum or the length is wrong.
        """
        index = np.frombuffer(_checked(packed), "<u8").astype(np.int64)
        return index.reshape(self.chunks, 2)

    def decode(self, packed: np.ndarray, rows: slice, target: np.ndarray) -> None:
        """Write some rows of a chunk to where they belong.

        Raises:
            ValueError: if the checksum is wrong.
        """
        content = _checked(packed)
        if isinstance(self.dtype, StringDType):
            target[:] = VLenUTF8().decode(Zstd().decode(content))[rows]
        elif len(target) == self.chunk_rows:
            blosc.decompress(content, target)
        else:
            values = np.frombuffer(blosc.decompress(content), self.dtype)
            target[:] = values.reshape(-1, *self.row_shape)[rows]


def _checked(packed: np.ndarray) -> np.ndarray:
    """Return what a checksum follows."""
    content, checksum = packed[:-_CHECKSUM_BYTES], packed[-_CHECKSUM_BYTES:]
    if google_crc32c.value(content) != int.from_bytes(checksum.tobytes(), "little"):
        raise ValueError("its checksum does not match")
    return content

"""The layout of a graph store: names, types and order of its arrays, and their digest.

Flat arrays and offsets, no padding. ``nodes/*`` and ``edges/*`` hold all graphs one after the
other; graph ``i`` has the rows from ``offset[i]`` to ``offset[i + 1]``. Senders and receivers count
within their graph. A symmetric list holds each pair of atoms once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.dtypes import StringDType

from molcryst_bench.base.files import digest_of

SCHEMA_VERSION = 2  # every shard is a file, also one of zeros; metadata have a digest
_ID_SEPARATOR = b"\n"


@dataclass(frozen=True)
class ArraySpec:
    """One array of a store."""

    name: str
    dtype: np.dtype | StringDType
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory; an id counts as 16."""
        itemsize = 16 if isinstance(self.dtype, StringDType) else self.dtype.itemsize
        return itemsize * int(np.prod(self.shape[1:], dtype=np.int64))


def array_digest(spec: ArraySpec, blocks: Iterable[np.ndarray]) -> str:
    """Return the SHA-256 over the decoded values of one array, however they come in blocks.

    Numbers count as little-endian bytes, ids as UTF-8 lines.
    """
    head = f"{spec.name} {_type_name(spec)} {spec.shape}\n"
    digest = hashlib.sha256(head.encode())
    for block in blocks:
        digest.update(_as_bytes(block))
    return digest.hexdigest()


def store_digest(array_digests: dict[str, str]) -> str:
    """Return the digest of a store from those of its arrays, in the order of their names."""
    lines = (f"{name} {array_digests[name]}\n" for name in sorted(array_digests))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def metadata_digest(document: dict[str, Any]) -> str:
    """Return the digest of a store's ``zarr.json``, but for the place that holds it."""
    attributes = {k: v for k, v in document["attributes"].items() if k != "metadata_digest"}
    return digest_of({**document, "attributes": attributes})


def id_digest(ids: Iterable[str]) -> str:
    """Return the digest of a set of record ids, whatever their order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def row_blocks(rows: int, rows_per_block: int) -> Iterator[slice]:
    """Cut ``rows`` rows into slices of at most ``rows_per_block``."""
    for start in range(0, rows, rows_per_block):
        yield slice(start, min(start + rows_per_block, rows))


def _type_name(spec: ArraySpec) -> str:
    return (
        "string" if isinstance(spec.dtype, StringDType) else str(spec.dtype.newbyteorder("<").str)
    )


def _as_bytes(block: np.ndarray) -> bytes | memoryview:
    if isinstance(block.dtype, StringDType):
        return b"".join(str(text).encode() + _ID_SEPARATOR for text in block)
    return (
        np.ascontiguousarray(block, block.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
    )

"""Parts to a sharded Zarr v3 store: one pass per array, one write per shard."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.dtypes import StringDType
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.errors import ZarrUserWarning

from molcryst_bench.base.files import write_json
from molcryst_bench.graphs.layout import ArraySpec, array_digest, metadata_digest, store_digest
from molcryst_bench.sources.card import Card

CHUNK_BYTES = 1 << 18  # what is decoded for a single row
DEFAULT_SHARD_BYTES = 64 << 20


@dataclass(frozen=True)
class _Counts:
    nodes: np.ndarray  # (graphs,)
    edges: np.ndarray  # (graphs,)


def write_store(
    parts: Sequence[Path],
    path: Path,
    card: Card,
    attributes: Mapping[str, Any],
    shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> str:
    """Write the arrays of all parts to a new store and return its digest.

    Args:
        parts: files of flat arrays, in the order of the records.
        path: an empty folder.
        card: says what the parts hold beside the graphs.
        attributes: metadata to keep with the store.
        shard_bytes: size of a shard before compression; one shard at a time is in memory.
    """
    counts = _Counts(_all_rows(parts, "nodes/count"), _all_rows(parts, "edges/count"))
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    digests = {}
    for spec in _specs(counts, card):
        blocks = _blocks(parts, spec, counts)
        array = _create(group, spec, shard_bytes)
        digests[spec.name] = array_digest(spec, _written(array, spec, blocks))
    digest = store_digest(digests)
    group.attrs.update({**attributes, "digest": digest, "array_digests": digests})
    with warnings.catch_warnings():  # consolidated metadata is not in the Zarr v3 standard yet
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(group.store)
    _seal(path / "zarr.json")
    return digest


def _seal(metadata: Path) -> None:
    """Let the metadata tell their own digest: their bytes have no checksum, as those of chunks."""
    document = json.loads(metadata.read_text(encoding="utf-8"))
    document["attributes"]["metadata_digest"] = metadata_digest(document)
    write_json(metadata, document)


def _specs(counts: _Counts, card: Card) -> list[ArraySpec]:
    graphs, nodes, edges = len(counts.nodes), int(counts.nodes.sum()), int(counts.edges.sum())
    # The smallest type for atom indices depends on the largest graph alone.
    index = np.min_scalar_type(max(int(counts.nodes.max(initial=1)) - 1, 0))
    rows = {"graph": graphs, "node": nodes}
    return [
        ArraySpec("graphs/id", StringDType(), (graphs,)),
        ArraySpec("graphs/cell", np.dtype(np.float64), (graphs, 3, 3)),
        ArraySpec("graphs/pbc", np.dtype(bool), (graphs, 3)),
        ArraySpec("graphs/node_offset", np.dtype(np.int64), (graphs + 1,)),
        ArraySpec("graphs/edge_offset", np.dtype(np.int64), (graphs + 1,)),
        ArraySpec("nodes/atomic_number", np.dtype(np.uint8), (nodes,)),
        ArraySpec("nodes/position", np.dtype(np.float32), (nodes, 3)),
        ArraySpec("edges/sender", index, (edges,)),
        ArraySpec("edges/receiver", index, (edges,)),
        ArraySpec("edges/shift", np.dtype(np.int8), (edges, 3)),
        *(
            ArraySpec(
                f"targets/{name}", np.dtype(np.float64), (rows[target.level], *target.row_shape)
            )
            for name, target in sorted(card.targets.items())
        ),
        *(
            ArraySpec(f"features/{name}", np.dtype(np.float64), (graphs,))
            for name in sorted(card.features)
        ),
    ]


def _blocks(parts: Sequence[Path], spec: ArraySpec, counts: _Counts) -> Iterator[np.ndarray]:
    if spec.name == "graphs/node_offset":
        return iter([_offsets(counts.nodes)])
    if spec.name == "graphs/edge_offset":
        return iter([_offsets(counts.edges)])
    return (_read(part, spec.name).astype(spec.dtype) for part in parts)


def _written(
    array: zarr.Array[Any], spec: ArraySpec, blocks: Iterator[np.ndarray]
) -> Iterator[np.ndarray]:
    """Write shard by shard; pass on what was written, so that it can be digested."""
    start = 0
    for block in _rechunked(blocks, (array.shards or array.chunks)[0]):
        array[start : start + len(block)] = block
        start += len(block)
        yield block


def _rechunked(blocks: Iterator[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Regroup blocks of any length into blocks of ``rows`` rows; the last may be shorter."""
    waiting: list[np.ndarray] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= rows:
            joined = np.concatenate(waiting)
            whole = len(joined) // rows * rows
            yield from (joined[start : start + rows] for start in range(0, whole, rows))
            waiting = [joined[whole:]]
    if sum(map(len, waiting)):
        yield np.concatenate(waiting)


def _create(group: zarr.Group, spec: ArraySpec, shard_bytes: int) -> zarr.Array[Any]:
    text = isinstance(spec.dtype, StringDType)
    rows = max(1, spec.shape[0])
    # A chunk or a shard is no larger than the array, and a shard has whole chunks.
    chunk = min(max(1, CHUNK_BYTES // spec.row_bytes), rows)
    chunks_needed = -(-rows // chunk)
    shard = chunk * min(max(1, shard_bytes // CHUNK_BYTES), chunks_needed)
    itemsize = 1 if text else spec.dtype.itemsize
    packer = ZstdCodec(level=9) if text else _shuffled_lz4(itemsize)
    return group.create_array(
        spec.name,
        shape=spec.shape,
        dtype="string" if text else spec.dtype,
        chunks=(chunk, *spec.shape[1:]),
        shards=(shard, *spec.shape[1:]),
        compressors=[packer, Crc32cCodec()],
        fill_value="" if text else np.zeros((), spec.dtype)[()],
        config={"write_empty_chunks": True},  # so that a shard that is missing is missed
    )


def _shuffled_lz4(itemsize: int) -> BloscCodec:
    """Return what packs graphs about as small as Zstandard and unpacks them twice as fast."""
    return BloscCodec(cname="lz4hc", clevel=9, shuffle="shuffle", typesize=itemsize)


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _all_rows(parts: Sequence[Path], name: str) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *(_read(part, name) for part in parts)])


def _read(part: Path, name: str) -> np.ndarray:
    with np.load(part, allow_pickle=False) as arrays:
        content: np.ndarray = arrays[name]
        return content

"""The rows of a subset of a store too large to hold the ids of all its records at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from molcryst_bench.graphs.split_folder import SplitFolder

if TYPE_CHECKING:
    from molcryst_bench.graphs.store import GraphStore

_BLOCK = 1 << 16  # records


def rows_in_blocks(folder: SplitFolder, name: str, store: GraphStore, subset: str) -> Tensor | None:
    """Find the rows of one subset, where the split has the records of the store in its order.

    That is so if the store is no sample and its records are sorted by id, as those of most large
    datasets are. What the split says about itself is checked on the way.

    Returns:
        their positions in the store, or nothing where this way does not go: the split is to be
        read as a whole then, which also tells what may be wrong with it.
    """
    ids, lines, members = _Lines(), _Lines(), []
    try:
        file = pq.ParquetFile(pa.BufferReader(folder.read(name)))
        for records, names in _aligned(file, store):
            members.append(np.array([each == subset for each in names]))
            ids.add(records)
            lines.add(f"{record} {each}" for record, each in zip(records, names, strict=True))
    except (pa.ArrowException, KeyError, ValueError):
        return None
    if sum(map(len, members)) != len(store) or ids.digest != store.population_digest():
        return None
    said = {key.decode(): value.decode() for key, value in file.schema_arrow.metadata.items()}
    unchanged = {"id_digest": ids.digest, "digest": lines.digest}.items() <= said.items()
    return torch.from_numpy(np.flatnonzero(np.concatenate(members))) if unchanged else None


def _aligned(file: Any, store: GraphStore) -> Iterator[tuple[list[str], list[str]]]:
    """Yield ids and subsets as long as the ids are those of the store, in its order.

    Raises:
        ValueError: where they are not.
    """
    start = 0
    for batch in file.iter_batches(batch_size=_BLOCK, columns=["id", "subset"]):
        records = batch["id"].to_pylist()
        if store.read("graphs/id", start, start + len(records)).tolist() != records:
            raise ValueError("another order, or other records")
        start += len(records)
        yield records, batch["subset"].to_pylist()


class _Lines:
    """The digest of sorted lines that come in blocks."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.last: str | None = None

    def add(self, lines: Iterable[str]) -> None:
        """Go on with more lines.

        Raises:
            ValueError: if they are not in order.
        """
        block = list(lines)
        before = [] if self.last is None else [self.last]
        ordered = [*before, *block]
        if ordered != sorted(ordered):
            raise ValueError("not sorted")
        text = "\n".join(block)
        self.sha256.update((text if self.last is None else f"\n{text}").encode())
        self.last = block[-1]

    @property
    def digest(self) -> str:
        """The SHA-256 of all lines so far, joined by line ends."""
        return self.sha256.hexdigest()

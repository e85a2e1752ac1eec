"""Batches from a store that is larger than memory, read block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.graphs.flat import FlatGraphs, join_graphs
from molcryst_bench.graphs.loader import Loader

if TYPE_CHECKING:
    from molcryst_bench.graphs.store import GraphStore

_BLOCK_BYTES = 8 << 20  # decoded; a few chunks of each array
_BLOCKS_AT_ONCE = 8  # blocks that are shuffled together


class StreamLoader(Loader):
    """Iterate over batches while holding a bounded part of a store in memory.

    The store is read in blocks of consecutive graphs. With ``shuffle`` the blocks come in random
    order, and a few of them are mixed at a time, so that an epoch is nearly as random as one from
    memory; its order depends on the seed alone. The next blocks are read in a thread while the
    present ones are used.
    """

    def __init__(
        self,
        store: GraphStore,
        rows: Tensor,
        batch_size: int | None,
        shuffle: bool,
        seed: int,
        *,
        targets: Sequence[str] | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(batch_size, shuffle, seed, **limits)
        self.store = store
        self.rows = rows.sort().values
        self.targets = targets

    def __iter__(self) -> Iterator[Batch]:
        generator = self._generator()
        self.epoch += 1
        mine = islice(self._batches(generator), self.rank, None, self.ranks)
        return (graphs.select(rows) for graphs, rows in mine)

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[FlatGraphs, Tensor]]:
        """Yield the graphs of a window and the rows of a batch among them."""
        left: list[FlatGraphs] = []
        for graphs in self._windows(generator):
            pool = join_graphs([*left, graphs])
            order = torch.arange(len(pool))
            if self.shuffle:
                order = order[torch.randperm(len(pool), generator=generator)]
            *whole, last = self.limit.cut(order, pool.atoms, pool.edges)
            yield from ((pool, rows) for rows in whole)
            left = [pool.take(last)]  # goes on into the next window
        yield from ((graphs, torch.arange(len(graphs))) for graphs in left)

    def _windows(self, generator: torch.Generator) -> Iterator[FlatGraphs]:
        """Read a few blocks at a time, one window ahead."""
        blocks = self._blocks()
        if self.shuffle:
            order = torch.randperm(len(blocks), generator=generator).tolist()
            blocks = [blocks[number] for number in order]
        windows = [blocks[i : i + _BLOCKS_AT_ONCE] for i in range(0, len(blocks), _BLOCKS_AT_ONCE)]
        with ThreadPoolExecutor(max_workers=1) as reader:
            coming = reader.submit(self._read, windows[0]) if windows else None
            for window in [*windows[1:], []]:
                if coming is not None:
                    present = coming
                    coming = reader.submit(self._read, window) if window else None
                    yield present.result()

    def _blocks(self) -> list[Tensor]:
        """Cut the rows where blocks of the store end; a block without rows is not read."""
        size = max(1, _BLOCK_BYTES // self.store.bytes_per_graph)
        ends = torch.arange(size, len(self.store) + size, size)
        counts = torch.searchsorted(self.rows, ends).diff(prepend=torch.zeros(1, dtype=torch.int64))
        return [rows for rows in torch.split(self.rows, counts.tolist()) if len(rows)]

    def _read(self, blocks: Sequence[Tensor]) -> FlatGraphs:
        parts = []
        for rows in blocks:
            start, stop = int(rows[0]), int(rows[-1]) + 1
            graphs = FlatGraphs.from_store(self.store, self.targets, start, stop)
            parts.append(graphs if len(rows) == stop - start else graphs.take(rows - start))
        return join_graphs(parts)

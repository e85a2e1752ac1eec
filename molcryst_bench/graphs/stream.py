"""Batches from a store that is larger than memory, read block by block."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.graphs.flat import FlatGraphs, join_graphs
from molcryst_bench.graphs.loader import Loader
from molcryst_bench.graphs.scratch import Scratch
from molcryst_bench.graphs.shards import is_remote

if TYPE_CHECKING:
    from molcryst_bench.graphs.store import GraphStore

T = TypeVar("T")

_BLOCK_BYTES = 16 << 20  # decoded; many chunks of each array, few of them wanted in part
_BLOCKS_AT_ONCE = 8  # blocks that are shuffled together


class StreamLoader(Loader):
    """Iterate over batches while holding a bounded part of a store in memory.

    The store is read in blocks of consecutive graphs. With ``shuffle`` the blocks come in random
    order, and a few of them are mixed at a time, so that an epoch is nearly as random as one from
    memory; its order depends on the seed alone. Of a remote store, the next blocks are read in a
    thread while the present ones are used. Local ones are read when they are wanted, by two
    threads: decoding beside the loops of batches, both would wait for Python's lock and for memory.
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
        self._scratches: list[Scratch] = []

    def __iter__(self) -> Iterator[Batch]:
        generator = self._generator()
        self.epoch += 1
        mine = islice(self._batches(generator), self.rank, None, self.ranks)
        return (graphs.select(rows) for graphs, rows in mine)

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[FlatGraphs, Tensor]]:
        """Yield graphs in memory and the rows of a batch among them."""
        left: FlatGraphs | None = None  # too few for a batch: they begin the next
        for graphs, order in self._windows(generator):
            if self.shuffle:
                order = order[torch.randperm(len(order), generator=generator)]
            before = graphs.take(order[:0]) if left is None else left
            *whole, last = self._cut(before, graphs, order)
            yield from whole
            left = last[0].take(last[1])
        if left is not None:
            yield left, torch.arange(len(left))

    def _cut(
        self, left: FlatGraphs, graphs: FlatGraphs, order: Tensor
    ) -> list[tuple[FlatGraphs, Tensor]]:
        """Cut what was left and then a window into batches; only the first is of both."""
        atoms, edges = torch.cat([left.atoms, graphs.atoms]), torch.cat([left.edges, graphs.edges])
        rows = torch.cat([torch.arange(len(left)), order + len(left)])
        first, *others = self.limit.cut(rows, atoms, edges)
        of_both = join_graphs([left, graphs.take(first[len(left) :] - len(left))])
        batches = [(of_both, torch.arange(len(of_both)))]
        rest = torch.split(order[len(first) - len(left) :], [len(each) for each in others])
        return batches + [(graphs, each) for each in rest]

    def _windows(self, generator: torch.Generator) -> Iterator[tuple[FlatGraphs, Tensor]]:
        """Read a few blocks at a time, and yield them with the rows to take."""
        blocks = self._blocks()
        if self.shuffle:
            order = torch.randperm(len(blocks), generator=generator).tolist()
            blocks = [blocks[number] for number in order]
        windows = [blocks[i : i + _BLOCKS_AT_ONCE] for i in range(0, len(blocks), _BLOCKS_AT_ONCE)]
        ahead = is_remote(self.store.path)
        with self._lent_scratches(2 if ahead else 1) as scratches:
            reads = (
                partial(self._read, window, scratch)
                for window, scratch in zip(windows, cycle(scratches), strict=False)
            )
            yield from _one_ahead(reads) if ahead else (read() for read in reads)

    @contextmanager
    def _lent_scratches(self, count: int) -> Iterator[list[Scratch]]:
        """Lend memory for as many windows, kept from epoch to epoch."""
        lent = self._scratches or [Scratch() for _ in range(count)]
        self._scratches = []  # another epoch that begins before this ends gets its own
        try:
            yield lent
        finally:
            self._scratches = lent

    def _blocks(self) -> list[Tensor]:
        """Cut the rows where blocks of the store end; a block without rows is not read."""
        ends = torch.arange(self._block, len(self.store) + self._block, self._block)
        counts = torch.searchsorted(self.rows, ends).diff(prepend=torch.zeros(1, dtype=torch.int64))
        return [rows for rows in torch.split(self.rows, counts.tolist()) if len(rows)]

    @property
    def _block(self) -> int:
        """Number of graphs in a block."""
        return max(1, _BLOCK_BYTES // self.store.bytes_per_graph)

    def _read(self, blocks: Sequence[Tensor], scratch: Scratch) -> tuple[FlatGraphs, Tensor]:
        """Read blocks, neighbours in one go, and return with them where the wanted rows are."""
        runs: list[Tensor] = []
        for rows in sorted(blocks, key=lambda rows: int(rows[0])):
            if runs and int(rows[0]) // self._block == int(runs[-1][-1]) // self._block + 1:
                rows = torch.cat([runs.pop(), rows])
            runs.append(rows)
        parts = [slice(int(rows[0]), int(rows[-1]) + 1) for rows in runs]
        places, read = [], 0
        for rows, part in zip(runs, parts, strict=True):
            places.append(rows - part.start + read)
            read += part.stop - part.start
        graphs = FlatGraphs.from_store(self.store, self.targets, parts, scratch)
        return graphs, torch.cat(places)


def _one_ahead(reads: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yield what each call returns, while a thread makes the next call."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming: deque[Future[T]] = deque()
        for read in reads:
            coming.append(reader.submit(read))
            if len(coming) == 2:
                yield coming.popleft().result()
        yield from (last.result() for last in coming)

"""Batches of graphs in an order that depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs.flat import FlatGraphs


class GraphLoader:
    """Iterate over batches of the graphs in ``rows``.

    Each pass is an epoch; with ``shuffle`` every epoch has another order, the same for equal seeds.
    """

    def __init__(
        self, graphs: FlatGraphs, rows: Tensor, batch_size: int, shuffle: bool, seed: int
    ) -> None:
        if batch_size < 1:
            raise SettingsError(f"batch_size is {batch_size}: it must be at least 1")
        self.graphs = graphs
        self.rows = rows
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self._order()
        self.epoch += 1
        return (self.graphs.select(rows) for rows in torch.split(order, self.batch_size))

    def _order(self) -> Tensor:
        if not self.shuffle:
            return self.rows
        generator = torch.Generator().manual_seed(_mix(self.seed, self.epoch))
        return self.rows[torch.randperm(len(self.rows), generator=generator)]


def _mix(seed: int, epoch: int) -> int:
    """Combine seed and epoch so that no two pairs of everyday size share an order."""
    return (seed * 1_000_003 + epoch) % 2**63

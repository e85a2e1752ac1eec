"""Batches of graphs in an order that depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs.batching import BatchLimit
from molcryst_bench.graphs.flat import FlatGraphs


class GraphLoader:
    """Iterate over batches of the graphs in ``rows``.

    Each pass is an epoch; with ``shuffle`` every epoch has another order, the same for equal seeds.
    Of several ranks each sees every ``ranks``-th batch of the same epoch: together they see every
    graph once.
    """

    def __init__(
        self,
        graphs: FlatGraphs,
        rows: Tensor,
        batch_size: int | None,
        shuffle: bool,
        seed: int,
        *,
        max_atoms: int | None = None,
        max_edges: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if not 0 <= rank < ranks:
            raise SettingsError(f"rank {rank} of {ranks}: ranks count from 0")
        self.graphs = graphs
        self.rows = rows
        self.limit = BatchLimit(batch_size, max_atoms, max_edges)
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.epoch = 0

    def __len__(self) -> int:
        """Number of batches of this rank in the coming epoch."""
        return len(self._batches())

    def __iter__(self) -> Iterator[Batch]:
        batches = self._batches()
        self.epoch += 1
        return (self.graphs.select(rows) for rows in batches)

    def _batches(self) -> list[Tensor]:
        order = self._order()
        batches = self.limit.cut(order, self.graphs.atoms, self.graphs.edges)
        return batches[self.rank :: self.ranks]

    def _order(self) -> Tensor:
        if not self.shuffle:
            return self.rows
        permutation = torch.randperm(
            len(self.rows), generator=epoch_generator(self.seed, self.epoch)
        )
        return self.rows[permutation]


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Return a generator such that no two pairs of everyday size give the same order."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)

"""Batches of graphs in an order that depends on the seed alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs.batching import BatchLimit
from molcryst_bench.graphs.flat import FlatGraphs


class Loader(ABC):
    """What all loaders share: each pass over one is an epoch.

    With ``shuffle`` every epoch has another order, the same for equal seeds. Of several ranks each
    sees every ``ranks``-th batch of the same epoch: together they see every graph once.
    """

    def __init__(
        self,
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
        self.limit = BatchLimit(batch_size, max_atoms, max_edges)
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.epoch = 0

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Begin an epoch."""

    def _generator(self) -> torch.Generator:
        """Return the generator of the coming epoch; no two pairs of everyday size share one."""
        return torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)


class GraphLoader(Loader):
    """Iterate over batches of the graphs in ``rows``, all of which are in memory."""

    def __init__(
        self,
        graphs: FlatGraphs,
        rows: Tensor,
        batch_size: int | None,
        shuffle: bool,
        seed: int,
        **limits: Any,
    ) -> None:
        super().__init__(batch_size, shuffle, seed, **limits)
        self.graphs = graphs
        self.rows = rows

    def __len__(self) -> int:
        """Number of batches of this rank in the coming epoch."""
        return len(self._batches())

    def __iter__(self) -> Iterator[Batch]:
        batches = self._batches()
        self.epoch += 1
        return (self.graphs.select(rows) for rows in batches)

    def _batches(self) -> list[Tensor]:
        order = self.rows
        if self.shuffle:
            order = order[torch.randperm(len(order), generator=self._generator())]
        batches = self.limit.cut(order, self.graphs.atoms, self.graphs.edges)
        return batches[self.rank :: self.ranks]

"""The share that each of several ranks takes of a batch, and how much it weighs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor
from torch_geometric.data import Batch

from molcryst_bench.graphs.flat import FlatGraphs
from molcryst_bench.graphs.loader import GraphLoader


class Place(NamedTuple):
    """Which of the ranks that train together one is."""

    rank: int
    ranks: int


ALONE = Place(0, 1)


class Share(NamedTuple):
    """What the mean over a rank's share counts in the mean over all ranks.

    The mean over a batch of :math:`N` graphs on :math:`R` ranks, of which this one has :math:`n`,
    is the mean over ranks of :math:`w` times the mean over each share, with :math:`w = n R / N`.
    """

    of_graphs: float
    of_atoms: float


WHOLE = Share(1.0, 1.0)
_NONE = Share(0.0, 0.0)


class ShareLoader(GraphLoader):
    """Iterates over every ``ranks``-th graph of each batch: together the ranks see the batch once.

    So the batches do not depend on the number of ranks. Each has ``batch.share``; a rank without a
    graph in a small batch is given its first one, which then counts nothing.
    """

    def __init__(
        self, graphs: FlatGraphs, rows: Tensor, batch_size: int, place: Place, **order: Any
    ) -> None:
        super().__init__(graphs, rows, batch_size, **order)
        self.place = place

    def __iter__(self) -> Iterator[Batch]:
        batches = self._batches()
        self.epoch += 1
        return map(self._share, batches)

    def _share(self, rows: Tensor) -> Batch:
        own = rows[self.place.rank :: self.place.ranks]
        batch = self.graphs.select(own if len(own) else rows[:1])
        batch.share = self._weight(own, rows)
        return batch

    def _weight(self, own: Tensor, rows: Tensor) -> Share:
        if self.place.ranks == 1:
            return WHOLE
        if not len(own):
            return _NONE
        atoms = self.graphs.atoms
        parts = len(own) / len(rows), int(atoms[own].sum()) / int(atoms[rows].sum())
        return Share(*(part * self.place.ranks for part in parts))

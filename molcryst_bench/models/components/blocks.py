"""Sums of outer products over neighbours, without holding one for each edge."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.occurrence import occurrence


@dataclass(frozen=True)
class NeighborBlocks:
    r"""The neighbours of every atom in blocks of one size, the last of an atom filled with nothing.

    :math:`\sum_j \varphi_{ij} h_j^\top` is then a product of matrices for each block. Blocks are as
    large as twice the mean number of neighbours, and as many as could be needed at most: both
    follow from the shapes, so no device has to be asked.
    """

    slot: Tensor  # (directed edges,) among blocks * size
    sender: Tensor  # (blocks * size,)
    receiver: Tensor  # (blocks,)
    size: int

    @classmethod
    def of(cls, neighbors: Neighbors, nodes: int) -> NeighborBlocks:
        """Arrange the edges of a batch."""
        edges = neighbors.directed()
        count = len(edges.receiver)
        size = max(1, 2 * count // max(nodes, 1))
        blocks = count // size + nodes  # each atom may leave one of its blocks unfilled
        slot = _slots(edges.receiver, nodes, size)
        sender = slot.new_zeros(blocks * size).index_copy_(0, slot, edges.sender)
        receiver = slot.new_zeros(blocks).index_copy_(0, slot // size, edges.receiver)
        return cls(slot, sender, receiver, size)

    def spread(self, values: Tensor) -> Tensor:
        """Bring (directed edges, width) to (blocks, size, width), zero where no edge is."""
        spread = values.new_zeros(len(self.sender), values.shape[1])
        return spread.index_copy(0, self.slot, values).view(-1, self.size, values.shape[1])

    def senders(self, features: Tensor) -> Tensor:
        """Gather the features (nodes, width) of senders to (blocks, size, width)."""
        gathered = features.index_select(0, self.sender)
        return gathered.view(-1, self.size, features.shape[1])

    def collect(self, values: Tensor, nodes: int) -> Tensor:
        """Sum (blocks, width) at the receivers to (nodes, width)."""
        return values.new_zeros(nodes, values.shape[1]).index_add_(0, self.receiver, values)


def _slots(receiver: Tensor, nodes: int, size: int) -> Tensor:
    """Return a place for each edge such that the edges of an atom fill its blocks in order."""
    degree = receiver.new_zeros(nodes).index_add_(0, receiver, torch.ones_like(receiver))
    needed = (degree + size - 1) // size  # (nodes,) blocks
    first_slot = (needed.cumsum(0) - needed) * size
    return first_slot[receiver] + occurrence(receiver)

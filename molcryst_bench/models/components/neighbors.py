"""Who sees whom in a batch, and sums over neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Neighbors:
    """Directed edges, or pairs of which each stands for both directions.

    A filter that depends on the distance alone is the same in both directions: with pairs it is
    computed once.
    """

    sender: Tensor  # (edges,)
    receiver: Tensor  # (edges,)
    vector: Tensor  # (edges, 3) Å, from sender to receiver
    distance: Tensor  # (edges,) Å
    paired: bool

    @classmethod
    def of(cls, batch: Any) -> Neighbors:
        """Compute the distances of a batch; they are differentiable in ``pos`` and ``cell``."""
        paired = bool(getattr(batch, "symmetric", False))
        step = 2 if paired else 1  # the reverse of each edge stands next to it
        sender, receiver = batch.edge_index[:, ::step].contiguous()
        vector = batch.pos[receiver] - batch.pos[sender]  # (edges, 3)
        if getattr(batch, "edge_shift", None) is not None:
            vector = vector + _translation(batch, sender, batch.edge_shift[::step])
        return cls(sender, receiver, vector, vector.norm(dim=1), paired)

    @property
    def step(self) -> int:
        """How many directed edges each stands for."""
        return 2 if self.paired else 1

    @property
    def directions(self) -> int:
        """The number of directed edges."""
        return len(self.sender) * self.step

    def directed(self) -> Neighbors:
        """Return the same with an edge for each direction, each pair followed by its reverse.

        What was computed for pairs, such as a filter, is brought to the same order by ``both``. Its
        second use comes next after the first, while it is in the processor's cache.
        """
        if not self.paired:
            return self
        sender = torch.stack([self.sender, self.receiver], 1).flatten()
        receiver = torch.stack([self.receiver, self.sender], 1).flatten()
        vector = torch.stack([self.vector, -self.vector], 1).flatten(0, 1)
        return Neighbors(sender, receiver, vector, self.both(self.distance), paired=False)

    def both(self, values: Tensor) -> Tensor:
        """Repeat what is the same in both directions, (edges, ...), for ``directed``."""
        return torch.stack([values, values], 1).flatten(0, 1) if self.paired else values

    def collect(self, messages: Tensor, nodes: int) -> Tensor:
        """Sum the messages (edges, ...) of directed edges at their receivers to (nodes, ...)."""
        shape = (nodes, *messages.shape[1:])
        return messages.new_zeros(shape).index_add_(0, self.receiver, messages)

    def convolve(self, features: Tensor, weight: Tensor) -> Tensor:
        """Sum ``features[sender] * weight`` (nodes, width) over the neighbours of each atom."""
        message = features.index_select(0, self.sender) * weight  # (edges, width)
        result = message.new_zeros(features.shape).index_add_(0, self.receiver, message)
        if self.paired:
            reverse = features.index_select(0, self.receiver) * weight
            result = result.index_add_(0, self.sender, reverse)
        return result


def _translation(batch: Any, sender: Tensor, shift: Tensor) -> Tensor:
    """Return the translation of each edge across cells, (edges, 3) in Å."""
    shift = shift.to(batch.pos.dtype)
    cells: Tensor = batch.cell.reshape(-1, 3, 3)  # (graphs, 3, 3)
    if batch.batch is None:
        return shift @ cells[0]
    return (shift[:, None, :] @ cells[batch.batch[sender]]).squeeze(1)

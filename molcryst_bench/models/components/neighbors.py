"""Who sees whom in a batch, and sums over neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Neighbors:
    """Directed edges, or pairs of which each stands for both directions.

    A filter that depends on the distance alone is the same in both directions: with pairs it is
    computed once.
    """

    sender: Tensor  # (edges,)
    receiver: Tensor  # (edges,)
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
        return cls(sender, receiver, vector.norm(dim=1), paired)

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

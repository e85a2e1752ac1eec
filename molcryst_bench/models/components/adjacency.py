"""Adjacency as a list of edges and as a padded matrix, behind one interface."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from molcryst_bench.models.components.neighbors import Neighbors
from molcryst_bench.models.components.occurrence import occurrence
from molcryst_bench.models.components.padding import Padding


class Adjacency(ABC):
    """Which atoms see each other, and what they send.

    Attributes:
        distance: (...) Å.
        edges: number of directed edges.
        mask: where an edge stands, as ``combine`` returns them; None if there is no padding.
    """

    distance: Tensor
    edges: int
    mask: Tensor | None = None

    @abstractmethod
    def both(self, values: Tensor) -> Tensor:
        """Bring values (..., features) of distances to the form that ``combine`` returns."""

    @abstractmethod
    def combine(self, receiver: Tensor, sender: Tensor, edge: Tensor) -> Tensor:
        """Add what receiver and sender say to what the distance says.

        Args:
            receiver: (nodes, features).
            sender: (nodes, features).
            edge: (..., features) for each of ``distance``.
        """

    @abstractmethod
    def collect(self, messages: Tensor) -> Tensor:
        """Sum messages, as ``combine`` returns them, at their receivers to (nodes, features).

        The sum is in single precision at least: half precision is for products.
        """


class AdjacencyList(Adjacency):
    """One entry for each edge: memory grows with the number of edges.

    ``distance`` is (pairs,) where the list is symmetric, and what follows from it alone is computed
    once for both directions. Combined values are (edges, features).
    """

    def __init__(self, batch: Any) -> None:
        self._nodes = len(batch.z)
        self.neighbors = Neighbors.of(batch)
        self._directed = self.neighbors.directed()
        self.distance = self.neighbors.distance
        self.edges = len(self._directed.distance)

    def both(self, values: Tensor) -> Tensor:
        """Repeat the values of pairs for both directions."""
        return self.neighbors.both(values)

    def combine(self, receiver: Tensor, sender: Tensor, edge: Tensor) -> Tensor:
        """Gather the ends of each edge."""
        combined = receiver.index_select(0, self._directed.receiver)
        combined.add_(sender.index_select(0, self._directed.sender))
        return combined.add_(self.both(edge))

    def collect(self, messages: Tensor) -> Tensor:
        """Scatter the messages of edges."""
        return self._directed.collect(messages.to(_for_sums(messages)), self._nodes)


class AdjacencyMatrix(Adjacency):
    """One entry for each pair of atoms, whether they see each other or not.

    In a crystal an atom may see several images of another, of which a matrix with one entry for a
    pair would lose all but one. Here each pair has as many entries as any pair of the batch needs:
    ``distance`` and ``mask`` are (graphs, atoms, atoms, images), receivers before senders, filled
    up with zeros to the largest graph of the batch. How many images there are is read from the
    edges.
    """

    mask: Tensor

    def __init__(self, batch: Any) -> None:
        directed = Neighbors.of(batch).directed()
        self._padding = Padding.of(batch)
        graphs, atoms = self._padding.present.shape
        row = self._padding.row  # (nodes,) among graphs * atoms
        pair = row[directed.receiver] * atoms + row[directed.sender] % atoms  # (edges,)
        image = occurrence(pair)
        images = int(image.max()) + 1 if len(image) else 1
        entry = pair * images + image  # (edges,) of the flat matrix
        shape = (graphs, atoms, atoms, images)
        flat = directed.distance.new_zeros(math.prod(shape))
        self.edges = len(entry)
        self.distance = flat.index_copy(0, entry, directed.distance).view(shape)
        self.mask = torch.zeros_like(flat, dtype=torch.bool).index_fill(0, entry, True).view(shape)

    def both(self, values: Tensor) -> Tensor:
        """Return the values: each direction has an entry of its own."""
        return values

    def combine(self, receiver: Tensor, sender: Tensor, edge: Tensor) -> Tensor:
        """Repeat receivers along rows and senders along columns."""
        at_receiver = self._padding.pad(receiver)[:, :, None, None]
        at_sender = self._padding.pad(sender)[:, None, :, None]
        return (edge + at_receiver).add_(at_sender)

    def collect(self, messages: Tensor) -> Tensor:
        """Sum over senders and images."""
        present = messages * self.mask[..., None]
        return self._padding.unpad(present.sum((2, 3), dtype=_for_sums(messages)))


def _for_sums(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)

"""Neighbour lists of moving atoms, which need not be searched at every step (Verlet 1967)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms

from molcryst_bench.graphs.neighbors import GraphSpec, find_edges

SKIN = 1.0  # Å


class Pairs(NamedTuple):
    """Edges of replicas of a structure, which stand one after the other."""

    sender: np.ndarray  # (pairs,) counted over the atoms of all replicas
    receiver: np.ndarray  # (pairs,)
    shift: np.ndarray  # (pairs, 3) whole cells
    replica: np.ndarray  # (pairs,)

    def take(self, chosen: np.ndarray) -> Pairs:
        """Return some of the pairs, in order."""
        return Pairs(*(column[chosen] for column in self))

    def part(self, rows: slice, first: int, atoms: int) -> Pairs:
        """Return those of some replicas, from ``first`` on, counted from there."""
        sender, receiver, shift, replica = (column[rows] for column in self)
        return Pairs(sender - first * atoms, receiver - first * atoms, shift, replica - first)


class Near(NamedTuple):
    """What is within the cut-off now."""

    pairs: Pairs
    distance: np.ndarray  # (pairs,) Å
    same: bool  # whether these are the pairs of the last call


class VerletList:
    """The edges of replicas of one structure within a cut-off, as ``find_edges`` would give them.

    Candidates are searched within the cut-off and a skin, and serve until an atom has moved by half
    the skin; at each call those beyond the cut-off are left out, so that the skin changes nothing
    but the time. A list of nearest neighbours is searched at each call.

    Reference: L. Verlet, Phys. Rev. 159, 98 (1967), doi 10.1103/PhysRev.159.98.

    Args:
        structure: elements, cell and periodicity of each replica.
        spec: of the adjacency lists.
        skin: in Å.
    """

    def __init__(self, structure: Atoms, spec: GraphSpec, skin: float = SKIN) -> None:
        self.structure = structure.copy()
        self.spec = spec
        self.skin = skin if spec.symmetric else 0.0
        self.searches = 0
        wide = spec.cutoff + self.skin
        self._wide = spec.model_copy(update={"cutoff": wide})
        self._start: np.ndarray | None = None  # (replicas, atoms, 3) at the last search
        self._candidates: Pairs
        self._inside = np.empty(0, bool)  # (candidates,)
        self._last: Pairs

    def __call__(self, positions: np.ndarray) -> Near:
        """Return the pairs of positions (replicas, atoms, 3) in Å.

        Raises:
            BadRecordError: if a coordinate is not finite or absurd, or the cell is flat.
        """
        fresh = self._is_outdated(positions)
        if fresh:
            self._search(positions)
        distance = self._distances(positions)
        if not self.spec.symmetric:
            return Near(self._candidates, distance, same=False)
        inside = distance < self.spec.cutoff
        same = not fresh and np.array_equal(inside, self._inside)
        if not same:
            self._inside, self._last = inside, self._candidates.take(inside)
        return Near(self._last, distance[inside], same)

    def _is_outdated(self, positions: np.ndarray) -> bool:
        if self._start is None or self._start.shape != positions.shape or not self.skin:
            return True
        moved = positions - self._start
        # Written so that a coordinate that is no number leads to a search, which refuses it.
        return not np.einsum("rai,rai->ra", moved, moved).max() < (self.skin / 2) ** 2

    def _search(self, positions: np.ndarray) -> None:
        found = [self._of_one(replica, each) for replica, each in enumerate(positions)]
        columns = (np.concatenate(column) for column in zip(*found, strict=True))
        self._candidates = Pairs(*columns)
        self._start = positions.copy()
        self.searches += 1

    def _of_one(self, replica: int, positions: np.ndarray) -> Pairs:
        self.structure.positions[:] = positions
        edges = find_edges(self.structure, self._wide)
        first = replica * len(positions)
        sender, receiver = (each.astype(np.int64) + first for each in edges[:2])
        return Pairs(sender, receiver, edges.shift, np.full(len(sender), replica))

    def _distances(self, positions: np.ndarray) -> np.ndarray:
        pairs, flat = self._candidates, positions.reshape(-1, 3)
        vector = flat[pairs.receiver] - flat[pairs.sender]
        if self.structure.pbc.any():
            vector += pairs.shift @ self.structure.cell.array
        distance: np.ndarray = np.sqrt(np.einsum("pi,pi->p", vector, vector))
        return distance

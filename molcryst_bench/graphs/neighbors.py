"""Adjacency lists from positions, with vesin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from pydantic import Field
from vesin import NeighborList

from molcryst_bench.base.settings import Settings
from molcryst_bench.sources.record import BadRecordError

FARTHEST = 10_000.0  # Å from the origin; the search for neighbours ends the process far beyond it


class GraphSpec(Settings):
    """How atoms become an adjacency list."""

    cutoff: float = Field(
        default=5.0, gt=0, description="radius in Å within which atoms see each other"
    )
    max_neighbors: int | None = Field(
        default=None, gt=0, description="keep only this many nearest senders of each receiver"
    )

    @property
    def symmetric(self) -> bool:
        """Whether every edge has its reverse, so that a pair can be stored once."""
        return self.max_neighbors is None


class Edges(NamedTuple):
    """Edges of one structure; the vector is ``pos[receiver] + shift @ cell - pos[sender]``."""

    sender: np.ndarray  # (edges,)
    receiver: np.ndarray  # (edges,)
    shift: np.ndarray  # (edges, 3) whole cells
    distance: np.ndarray  # (edges,) Å


def find_edges(atoms: Atoms, spec: GraphSpec) -> Edges:
    """Return the edges of a structure, sorted, computed from its float32 positions.

    A symmetric list holds each pair once, from the lower to the higher index (and, between an atom
    and its own image, along the lexicographically positive shift). A list of nearest neighbours
    holds directed edges.

    Raises:
        BadRecordError: if a coordinate is not finite or absurd, or the cell spans no volume.
    """
    if spec.symmetric:
        return _sorted(_one_of_each_pair(_all_edges(atoms, spec.cutoff)))
    return _sorted(_nearest(_all_edges(atoms, spec.cutoff), spec.max_neighbors or 0))


def _all_edges(atoms: Atoms, cutoff: float) -> Edges:
    if not (np.abs(atoms.positions) <= FARTHEST).all():
        raise BadRecordError(f"a coordinate is not finite or beyond {FARTHEST:,.0f} Å")
    # Stores hold float32, and whoever recomputes distances from a store must find these edges.
    positions = atoms.positions.astype(np.float32).astype(np.float64)
    finder = NeighborList(cutoff=cutoff, full_list=True)
    found = finder.compute(
        points=positions, box=atoms.cell.array, periodic=atoms.pbc, quantities="ijSd"
    )
    return Edges(*found)


def _one_of_each_pair(edges: Edges) -> Edges:
    """Keep ``sender < receiver``, and half of the edges between an atom and its images."""
    sender, receiver, shift, _ = edges
    first = np.array([9, 3, 1])  # the sign of the first non-zero component decides
    positive = np.sign(shift) @ first > 0
    return _take(edges, (sender < receiver) | ((sender == receiver) & positive))


def _nearest(edges: Edges, count: int) -> Edges:
    """Keep the ``count`` shortest edges of each receiver; ties go to the lower sender."""
    order = np.lexsort((edges.sender, edges.distance, edges.receiver))
    receiver = edges.receiver[order]
    first_of_receiver = np.searchsorted(receiver, receiver, side="left")
    rank = np.arange(len(receiver)) - first_of_receiver
    return _take(edges, order[rank < count])


def _sorted(edges: Edges) -> Edges:
    return _take(edges, np.lexsort((*edges.shift.T[::-1], edges.receiver, edges.sender)))


def _take(edges: Edges, chosen: np.ndarray) -> Edges:
    return Edges(*(column[chosen] for column in edges))

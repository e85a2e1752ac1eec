"""Adjacency lists from positions, with vesin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from pydantic import Field
from vesin import NeighborList

from molcryst_bench.base.settings import Settings
from molcryst_bench.sources.record import BadRecordError

FARTHEST = 10_000.0  # Å from the origin
_MOST_CELLS = 100  # within the cut-off, in any direction
_SAME_DISTANCE = 1e-4  # Å; float32 positions in a large cell say little about smaller ones
_FIRST_LOOK = 0.6  # of the cut-off: a fifth of the volume, and mostly enough for a few neighbours


class GraphSpec(Settings):
    """How atoms become an adjacency list."""

    cutoff: float = Field(
        default=5.0,
        gt=0,
        allow_inf_nan=False,
        description="radius in Å within which atoms see each other",
    )
    max_neighbors: int | None = Field(
        default=None,
        gt=0,
        description="keep only this many nearest senders of each receiver; an atom of a crystal "
        "that has fewer within the cut-off is an error",
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
    holds directed edges. In a molecule, a wire or a slab an atom may have fewer of them; in a
    crystal there are always more beyond the cut-off, which must be wide enough to find them.

    Raises:
        BadRecordError: if a coordinate is not finite or absurd, the cell is (nearly) flat, or an
            atom of a crystal has fewer than ``max_neighbors`` within the cut-off.
    """
    _check(atoms, spec.cutoff)
    if spec.symmetric:
        return _sorted(_one_of_each_pair(_all_edges(atoms, spec.cutoff)))
    near = _all_edges(atoms, _FIRST_LOOK * spec.cutoff)
    shell = _shells(near)
    if not _has_all_nearest(near, shell, len(atoms), spec.max_neighbors or 0):
        near = _all_edges(atoms, spec.cutoff)
        shell = _shells(near)
        if atoms.pbc.all():
            _check_enough(near, len(atoms), spec)
    return _sorted(_nearest(near, shell, spec.max_neighbors or 0))


def _check(atoms: Atoms, cutoff: float) -> None:
    """Refuse what would exhaust the memory or end the process in the search for neighbours."""
    if not (np.abs(atoms.positions) <= FARTHEST).all():
        raise BadRecordError(f"a coordinate is not finite or beyond {FARTHEST:,.0f} Å")
    if atoms.pbc.any():
        _check_cell(atoms, cutoff)


def _check_cell(atoms: Atoms, cutoff: float) -> None:
    if not (np.abs(atoms.cell.array) <= FARTHEST).all():
        raise BadRecordError(f"a cell vector is not finite or beyond {FARTHEST:,.0f} Å")
    vectors = atoms.cell.array[atoms.pbc]
    if np.linalg.matrix_rank(vectors) < len(vectors):
        raise BadRecordError("the periodic cell vectors are zero or lie in one plane")
    heights = 1 / np.linalg.norm(np.linalg.pinv(vectors), axis=0)
    if (cutoff > _MOST_CELLS * heights).any():
        raise BadRecordError(f"the cell is over {_MOST_CELLS} times smaller than the cut-off")


def _all_edges(atoms: Atoms, cutoff: float) -> Edges:
    # Stores hold float32, and whoever recomputes distances from a store must find these edges.
    positions = atoms.positions.astype(np.float32).astype(np.float64)
    finder = NeighborList(cutoff=cutoff, full_list=True)
    found = finder.compute(
        points=positions, box=atoms.cell.array, periodic=atoms.pbc, quantities="ijSd"
    )
    edges = Edges(*found)
    if np.abs(edges.shift).max(initial=0) > np.iinfo(np.int8).max:
        raise BadRecordError("an atom is over a hundred cells away from the others")
    return edges


def _one_of_each_pair(edges: Edges) -> Edges:
    """Keep ``sender < receiver``, and half of the edges between an atom and its images."""
    sender, receiver, shift, _ = edges
    first = np.array([9, 3, 1])  # the sign of the first non-zero component decides
    positive = np.sign(shift) @ first > 0
    return _take(edges, (sender < receiver) | ((sender == receiver) & positive))


def _has_all_nearest(edges: Edges, shell: np.ndarray, atoms: int, count: int) -> bool:
    """Tell whether edges farther away could not be among the ``count`` nearest of any atom.

    Those of the last distance around an atom may go on beyond: they do not count.
    """
    last = np.zeros(atoms, np.int64)
    np.maximum.at(last, edges.receiver, shell)
    inner = edges.receiver[shell < last[edges.receiver]]
    return bool((np.bincount(inner, minlength=atoms) >= count).all())


def _nearest(edges: Edges, shell: np.ndarray, count: int) -> Edges:
    """Keep the ``count`` shortest edges of each receiver; ties go to the lower sender and shift.

    Crystals have many neighbours at one distance: rounding must not choose among them.
    """
    order = np.lexsort((*edges.shift.T[::-1], edges.sender, shell, edges.receiver))
    receiver = edges.receiver[order]
    first_of_receiver = np.searchsorted(receiver, receiver, side="left")
    rank = np.arange(len(receiver)) - first_of_receiver
    return _take(edges, order[rank < count])


def _check_enough(edges: Edges, atoms: int, spec: GraphSpec) -> None:
    found = np.bincount(edges.receiver, minlength=atoms)
    if atoms and found.min() < (spec.max_neighbors or 0):
        atom = found.argmin()
        message = f"atom {atom} has {found[atom]} neighbours within {spec.cutoff:g} Å, not the"
        raise BadRecordError(f"{message} {spec.max_neighbors} asked for: widen the cut-off")


def _shells(edges: Edges) -> np.ndarray:
    """Number the distances around each receiver, (edges,); those without a gap are one."""
    order = np.lexsort((edges.distance, edges.receiver))
    gaps = np.diff(edges.distance[order], prepend=0.0) > _SAME_DISTANCE
    shell = np.empty(len(order), np.int64)
    shell[order] = np.cumsum(gaps)
    return shell


def _sorted(edges: Edges) -> Edges:
    return _take(edges, np.lexsort((*edges.shift.T[::-1], edges.receiver, edges.sender)))


def _take(edges: Edges, chosen: np.ndarray) -> Edges:
    return Edges(*(column[chosen] for column in edges))

"""Frameworks by what their atoms are bonded to, and which of them are similar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from vesin import NeighborList

_BOND_SLACK = 0.3  # Å beyond the sum of two covalent radii
_ROUNDING = 1e-9  # shares of atoms that add up to exactly the threshold count


class Framework(NamedTuple):
    """A periodic structure by volume and by the surroundings of its atoms."""

    atom_volume: float | None  # Å³ per atom; None if it is not periodic in all directions
    surroundings: Mapping[str, float]  # share of the atoms that have each


def framework_of(atoms: Atoms) -> Framework:
    """Describe a periodic structure, whichever of its cells is given.

    The surroundings of an atom are its element, those of its bonded neighbours, and those of
    theirs: ``H(C(CCH))`` is a hydrogen of benzene.
    """
    neighbours = _bonded(atoms)
    symbols = [chemical_symbols[number] for number in atoms.numbers]
    near = _one_bond_further(symbols, symbols, neighbours)
    counts = Counter(_one_bond_further(symbols, near, neighbours))
    volume = atoms.get_volume() / len(atoms) if atoms.pbc.all() else None
    return Framework(volume, {text: count / len(atoms) for text, count in sorted(counts.items())})


def similar_frameworks(
    surroundings: Sequence[Mapping[str, float] | None], threshold: float
) -> np.ndarray:
    """Find all pairs of similar frameworks.

    Two are similar if at least the share ``threshold`` of their atoms has equal surroundings: the
    sum, over all surroundings, of the smaller of both shares. One framework in two cells has 1.

    Args:
        surroundings: of each framework; None for what is none.
        threshold: above 0, at most 1.

    Returns:
        Rows of each pair, the smaller first. (pairs, 2)
    """
    shares = _as_matrix(surroundings)
    by_column = shares.tocsc()
    found = [np.empty((0, 2), np.int64)]
    for row in range(shares.shape[0]):
        others = _candidates(shares, by_column, row, threshold)
        common = shares[others].minimum(_repeated(shares[row], len(others))).sum(axis=1)
        similar = others[np.asarray(common).ravel() >= threshold - _ROUNDING]
        found.append(np.stack([np.full(len(similar), row), similar], axis=1))
    return np.concatenate(found)


def _bonded(atoms: Atoms) -> list[list[int]]:
    """Return the bonded neighbours of each atom; an image of an atom stands for the atom."""
    radii = covalent_radii[atoms.numbers]
    sender, receiver, distance = NeighborList(
        cutoff=2 * radii.max() + _BOND_SLACK, full_list=True
    ).compute(points=atoms.positions, box=atoms.cell.array, periodic=atoms.pbc, quantities="ijd")
    bonded = distance < radii[sender] + radii[receiver] + _BOND_SLACK
    neighbours: list[list[int]] = [[] for _ in range(len(atoms))]
    for one, other in zip(sender[bonded].tolist(), receiver[bonded].tolist(), strict=True):
        neighbours[one].append(other)
    return neighbours


def _one_bond_further(
    symbols: Sequence[str], labels: Sequence[str], neighbours: Sequence[Sequence[int]]
) -> list[str]:
    return [
        f"{symbol}({''.join(sorted(labels[other] for other in others))})"
        for symbol, others in zip(symbols, neighbours, strict=True)
    ]


def _as_matrix(surroundings: Sequence[Mapping[str, float] | None]) -> sp.csr_array:
    """Return the shares of all surroundings, the rarest first. (records, kinds)."""
    known = [shares or {} for shares in surroundings]
    occurrences = Counter(text for shares in known for text in shares)
    order = sorted(occurrences, key=lambda text: (occurrences[text], text))
    column = {text: number for number, text in enumerate(order)}
    entries = list(_entries(known, column))
    rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
    matrix = sp.csr_array((values, (rows, columns)), shape=(len(known), max(1, len(column))))
    matrix.sort_indices()
    return matrix


def _entries(
    known: Sequence[Mapping[str, float]], column: Mapping[str, int]
) -> Iterator[tuple[int, int, float]]:
    for row, shares in enumerate(known):
        for text, share in shares.items():
            yield row, column[text], share


def _candidates(
    shares: sp.csr_array, by_column: sp.csc_array, row: int, threshold: float
) -> np.ndarray:
    """Return later rows that share one of the rarest surroundings of a row.

    Frameworks that share none of those surroundings, which together make up more than
    ``1 - threshold`` of its atoms, cannot be similar to it: few are left to compare.
    """
    entries = slice(shares.indptr[row], shares.indptr[row + 1])
    total = np.cumsum(shares.data[entries])
    needed = np.searchsorted(total, 1 - threshold + _ROUNDING, side="right") + 1
    columns = shares.indices[entries][:needed]
    members = [
        by_column.indices[by_column.indptr[c] : by_column.indptr[c + 1]] for c in columns.tolist()
    ]
    rows = np.unique(np.concatenate([np.empty(0, np.int64), *members]))
    return rows[rows > row]


def _repeated(row: sp.csr_array, times: int) -> sp.csr_array:
    """Return a matrix of equal rows."""
    row = row.reshape(1, -1).tocsr()
    indptr = np.arange(times + 1) * row.nnz
    contents = (np.tile(row.data, times), np.tile(row.indices, times), indptr)
    return sp.csr_array(contents, shape=(times, row.shape[1]))

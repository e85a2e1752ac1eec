"""A fingerprint of geometry that no motion, order of atoms or choice of cell can change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from vesin import NeighborList

_NEAREST = 24  # distances of each atom
_FIRST_CUTOFF, _GROWTH = 6.0, 1.5  # Å; how far to look for that many neighbours in a crystal


class Geometry(NamedTuple):
    """Composition, and for each element the average distances to the nearest atoms.

    The average minimum distances of Widdowson et al. (MATCH 87, 529, 2022), of each element for
    itself. They stay what they are if a structure is turned, moved or mirrored, if its atoms are
    given in another order, or its crystal in another cell, and change by at most 2 δ if every atom
    moves by at most δ.
    """

    composition: str  # formula; of a periodic structure the reduced one
    distances: np.ndarray  # (elements x neighbours,) Å, elements by atomic number


def geometry_of(atoms: Atoms) -> Geometry:
    """Describe a structure by composition and average minimum distances."""
    distances = _crystal_distances(atoms) if atoms.pbc.any() else _molecule_distances(atoms)
    elements = np.unique(atoms.numbers)
    averages = [distances[atoms.numbers == element].mean(0) for element in elements]
    return Geometry(composition_of(atoms), np.concatenate(averages).astype(np.float32))


def composition_of(atoms: Atoms) -> str:
    """Return the formula in Hill's order; of a periodic structure the smallest whole numbers."""
    formula = atoms.symbols.formula
    if atoms.pbc.any():
        periodic: str = formula.reduce()[0].format("hill") + " (periodic)"
        return periodic
    whole: str = formula.format("hill")
    return whole


def _molecule_distances(atoms: Atoms) -> np.ndarray:
    """Return the distances of each atom to its nearest, itself first. (atoms, neighbours)."""
    every = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=-1)
    return np.sort(every, axis=1)[:, : _NEAREST + 1]


def _crystal_distances(atoms: Atoms) -> np.ndarray:
    """Return the distances of each atom to its nearest. (atoms, neighbours)."""
    cutoff = _FIRST_CUTOFF
    while True:
        receiver, distance = NeighborList(cutoff=cutoff, full_list=True).compute(
            points=atoms.positions, box=atoms.cell.array, periodic=atoms.pbc, quantities="id"
        )
        counts = np.bincount(receiver, minlength=len(atoms))
        if counts.min() >= _NEAREST:
            break
        cutoff *= _GROWTH
    order = np.lexsort((distance, receiver))
    starts = np.cumsum(counts) - counts
    nearest = starts[:, None] + np.arange(_NEAREST)
    return np.asarray(distance[order][nearest])

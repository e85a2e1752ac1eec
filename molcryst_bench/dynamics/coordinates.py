"""Bond lengths, bond angles and torsions of a molecule, in classes that chemists have names for.

What belongs together follows from the molecular graph alone, which is perceived from one geometry.
Names are those of the elements along the bonds, such as ``C-C-O``; bonds between carbons of a
molecule that has other heavy elements are told apart by what is bonded to either carbon, as in
``C-C near O`` and ``C-C far from O``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from ase import Atoms
from rdkit import Chem

from molcryst_bench.graphs.similarity.molecules import perceive

Kind = Literal["length", "angle", "torsion"]
UNITS: dict[Kind, str] = {"length": "Å", "angle": "°", "torsion": "°"}
_ATOMS: dict[int, Kind] = {2: "length", 3: "angle", 4: "torsion"}


@dataclass(frozen=True)
class CoordinateClass:
    """Internal coordinates of one kind that have one name."""

    name: str
    members: np.ndarray  # (members, 2 or 3 or 4) atoms along the bonds

    @property
    def kind(self) -> Kind:
        """Length, angle or torsion."""
        return _ATOMS[self.members.shape[1]]

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return UNITS[self.kind]

    def values(self, positions: np.ndarray) -> np.ndarray:
        """Return the values of all members.

        Args:
            positions: (..., atoms, 3) Å.

        Returns:
            (..., members): lengths in Å, angles from 0 to 180°, torsions from -180 to 180°.
        """
        points = np.moveaxis(positions[..., self.members, :], -2, 0)  # (2 to 4, ..., members, 3)
        found: np.ndarray = _FORMULAS[self.kind](*points)
        return found


def coordinate_classes(atoms: Atoms) -> list[CoordinateClass]:
    """Return all classes of a molecule: lengths first, then angles, then torsions, by name.

    Args:
        atoms: a geometry with the bonds of the molecule, in Å.
    """
    graph = perceive(atoms)
    found: dict[tuple[int, str], list[tuple[int, ...]]] = {}
    for path in (*_bonds(graph), *_angles(graph), *_torsions(graph)):
        path, name = _named(graph, path)
        found.setdefault((len(path), name), []).append(path)
    return [CoordinateClass(name, np.array(found[length, name])) for length, name in sorted(found)]


def lengths(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return distances between points (..., 3), in their unit."""
    return np.asarray(np.linalg.norm(other - one, axis=-1))


def angles(one: np.ndarray, middle: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the angles at the middle points (..., 3), in degrees from 0 to 180."""
    first, second = one - middle, other - middle
    # Unlike the arc cosine, this keeps its digits where atoms are nearly in a line.
    sine = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.asarray(np.degrees(np.arctan2(sine, (first * second).sum(-1))))


def torsions(
    one: np.ndarray, second: np.ndarray, third: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Return the torsions about the bonds from the second to the third points, in degrees.

    They are from -180 to 180; positive where, seen along the bond, the far end is turned clockwise
    (IUPAC, Pure Appl. Chem. 68, 2193 (1996), doi 10.1351/pac199668122193).
    """
    axis = third - second
    first = np.cross(second - one, axis)
    last = np.cross(axis, other - third)
    along = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    sine, cosine = (np.cross(first, last) * along).sum(-1), (first * last).sum(-1)
    return np.asarray(np.degrees(np.arctan2(sine, cosine)))


_FORMULAS: dict[Kind, Callable[..., np.ndarray]] = {
    "length": lengths,
    "angle": angles,
    "torsion": torsions,
}


def _bonds(graph: Chem.Mol) -> Iterator[tuple[int, ...]]:
    for bond in graph.GetBonds():
        yield bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()


def _angles(graph: Chem.Mol) -> Iterator[tuple[int, ...]]:
    for middle in graph.GetAtoms():
        ends = sorted(atom.GetIdx() for atom in middle.GetNeighbors())
        for one, other in combinations(ends, 2):
            yield one, middle.GetIdx(), other


def _torsions(graph: Chem.Mol) -> Iterator[tuple[int, ...]]:
    for second, third in _bonds(graph):
        for one in _ends(graph, second, third):
            for other in _ends(graph, third, second):
                if one != other:  # as it would be in a ring of three
                    yield one, second, third, other


def _ends(graph: Chem.Mol, atom: int, without: int) -> list[int]:
    """Return the neighbours that say how an atom is turned: hydrogens only where all are."""
    around = [a for a in graph.GetAtomWithIdx(atom).GetNeighbors() if a.GetIdx() != without]
    heavy = [a for a in around if a.GetAtomicNum() > 1]
    return [a.GetIdx() for a in heavy or around]


def _named(graph: Chem.Mol, path: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    """Return a path in the direction in which it is read, and its name."""
    path = min(path, path[::-1], key=lambda each: [_rank(graph, atom) for atom in each])
    symbols = [graph.GetAtomWithIdx(atom).GetSymbol() for atom in path]
    name = "-".join(symbols)
    return path, name + _whereabouts(graph, path) if symbols == ["C", "C"] else name


def _rank(graph: Chem.Mol, atom: int) -> tuple[int, str]:
    """Carbon comes first and hydrogen last, as far as a direction can be chosen."""
    symbol = graph.GetAtomWithIdx(atom).GetSymbol()
    return {"C": 0, "H": 2}.get(symbol, 1), symbol


def _whereabouts(graph: Chem.Mol, path: tuple[int, ...]) -> str:
    """Say which of the other heavy elements of the molecule a bond is near."""
    others = _hetero(graph.GetAtoms())
    near = _hetero(a for atom in path for a in graph.GetAtomWithIdx(atom).GetNeighbors())
    if near:
        return f" near {' and '.join(near)}"
    return f" far from {' and '.join(others)}" if others else ""


def _hetero(atoms: Iterable[Chem.Atom]) -> list[str]:
    return sorted({atom.GetSymbol() for atom in atoms} - {"C", "H"})

"""Sums of attributions over elements and functional groups of a set, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem

from molcryst_bench.graphs.similarity.molecules import perceive
from molcryst_bench.interpret.explain import Explanation

_RESAMPLES = 2000
# The first that fits an atom counts; hydrogens go with the atom that holds them.
_GROUPS = {
    "carboxylic acid or ester": "[CX3](=O)[OX2]",
    "amide": "[CX3](=O)[NX3]",
    "aldehyde or ketone": "[CX3]=[OX1]",
    "nitrile": "[CX2]#[NX1]",
    "alcohol": "[OX2;$(O[#1])]",
    "ether": "[OX2;$(O([#6])[#6])]",
    "amine": "[NX3;!$(N=*);!$(N#*)]",
    "imine or aromatic nitrogen": "[#7;$([#7]=*),$([#7]:*)]",
    "fluoride": "[F]",
    "triple bond of carbon": "[CX2]#[CX2]",
    "aromatic ring": "[c]",
    "double bond of carbon": "[CX3]=[CX3]",
    "saturated carbon": "[CX4]",
}
_PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in _GROUPS.items()}


class Share(NamedTuple):
    """What atoms of one kind have to do with a property, over a set of structures."""

    kind: str
    structures: int  # that have any
    atoms: int
    per_atom: float  # mean value of such an atom, in the unit of the property
    low: float  # 95 % bounds, from resampling structures
    high: float
    size: float  # mean size of the value of such an atom, over that of all atoms
    size_low: float
    size_high: float


def shares_of_elements(explanations: Sequence[Explanation], seed: int = 0) -> list[Share]:
    """Return what each element has to do with the property, the most important first."""
    kinds = [each.atoms.get_chemical_symbols() for each in explanations]
    return _shares(explanations, kinds, seed)


def shares_of_groups(explanations: Sequence[Explanation], seed: int = 0) -> list[Share]:
    """Return the same for functional groups of molecules, with their hydrogens."""
    kinds = [_groups_of(perceive(each.atoms)) for each in explanations]
    return _shares(explanations, kinds, seed)


def _groups_of(molecule: Chem.Mol) -> list[str]:
    """Return the group of each atom."""
    molecule = Chem.Mol(molecule)
    Chem.SanitizeMol(molecule, catchErrors=True)
    found = ["other"] * molecule.GetNumAtoms()
    for name, pattern in _PATTERNS.items():
        for atom in {a for match in molecule.GetSubstructMatches(pattern) for a in match}:
            if found[atom] == "other":
                found[atom] = name
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 1 and atom.GetDegree():
            found[atom.GetIdx()] = found[atom.GetNeighbors()[0].GetIdx()]
    return found


def _shares(
    explanations: Sequence[Explanation], kinds: Sequence[Sequence[str]], seed: int
) -> list[Share]:
    """Add up values by kind in each structure, and resample structures for the bounds."""
    names = sorted({kind for each in kinds for kind in each})
    count, total, size = np.zeros((3, len(explanations), len(names)))
    for row, (each, of_atoms) in enumerate(zip(explanations, kinds, strict=True)):
        column = [names.index(kind) for kind in of_atoms]
        np.add.at(count[row], column, 1)
        np.add.at(total[row], column, each.values)
        np.add.at(size[row], column, np.abs(each.values))
    draw = np.random.default_rng(seed)
    weight = draw.multinomial(
        len(explanations), np.full(len(explanations), 1 / len(explanations)), _RESAMPLES
    )  # (resamples, structures)
    weight = np.concatenate([np.ones((1, len(explanations)), weight.dtype), weight])
    with np.errstate(invalid="ignore", divide="ignore"):
        atoms = weight @ count  # (1 + resamples, kinds)
        mean = (weight @ total) / atoms
        everyone = (weight @ size).sum(1) / atoms.sum(1)
        relative = (weight @ size) / atoms / everyone[:, None]
    rows = (
        Share(
            name,
            int((count[:, k] > 0).sum()),
            int(count[:, k].sum()),
            *_bounds(mean[:, k]),
            *_bounds(relative[:, k]),
        )
        for k, name in enumerate(names)
    )
    return sorted(rows, key=lambda share: -share.size)


def _bounds(values: np.ndarray) -> Iterable[float]:
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return float(values[0]), float(low), float(high)

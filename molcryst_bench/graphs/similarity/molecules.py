"""Molecular graphs, perceived from geometry alone, with RDKit.

Bonds are never taken from a file or a loader: those often are not the bonds of the geometry.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

# Of the sum of two covalent radii. With RDKit's default of 1.3, atoms across a small ring would
# bond: 5 % of QM9 come out wrong, against less than 0.1 % with this.
_LONGEST_BOND = 1.15
_MOST_ATTEMPTS = 10_000  # to give bonds their orders; only odd molecules need more than a few


class Molecule(NamedTuple):
    """A molecule as chemists tell it from others."""

    constitution: str  # SMILES of which atom is bonded to which, without bond orders and stereo
    stereo: str | None  # InChI with stereo; None if no bond orders fit a neutral closed shell
    scaffold: str  # SMILES of rings and what links them; of a chain, of its skeleton in carbon


def molecule_of(atoms: Atoms) -> Molecule:
    """Perceive the bonds of a molecule from its geometry.

    Hydrogens are atoms like all others here, so connectivity alone tells constitutional isomers
    apart, and mesomeric forms are one constitution.
    """
    with rdBase.BlockLogs():
        bonded = _connected(atoms)
        heavy = Chem.RemoveHs(bonded, updateExplicitCount=True, sanitize=False)
        return Molecule(Chem.MolToSmiles(bonded), _stereo(bonded), scaffold_of(heavy))


def perceive(atoms: Atoms) -> Chem.Mol:
    """Return a molecule as RDKit has it, its atoms in the same order, hydrogens among them.

    Bonds have their orders where any fit a neutral closed shell, else all are single.
    """
    with rdBase.BlockLogs():
        bonded = _connected(atoms)
        molecule = _with_orders(bonded) or bonded
        Chem.FastFindRings(molecule)
        return molecule


def scaffold_of(heavy: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold (J. Med. Chem. 39, 2887, 1996) of a graph of heavy atoms.

    That are ring systems and the chains between them, with elements but without bond orders, so
    that it depends on the constitution alone. A molecule without rings has no such scaffold: for it
    stands the skeleton of its heavy atoms, all of them as carbon.
    """
    rest = Chem.RWMol(heavy)
    for atom in rest.GetAtoms():
        atom.SetNumExplicitHs(0)
        atom.SetNoImplicit(True)
    while ends := [atom.GetIdx() for atom in rest.GetAtoms() if atom.GetDegree() < 2]:
        rest.BeginBatchEdit()
        for end in ends:
            rest.RemoveAtom(end)
        rest.CommitBatchEdit()
    return Chem.MolToSmiles(rest) if rest.GetNumAtoms() else "chain " + _skeleton(heavy)


def _skeleton(heavy: Chem.Mol) -> str:
    carbon = Chem.RWMol()
    for _ in range(heavy.GetNumAtoms()):
        carbon.AddAtom(Chem.Atom(6))
    for bond in heavy.GetBonds():
        carbon.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), Chem.BondType.SINGLE)
    return Chem.MolToSmiles(carbon)


def _connected(atoms: Atoms) -> Chem.Mol:
    """Return a molecule with the positions and single bonds between neighbours."""
    molecule = Chem.RWMol()
    for number in atoms.numbers.tolist():
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
    conformer = Chem.Conformer(len(atoms))
    conformer.SetPositions(np.ascontiguousarray(atoms.positions, np.float64))
    molecule.AddConformer(conformer)
    connected = molecule.GetMol()
    rdDetermineBonds.DetermineConnectivity(connected, useVdw=True, covFactor=_LONGEST_BOND)
    return connected


def _stereo(bonded: Chem.Mol) -> str | None:
    """InChI, because its stereo does not depend on the order of atoms; SMILES of cages does."""
    molecule = _with_orders(bonded)
    try:
        return molecule and (Chem.MolToInchi(molecule) or None)  # type: ignore[no-untyped-call]
    except (ValueError, RuntimeError):
        return None


def _with_orders(bonded: Chem.Mol) -> Chem.Mol | None:
    """Return the molecule with bond orders, or nothing if none fit a neutral closed shell."""
    molecule = Chem.Mol(bonded)
    try:
        rdDetermineBonds.DetermineBondOrders(
            molecule, charge=0, allowChargedFragments=True, maxIterations=_MOST_ATTEMPTS
        )
    except (ValueError, RuntimeError):
        return None
    return molecule

"""Geometries for SMILES strings, from distance geometry and a force field."""

from __future__ import annotations

from typing import NamedTuple

from ase import Atoms
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from molcryst_bench.sources.record import BadRecordError

_SEED = 42
_STEPS = 5000


class Embedded(NamedTuple):
    """One conformer of a molecule, and what its geometry comes from."""

    atoms: Atoms
    geometry: str


def is_smiles(text: str) -> bool:
    """Return whether a text describes a molecule."""
    return _parsed(text) is not None


def embed_smiles(text: str) -> Embedded:
    """Return one conformer with all hydrogens; equal strings give equal ones.

    Coordinates come from ETKDGv3 (Wang et al., J. Chem. Inf. Model. 60, 2044 (2020),
    doi 10.1021/acs.jcim.0c00025) and are relaxed with MMFF94 (Halgren, J. Comput. Chem. 17, 490
    (1996), doi 10.1002/(SICI)1096-987X(199604)17:5/6<490::AID-JCC1>3.0.CO;2-P) where it knows all
    atoms.

    Raises:
        BadRecordError: if the text is no SMILES string, is of several molecules, or has no
            geometry that could be found.
    """
    molecule = _parsed(text)
    if molecule is None:
        raise BadRecordError("is not a SMILES string of a possible molecule")
    if "." in Chem.MolToSmiles(molecule):
        raise BadRecordError("holds several molecules, whose distances it does not tell")
    molecule = Chem.AddHs(molecule)
    with rdBase.BlockLogs():
        settings = rdDistGeom.ETKDGv3()
        settings.randomSeed = _SEED  # type: ignore[assignment]  # the stubs err
        if rdDistGeom.EmbedMolecule(molecule, settings) != 0:
            raise BadRecordError("no geometry was found for this SMILES string")
        geometry = _relax(molecule)
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    return Embedded(Atoms(numbers, molecule.GetConformer().GetPositions()), geometry)


def _parsed(text: str) -> Chem.Mol | None:
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(text)
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    has_placeholder = any(atom.GetAtomicNum() == 0 for atom in molecule.GetAtoms())
    return None if has_placeholder else molecule


def _relax(molecule: Chem.Mol) -> str:
    """Relax the conformer of a molecule in place and return what its geometry comes from."""
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
        return "ETKDG embedding"
    unfinished = rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=_STEPS)
    return "MMFF94 force field" + (", not relaxed to the end" if unfinished else "")

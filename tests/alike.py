"""Molecules and crystals that are alike, made by hand or by RDKit's embedding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from rdkit import Chem
from rdkit.Chem import AllChem

from molcryst_bench.sources.record import BadRecordError, RawRecord, Record


class InMemory:
    """A source of structures in memory; None stands for one that cannot be parsed."""

    name = "memory"
    files = ()

    def __init__(self, structures: Mapping[str, Atoms | None]) -> None:
        self.structures = structures

    def raw_records(self, paths: Mapping[str, Path]) -> Iterator[RawRecord]:
        for identity, atoms in self.structures.items():
            yield RawRecord("memory", identity, atoms)

    def parse(self, raw: RawRecord) -> Record:
        if raw.payload is None:
            raise BadRecordError("there is nothing to parse")
        return Record(raw.id, raw.payload, {})


def embedded(smiles: str, seed: int = 7) -> Atoms:
    """Return a relaxed conformer of a molecule."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=seed) == 0
    AllChem.MMFFOptimizeMolecule(molecule)
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    return Atoms(symbols, positions=molecule.GetConformer().GetPositions())


def disguised(atoms: Atoms, seed: int = 0, mirror: bool = False) -> Atoms:
    """Turn, move and reorder a structure, and mirror it if asked to."""
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    if (np.linalg.det(rotation) < 0) != mirror:
        rotation = -rotation
    moved = atoms[generator.permutation(len(atoms))]
    if not atoms.pbc.any():
        moved.translate(generator.normal(size=3))
    else:
        moved.set_scaled_positions(moved.get_scaled_positions() + generator.random(3))
    moved.set_cell(moved.cell.array @ rotation)
    moved.positions = moved.positions @ rotation
    return moved


def supercell(atoms: Atoms, rows: Sequence[Sequence[int]]) -> Atoms:
    return make_supercell(atoms, rows)


def crystal(metal: str = "Zn", size: float = 5.4, seed: int | None = None) -> Atoms:
    """Return a cubic crystal of metal and oxygen, shaken a little if there is a seed."""
    atoms = bulk(f"{metal}O", "zincblende", a=size, cubic=True)
    if seed is not None:
        atoms.rattle(0.05, rng=np.random.default_rng(seed))
    return atoms

"""Molecular graphs and geometries: what is one molecule, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from alike import disguised, embedded
from ase import Atoms
from ase.build import molecule as g2_molecule
from rdkit import Chem

from molcryst_bench.graphs.similarity.geometry import geometry_of
from molcryst_bench.graphs.similarity.molecules import molecule_of


def distance_between(one: Atoms, other: Atoms) -> float:
    return float(np.abs(geometry_of(one).distances - geometry_of(other).distances).max())


@pytest.mark.parametrize("smiles", ["C[C@H](O)C#N", "C1C[C@@H]2O[C@@H]2C1", "C1C2CC1C2", "CC(=O)N"])
def test_a_molecule_stays_the_same_when_turned_moved_and_renumbered(smiles: str) -> None:
    atoms = embedded(smiles)
    for seed in range(5):
        other = disguised(atoms, seed)
        assert molecule_of(other) == molecule_of(atoms)
        assert geometry_of(other).composition == geometry_of(atoms).composition
        assert distance_between(other, atoms) < 1e-5


def test_another_conformer_is_the_same_molecule_in_another_geometry() -> None:
    one, other = embedded("C[C@H](O)CCO", seed=1), embedded("C[C@H](O)CCO", seed=4)
    assert molecule_of(one) == molecule_of(other)
    assert distance_between(one, other) > 0.01


def test_enantiomers_are_stereoisomers_with_equal_geometry() -> None:
    one = embedded("C[C@H](O)C#N")
    other = disguised(one, mirror=True)
    assert molecule_of(one).constitution == molecule_of(other).constitution
    assert molecule_of(one).stereo != molecule_of(other).stereo
    assert molecule_of(other).stereo == molecule_of(embedded("C[C@@H](O)C#N")).stereo
    assert distance_between(one, other) < 1e-5  # every scalar property is equal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C/C=C/C", "C/C=C\\C"),
        ("C/C=N/O", "C/C=N\\O"),
        ("O[C@H]1C[C@@H](F)C1", "O[C@H]1C[C@H](F)C1"),
        ("C[C@H](O)[C@H](F)C", "C[C@H](O)[C@@H](F)C"),
    ],
)
def test_cis_and_trans_and_diastereomers_differ_in_stereo_alone(one: str, other: str) -> None:
    a, b = molecule_of(embedded(one)), molecule_of(embedded(other))
    assert a.constitution == b.constitution
    assert a.scaffold == b.scaffold
    assert a.stereo != b.stereo
    assert None not in (a.stereo, b.stereo)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CCO", "COC"),
        ("CC(C)C", "CCCC"),
        ("C=CCO", "CCC=O"),
        ("CC(O)=N", "CC(=O)N"),
        ("C1CC1", "C=CC"),
    ],
)
def test_constitutional_isomers_and_tautomers_are_other_molecules(one: str, other: str) -> None:
    assert molecule_of(embedded(one)).constitution != molecule_of(embedded(other)).constitution


def test_bonds_are_those_of_strained_cages() -> None:
    """Opposite bridgeheads, 1.87 Å apart, are no bond."""
    found = molecule_of(embedded("C1C2CC1C2"))
    expected = Chem.MolFromSmiles("C1C2CC1C2")
    assert found.scaffold == Chem.MolToSmiles(expected)
    assert found.stereo is not None
    assert found.stereo.partition("/t")[0] == Chem.MolToInchi(expected)


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [
        ("Cc1ccccc1O", "C1CCCCC1"),  # rings without bond orders
        ("CC1OC1CN", "C1CO1"),
        ("C1CC1CCC1CO1", "C1CC1CCC1CO1"),  # with what links them
        ("O=C1CCCC1", "C1CCCC1"),  # without what hangs on them
        ("CC(N)=O", "chain CC(C)C"),
        ("CC(F)O", "chain CC(C)C"),
        ("CCCO", "chain CCCC"),
    ],
)
def test_scaffolds(smiles: str, scaffold: str) -> None:
    kind, _, graph = scaffold.rpartition(" ")
    expected = f"{kind} {Chem.CanonSmiles(graph)}".strip()
    found_kind, _, found = molecule_of(embedded(smiles)).scaffold.rpartition(" ")
    canonical = Chem.MolToSmiles(Chem.MolFromSmiles(found.replace("[", "").replace("]", "")))
    assert f"{found_kind} {canonical}".strip() == expected


def test_a_radical_has_a_constitution_but_no_stereo() -> None:
    found = molecule_of(g2_molecule("CH3"))
    assert found.stereo is None
    assert found.constitution


def test_the_geometry_of_a_molecule_is_its_average_minimum_distances() -> None:
    atoms = embedded("CCO")
    expected = []
    for element in (1, 6, 8):
        rows = [
            sorted(float(np.linalg.norm(a.position - b.position)) for b in atoms)
            for a in atoms
            if a.number == element
        ]
        expected += np.mean(rows, axis=0).tolist()
    np.testing.assert_allclose(geometry_of(atoms).distances, expected, atol=1e-6)


def test_one_atom_alone_has_a_geometry() -> None:
    assert geometry_of(Atoms("He")).distances.tolist() == [0.0]

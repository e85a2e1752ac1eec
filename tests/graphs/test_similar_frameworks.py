"""Crystals: one structure in many cells, and how similar two are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from alike import crystal, disguised, supercell
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from molcryst_bench.graphs.similarity.frameworks import framework_of, similar_frameworks
from molcryst_bench.graphs.similarity.geometry import geometry_of

CELLS = (
    [[2, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
    [[2, 1, 0], [0, 1, 1], [0, 0, 3]],
)


@pytest.mark.parametrize("rows", CELLS)
def test_a_crystal_is_the_same_in_every_cell(rows: list[list[int]]) -> None:
    atoms = crystal(seed=1)
    other = disguised(supercell(atoms, rows), seed=2)
    assert geometry_of(other).composition == geometry_of(atoms).composition
    np.testing.assert_allclose(
        geometry_of(other).distances, geometry_of(atoms).distances, atol=1e-4
    )
    one, two = framework_of(atoms), framework_of(other)
    assert two.atom_volume == pytest.approx(one.atom_volume)
    assert dict(two.surroundings) == pytest.approx(dict(one.surroundings))
    assert similar_frameworks([one.surroundings, two.surroundings], 1.0).tolist() == [[0, 1]]


def test_the_geometry_of_a_crystal_is_its_average_minimum_distances() -> None:
    atoms = crystal(seed=3)
    images = np.array(list(product(range(-3, 4), repeat=3))) @ atoms.cell.array
    expected = []
    for element in (8, 30):
        rows = []
        for atom in (a for a in atoms if a.number == element):
            vectors = (atoms.positions[:, None] + images - atom.position).reshape(-1, 3)
            distances = np.sort(np.linalg.norm(vectors, axis=1))
            rows.append(distances[1:25])  # without the atom itself
        expected += np.mean(rows, axis=0).tolist()
    np.testing.assert_allclose(geometry_of(atoms).distances, expected, atol=1e-5)


def test_a_small_move_changes_the_geometry_a_little() -> None:
    atoms = crystal()
    moved = atoms.copy()
    moved.positions[0, 0] += 0.01
    change = np.abs(geometry_of(moved).distances - geometry_of(atoms).distances).max()
    assert 1e-3 < change <= 0.02


def test_surroundings_reach_two_bonds_far() -> None:
    found = framework_of(bulk("NaCl", "rocksalt", a=5.64))
    salt = {"Na": "Cl", "Cl": "Na"}
    expected = {f"{a}({f'{b}({a * 6})' * 6})": 0.5 for a, b in salt.items()}
    assert dict(found.surroundings) == expected
    assert found.atom_volume == pytest.approx(5.64**3 / 8)


def test_a_substituted_atom_changes_its_surroundings_alone() -> None:
    atoms = crystal(size=4.6).repeat(2)
    other = atoms.copy()
    other.symbols[0] = "Cd"
    assert atoms.symbols[0] == "Zn"
    pair = [framework_of(atoms).surroundings, framework_of(other).surroundings]
    untouched = 1 - (1 + 4 + 12) / len(atoms)  # itself, its neighbours and theirs
    assert similar_frameworks(pair, untouched).tolist() == [[0, 1]]
    assert not len(similar_frameworks(pair, untouched + 0.01))


def test_a_slab_has_no_volume() -> None:
    slab = Atoms(
        "C2", [[0, 0, 0], [1.23, 0.71, 0]], cell=[[2.46, 0, 0], [1.23, 2.13, 0], [0, 0, 0]]
    )
    slab.pbc = (True, True, False)
    assert framework_of(slab).atom_volume is None
    assert geometry_of(slab).composition == "C (periodic)"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.51, 1.0))
def test_pairs_are_those_of_a_plain_loop(seed: int, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    frameworks = []
    for _ in range(12):
        kinds = generator.choice(list("abcdefgh"), generator.integers(1, 5), replace=False)
        counts = generator.integers(1, 5, len(kinds))
        frameworks.append(dict(zip(kinds.tolist(), (counts / counts.sum()).tolist(), strict=True)))
    frameworks[3] = None
    expected = [
        [i, j]
        for i, one in enumerate(frameworks)
        for j, other in enumerate(frameworks)
        if i < j and one and other
        if sum(min(share, other.get(kind, 0)) for kind, share in one.items()) >= threshold - 1e-9
    ]
    assert similar_frameworks(frameworks, threshold).tolist() == expected


def test_no_framework_is_similar_to_none() -> None:
    assert similar_frameworks([None, None], 0.75).shape == (0, 2)

"""Bond lengths, angles and torsions: values of known geometries, classes of known molecules."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import molecule
from ase.geometry import get_dihedrals
from hypothesis import given
from hypothesis import strategies as st

from molcryst_bench.dynamics.coordinates import angles, coordinate_classes, lengths, torsions
from molcryst_bench.dynamics.molecules import known_molecules

COUNTS = {
    "ethanol": {
        "C-C near O": 1,
        "C-H": 5,
        "C-O": 1,
        "O-H": 1,
        "C-C-H": 5,
        "C-C-O": 1,
        "C-O-H": 1,
        "H-C-H": 4,
        "O-C-H": 2,
        "C-C-O-H": 1,
        "O-C-C-H": 3,
    },
    "n-propanol": {
        "C-C near O": 1,
        "C-C far from O": 1,
        "C-O": 1,
        "C-C-C": 1,
        "C-C-O": 1,
        "C-C-C-O": 1,
        "C-C-O-H": 1,
    },
    "isopropanol": {"C-C near O": 2, "C-O": 1, "C-C-C": 1, "C-C-O": 2, "C-C-O-H": 2},
    "pyrimidine": {
        "C-C near N": 2,
        "C-N": 4,
        "C-H": 4,
        "C-C-C": 1,
        "C-C-N": 2,
        "C-N-C": 2,
        "N-C-N": 1,
    },
    "naphthalene": {"C-C": 11, "C-H": 8, "C-C-C": 14, "C-C-H": 16, "C-C-C-C": 18},
    "uracil": {"C-C near N and O": 1, "C-C near N": 1, "C-N": 4, "C-O": 2, "N-H": 2},
}


@pytest.mark.parametrize("name", COUNTS)
def test_classes_are_those_that_chemists_count(name: str) -> None:
    found = {c.name: len(c.members) for c in coordinate_classes(known_molecules()[name])}
    assert {key: found.get(key) for key in COUNTS[name]} == COUNTS[name]
    assert name != "ethanol" or found == COUNTS[name]


def test_every_bond_and_angle_is_in_one_class() -> None:
    # Euler: a molecule of rings has atoms - 1 + rings bonds; angles are pairs of neighbours.
    classes = coordinate_classes(known_molecules()["naphthalene"])
    bonds = np.concatenate([c.members for c in classes if c.kind == "length"])
    assert len(bonds) == 18 - 1 + 2
    degrees = np.bincount(bonds.ravel())
    angle_count = sum(len(c.members) for c in classes if c.kind == "angle")
    assert angle_count == (degrees * (degrees - 1) // 2).sum()


def test_the_order_of_atoms_changes_no_class() -> None:
    atoms = known_molecules()["n-propanol"]
    order = np.random.default_rng(0).permutation(len(atoms))
    mixed = atoms[order]
    before, after = (
        {c.name: np.sort(np.abs(c.values(a.positions))) for c in coordinate_classes(a)}
        for a in (atoms, mixed)
    )
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=1e-6)


def test_water_has_the_angle_that_it_was_built_with() -> None:
    water = molecule("H2O")
    classes = {c.name: c.values(water.positions) for c in coordinate_classes(water)}
    assert classes["O-H"] == pytest.approx([water.get_distance(0, 1), water.get_distance(0, 2)])
    assert classes["H-O-H"] == pytest.approx([water.get_angle(1, 0, 2)])


@given(angle=st.floats(-179.9, 179.9))
def test_a_torsion_is_what_the_far_end_was_turned_by(angle: float) -> None:
    turn = np.radians(angle)
    # Seen from the first end, against the axis, the far end is turned clockwise.
    points = [[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [np.cos(turn), np.sin(turn), 1]]
    one, second, third, other = np.array(points, float)
    found = torsions(one, second, third, other)
    np.testing.assert_allclose(found, angle, atol=1e-9)
    ase = get_dihedrals([second - one], [third - second], [other - third])
    np.testing.assert_allclose((found - ase[0] + 180) % 360, 180, atol=1e-6)


@given(st.floats(1e-6, 179.999999))
def test_angles_keep_their_digits_near_a_line(angle: float) -> None:
    end = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0])
    found = angles(np.array([1.0, 0, 0]), np.zeros(3), end)
    np.testing.assert_allclose(found, angle, rtol=1e-8)


def test_values_of_many_frames_have_a_column_for_each_member() -> None:
    atoms = known_molecules()["ethanol"]
    frames = atoms.positions + np.random.default_rng(0).normal(0, 0.05, (5, 3, len(atoms), 3))
    for each in coordinate_classes(atoms):
        found = each.values(frames)
        assert found.shape == (5, 3, len(each.members))
        np.testing.assert_allclose(found[2, 1], each.values(frames[2, 1]))
    pair = frames[..., 0, :], frames[..., 1, :]
    np.testing.assert_allclose(lengths(*pair), np.linalg.norm(pair[0] - pair[1], axis=-1))

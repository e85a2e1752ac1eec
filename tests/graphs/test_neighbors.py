"""Neighbour lists against ASE's, which is slow but independent of the one used here."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import primitive_neighbor_list
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from molcryst_bench.graphs import neighbors
from molcryst_bench.graphs.neighbors import FARTHEST, Edges, GraphSpec, find_edges
from molcryst_bench.sources.record import BadRecordError

EDGE_OF_SIGHT = 1e-6  # Å; so close to the cut-off, rounding decides

Edge = tuple[int, int, int, int, int]
SIDE = 6.0  # Å; cut-offs of up to this are larger than many of the cells


@st.composite
def structures(draw: st.DrawFn) -> tuple[Atoms, float]:
    """Draw triclinic cells, any periodicity, atoms also outside the cell, and a cut-off."""
    pbc = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    count, cutoff = draw(st.integers(1, 6)), draw(st.floats(1.0, SIDE))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    positions = rng.uniform(-8, 8, (count, 3))
    return Atoms(f"C{count}", positions=positions, cell=_cell(rng), pbc=pbc), cutoff


def _cell(rng: np.random.Generator) -> np.ndarray:
    """Return vectors of any direction, but not almost in one plane."""
    while True:
        cell = rng.uniform(-SIDE, SIDE, (3, 3))
        volume, sides = abs(np.linalg.det(cell)), np.linalg.norm(cell, axis=1)
        if volume > 10 and volume > 0.15 * np.prod(sides):
            return cell


def reference(atoms: Atoms, cutoff: float) -> dict[Edge, float]:
    """Return the distance of every edge in both directions, by ASE, from float32 positions."""
    positions = atoms.positions.astype(np.float32).astype(np.float64)
    i, j, shift, distance = primitive_neighbor_list(
        "ijSd", atoms.pbc, atoms.cell.array, positions, cutoff + EDGE_OF_SIGHT
    )
    keys = zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True)
    return dict(zip(keys, distance.tolist(), strict=True))


def keys_of(edges: Edges) -> list[Edge]:
    columns = (edges.sender.tolist(), edges.receiver.tolist(), *edges.shift.T.tolist())
    return list(zip(*columns, strict=True))


def check_symmetric(atoms: Atoms, cutoff: float) -> None:
    edges = find_edges(atoms, GraphSpec(cutoff=cutoff))
    expected = reference(atoms, cutoff)
    directed = Counter()
    for i, j, *shift in keys_of(edges):
        directed[(i, j, *shift)] += 1
        directed[(j, i, *(-s for s in shift))] += 1
    assert set(directed.values()) <= {1}, "a pair is there twice"
    assert set(directed) <= set(expected)
    for key in set(expected) - set(directed):
        assert expected[key] > cutoff - EDGE_OF_SIGHT, f"{key} is missing"
    distances = [expected[key] for key in keys_of(edges)]
    np.testing.assert_allclose(edges.distance, distances, atol=1e-9)


def check_nearest(atoms: Atoms, cutoff: float, count: int) -> None:
    spec = GraphSpec(cutoff=cutoff, max_neighbors=count)
    expected = reference(atoms, cutoff)
    assume(not any(abs(distance - cutoff) <= EDGE_OF_SIGHT for distance in expected.values()))
    neighbours = Counter(key[1] for key in expected)
    if atoms.pbc.all() and min(neighbours[atom] for atom in range(len(atoms))) < count:
        with pytest.raises(BadRecordError, match=f"not the {count} asked for: widen the cut-off"):
            find_edges(atoms, spec)
        return
    edges = find_edges(atoms, spec)
    keys = keys_of(edges)
    assert len(set(keys)) == len(keys)
    assert set(keys) <= set(expected)
    for atom in range(len(atoms)):
        near = sorted(d for key, d in expected.items() if key[1] == atom and d < cutoff)
        found = np.sort(edges.distance[edges.receiver == atom])
        np.testing.assert_allclose(found, near[:count], atol=2e-4)


@given(structures())
@settings(max_examples=500, deadline=None)
def test_a_symmetric_list_has_each_pair_once(case: tuple[Atoms, float]) -> None:
    check_symmetric(*case)


@given(structures(), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_a_nearest_list_has_the_nearest_senders_of_each_atom(
    case: tuple[Atoms, float], count: int
) -> None:
    check_nearest(*case, count)


@pytest.mark.parametrize("seed", range(40))
def test_the_nearest_of_a_lattice_do_not_depend_on_how_far_one_looks(seed: int) -> None:
    """On a grid many distances are equal, and one look ends between equals or just before them."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", "sc", a=2.0).repeat(rng.integers(1, 4, 3))
    atoms = atoms[rng.random(len(atoms)) < 0.8] or atoms
    for cutoff, count in ((6.001, 5), (6.001, 18), (10 / 3 * 2, 7), (8.0, 12), (8.0, 33)):
        everything = neighbors._all_edges(atoms, cutoff)
        nearest = neighbors._nearest(everything, neighbors._shells(everything), count)
        found = find_edges(atoms, GraphSpec(cutoff=cutoff, max_neighbors=count))
        assert keys_of(found) == keys_of(neighbors._sorted(nearest))


@pytest.mark.slow
@given(structures(), st.integers(1, 20))
@settings(max_examples=500, deadline=None)
def test_both_lists_on_many_more_structures(case: tuple[Atoms, float], count: int) -> None:
    check_symmetric(*case)
    check_nearest(*case, count)


def test_an_atom_sees_its_own_images() -> None:
    edges = find_edges(bulk("Cu", "sc", a=3.0), GraphSpec(cutoff=3.1))
    assert keys_of(edges) == [(0, 0, 0, 0, 1), (0, 0, 0, 1, 0), (0, 0, 1, 0, 0)]
    shells = find_edges(bulk("Cu", "sc", a=3.0), GraphSpec(cutoff=7.0)).distance.round(3)
    assert Counter(shells) == {3.0: 3, 4.243: 6, 5.196: 4, 6.0: 3, 6.708: 12}


@pytest.mark.parametrize(
    ("x", "cutoff", "seen"),
    [(1.00000001, 1.000000005, True), (1.00000009, 1.0000001, False)],
    ids=["nearer in float32", "farther in float32"],
)
def test_the_positions_that_a_store_keeps_decide_who_is_a_neighbour(
    x: float, cutoff: float, seen: bool
) -> None:
    assert (x < cutoff) != seen, "in float64 it is the other way round"
    edges = find_edges(Atoms("H2", positions=[[0, 0, 0], [x, 0, 0]]), GraphSpec(cutoff=cutoff))
    assert (len(edges.sender) == 1) == seen


@pytest.mark.parametrize("crystal", ["fcc", "rocksalt", "diamond"])
def test_rounding_does_not_choose_among_neighbours_at_one_distance(crystal: str) -> None:
    """The same crystal turned in space has the same nearest neighbours, ties included."""
    cell = {
        "fcc": bulk("Cu", cubic=True),
        "rocksalt": bulk("NaCl", "rocksalt", a=5.64, cubic=True),
        "diamond": bulk("C", "diamond", a=3.567, cubic=True),
    }[crystal]
    spec = GraphSpec(cutoff=6.5, max_neighbors=8)
    expected = keys_of(find_edges(cell, spec))
    for seed in range(5):
        turn = Rotation.random(random_state=seed).as_matrix()
        turned = cell.copy()
        turned.set_cell(cell.cell.array @ turn.T)
        turned.positions = cell.positions @ turn.T
        assert keys_of(find_edges(turned, spec)) == expected


def test_no_edge_of_a_symmetric_list_is_left_out_in_a_crowd() -> None:
    crowd = bulk("C", "diamond", a=3.567, cubic=True)
    edges = find_edges(crowd, GraphSpec(cutoff=8.0))
    assert 2 * len(edges.sender) == len(reference(crowd, 8.0)) > 2000


@pytest.mark.parametrize("atoms", [Atoms(), Atoms("H"), Atoms("H2", positions=[[0] * 3, [9] * 3])])
@pytest.mark.parametrize("most", [None, 12])
def test_atoms_without_neighbours_have_no_edges(atoms: Atoms, most: int | None) -> None:
    edges = find_edges(atoms, GraphSpec(cutoff=5.0, max_neighbors=most))
    assert edges.shift.shape == (0, 3)
    assert len(edges.sender) == len(edges.receiver) == len(edges.distance) == 0


def test_an_atom_of_a_crystal_with_too_few_neighbours_is_an_error() -> None:
    """A list of the nearest 12 that has 6 of them would be a shorter cut-off in disguise."""
    salt = bulk("NaCl", "rocksalt", a=5.64)
    assert len(find_edges(salt, GraphSpec(cutoff=3.0, max_neighbors=6)).sender) == 12
    with pytest.raises(BadRecordError, match="atom 0 has 6 neighbours within 3 Å, not the 7"):
        find_edges(salt, GraphSpec(cutoff=3.0, max_neighbors=7))
    lone = Atoms("Na", cell=[9, 9, 9], pbc=True)
    with pytest.raises(BadRecordError, match="atom 0 has 0 neighbours within 8 Å, not the 12"):
        find_edges(lone, GraphSpec(cutoff=8.0, max_neighbors=12))


def test_a_slab_needs_no_third_vector() -> None:
    slab = Atoms("H", cell=[4, 4, 0], pbc=[True, True, False])
    assert keys_of(find_edges(slab, GraphSpec(cutoff=4.5))) == [(0, 0, 0, 1, 0), (0, 0, 1, 0, 0)]


@pytest.mark.parametrize(
    "atoms",
    [
        Atoms("H2", positions=[[0, 0, 0], [np.nan, 0, 0]]),
        Atoms("H2", positions=[[0, 0, 0], [np.inf, 0, 0]]),
        Atoms("H2", positions=[[0, 0, 0], [1e10, 0, 0]]),
        Atoms("H2", positions=[[0, 0, 0], [1e300, 0, 0]]),
        Atoms("H", cell=[4, 4, 0], pbc=True),
        Atoms("H", pbc=True),
        Atoms("H", cell=[[4, 0, 0], [4, 0, 0], [0, 0, 4]], pbc=True),
        Atoms("H", cell=[np.nan, 4, 4], pbc=True),
        Atoms("H", cell=[0.01, 0.01, 0.01], pbc=True),
        Atoms("H", cell=[[4, 0, 0], [4, 1e-7, 0], [0, 0, 4]], pbc=True),
        Atoms("H2", positions=[[0, 0, 0], [2000, 0, 0]], cell=[4, 4, 4], pbc=True),
    ],
    ids=[
        "nan",
        "inf",
        "1e10",
        "1e300",
        "two vectors",
        "no cell",
        "flat cell",
        "nan cell",
        "tiny cell",
        "nearly flat cell",
        "many cells away",
    ],
)
def test_impossible_structures_are_refused(atoms: Atoms) -> None:
    with pytest.raises(BadRecordError):
        find_edges(atoms, GraphSpec())


def test_atoms_far_apart_are_searched_in_reasonable_time_and_memory() -> None:
    corners = FARTHEST * (2 * np.mgrid[0:2, 0:2, 0:2].reshape(3, -1).T - 1.0)
    pairs = np.concatenate([corners, corners * 0.9999])
    assert len(find_edges(Atoms("H16", positions=pairs), GraphSpec(cutoff=5.0)).sender) == 8


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_cutoff_is_refused(cutoff: float) -> None:
    with pytest.raises(ValueError, match="cutoff"):
        GraphSpec(cutoff=cutoff)

"""Neighbour lists of 50 real frameworks against pymatgen's."""

from __future__ import annotations

import os
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from molcryst_bench.graphs.neighbors import GraphSpec, find_edges
from molcryst_bench.sources.structures import read_cif

FRAMEWORKS = 50
ROUNDING = 1e-5  # Å; so close to the cut-off, or to the farthest of the nearest, either is right
SAME_DISTANCE = 1e-3  # Å; a shell is a chain of distances 1e-4 apart: ties in it go by index

Edge = tuple[int, int, int, int, int]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frameworks() -> list[Atoms]:
    """Frameworks with the float32 positions that a store would hold."""
    if "MOLCRYST_MIRROR" not in os.environ:
        pytest.skip("needs the real files: MOLCRYST_MIRROR is not set")
    path = Path(os.environ["MOLCRYST_MIRROR"], "hmof", "hmof-sample.zip")
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".cif"))
        read = [read_cif(archive.read(name).decode()) for name in islice(names, FRAMEWORKS)]
    for atoms in read:
        atoms.positions = atoms.positions.astype(np.float32)
    return read


def pymatgen_edges(atoms: Atoms, cutoff: float) -> dict[Edge, float]:
    """Return the distance of every directed edge, by ``Structure.get_all_neighbors``."""
    core = pytest.importorskip("pymatgen.core")
    structure = core.Structure(
        atoms.cell.array, atoms.symbols, atoms.positions, coords_are_cartesian=True
    )
    return {
        (near.index, receiver, *(-round(step) for step in near.image)): near.nn_distance
        for receiver, neighbours in enumerate(structure.get_all_neighbors(cutoff))
        for near in neighbours
    }


def own_edges(atoms: Atoms, spec: GraphSpec) -> dict[Edge, float]:
    """Return the distance of every directed edge, both directions of each pair."""
    edges = find_edges(atoms, spec)
    found: dict[Edge, float] = {}
    for i, j, shift, distance in zip(*edges[:2], edges.shift.tolist(), edges.distance, strict=True):
        found[(i, j, *shift)] = distance
        if spec.symmetric:
            found[(j, i, *(-step for step in shift))] = distance
    return found


def by_receiver(edges: dict[Edge, float]) -> list[list[tuple[float, Edge]]]:
    """Return distances and edges of each atom, the nearest first."""
    table: dict[int, list[tuple[float, Edge]]] = {}
    for distance, key in sorted((distance, key) for key, distance in edges.items()):
        table.setdefault(key[1], []).append((distance, key))
    return [table[receiver] for receiver in sorted(table)]


def test_all_neighbours_within_the_cutoff_are_those_of_pymatgen(frameworks: list[Atoms]) -> None:
    for atoms in frameworks:
        found, expected = own_edges(atoms, GraphSpec(cutoff=5.0)), pymatgen_edges(atoms, 5.0)
        common = found.keys() & expected.keys()
        alone = [(found | expected)[key] for key in found.keys() ^ expected.keys()]
        assert len(common) > 10 * len(atoms)
        assert all(abs(distance - 5.0) < ROUNDING for distance in alone), "not the same edges"
        np.testing.assert_allclose(
            [found[key] for key in common], [expected[key] for key in common], atol=ROUNDING
        )


def test_the_twelve_nearest_are_those_of_pymatgen_but_for_ties(frameworks: list[Atoms]) -> None:
    for atoms in frameworks:
        found = own_edges(atoms, GraphSpec(cutoff=8.0, max_neighbors=12))
        expected = pymatgen_edges(atoms, 8.0)
        assert len(found) == 12 * len(atoms)
        for neighbours, ours in zip(by_receiver(expected), by_receiver(found), strict=True):
            nearest = neighbours[:12]
            np.testing.assert_allclose(
                [d for d, _ in ours], [d for d, _ in nearest], atol=SAME_DISTANCE
            )
            surely = {key for d, key in nearest if d < nearest[-1][0] - SAME_DISTANCE}
            assert surely <= {key for _, key in ours}

"""Batches made in memory, above all of periodic structures, against ASE."""

from __future__ import annotations

import crystals
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from torch_geometric.data import Batch

import molcryst_bench
from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.single import build_batch, build_graph
from molcryst_bench.sources.record import BadRecordError

PERIODIC = [atoms for atoms in crystals.structures() if atoms.pbc.any()]


def vectors(batch: Batch) -> torch.Tensor:
    """Recompute the vector of each edge from sender to receiver, as a model does."""
    sender, receiver = batch.edge_index
    cell = batch.cell[batch.batch[sender]]
    shift = torch.einsum("ei,eij->ej", batch.edge_shift.to(cell), cell)
    return batch.pos[receiver] - batch.pos[sender] + shift


@pytest.mark.parametrize("cutoff", [3.0, 5.0])
def test_distances_recomputed_from_a_batch_are_those_of_ase(cutoff: float) -> None:
    batch = build_batch(PERIODIC, GraphSpec(cutoff=cutoff))
    distances = vectors(batch).norm(dim=1)
    for graph, atoms in enumerate(PERIODIC):
        expected = np.sort(neighbor_list("d", atoms, cutoff))
        found = distances[batch.batch[batch.edge_index[0]] == graph].sort().values.numpy()
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_each_edge_has_the_vector_that_ase_has_for_its_ends_and_shift() -> None:
    for atoms in PERIODIC:
        batch = build_batch([atoms], GraphSpec(cutoff=4.5))
        i, j, shift, vector = neighbor_list("ijSD", atoms, 4.5)
        keys = zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True)
        expected = dict(zip(keys, vector, strict=True))
        found = torch.cat([batch.edge_index.T, batch.edge_shift.long()], dim=1).tolist()
        assert len({tuple(edge) for edge in found}) == len(found) == len(expected)
        wanted = np.array([expected[tuple(edge)] for edge in found])
        np.testing.assert_allclose(vectors(batch).numpy(), wanted, atol=2e-5)


def test_nearest_neighbours_of_crystals_have_the_distances_of_ase() -> None:
    batch = build_batch(PERIODIC, GraphSpec(cutoff=8.0, max_neighbors=12))
    distances = vectors(batch).norm(dim=1)
    first = 0
    for atoms in PERIODIC:
        i, d = neighbor_list("id", atoms, 8.0)
        for atom in range(len(atoms)):
            found = distances[batch.edge_index[1] == first + atom].sort().values.numpy()
            np.testing.assert_allclose(found, np.sort(d[i == atom])[:12], atol=2e-4)
        first += len(atoms)
    assert not batch.symmetric


def test_vectors_of_both_directions_are_opposite() -> None:
    edges = vectors(build_batch(PERIODIC, GraphSpec(cutoff=5.0)))
    torch.testing.assert_close(edges[0::2], -edges[1::2])


def test_a_moved_origin_or_another_image_changes_no_distance() -> None:
    diamond = bulk("C", "diamond", a=3.567, cubic=True)
    moved = diamond.copy()
    moved.positions += diamond.cell.array[0] * 3 - diamond.cell.array[2]
    moved.positions[3] += diamond.cell.array[1] * 2
    one, other = (vectors(build_batch([a], GraphSpec())).norm(dim=1) for a in (diamond, moved))
    torch.testing.assert_close(one.sort().values, other.sort().values, atol=1e-5, rtol=0)


def test_forces_through_a_periodic_batch_are_the_derivatives_of_its_energy() -> None:
    """Checks what models rely on: positions and shifts enter with the right signs."""
    batch = build_batch(PERIODIC[:4], GraphSpec(cutoff=4.0))

    def energy(positions: torch.Tensor) -> torch.Tensor:
        batch.pos = positions
        return (-vectors(batch).norm(dim=1)).exp().sum()

    start = batch.pos.double().requires_grad_()
    batch.cell = batch.cell.double()
    assert torch.autograd.gradcheck(energy, (start,), eps=1e-5, atol=1e-6)


def test_molecules_and_crystals_can_share_a_batch() -> None:
    together = build_batch([molecule("H2O"), bulk("Cu"), molecule("CH4")], GraphSpec())
    assert together.cell.shape == (3, 3, 3)
    alone = build_graph(molecule("CH4"))
    last = together[2]
    assert torch.equal(last.pos, alone.pos)
    assert torch.equal(last.edge_index, alone.edge_index)
    assert not last.edge_shift.any()
    assert last.edge_shift.dtype == torch.int8


def test_a_batch_of_molecules_has_no_cell() -> None:
    batch = build_batch([molecule("H2O"), molecule("CH4")], GraphSpec())
    assert "cell" not in batch
    assert "edge_shift" not in batch


@pytest.mark.parametrize("most", [None, 12])
def test_atoms_without_neighbours_make_graphs_without_edges(most: int | None) -> None:
    lone = [Atoms("He"), molecule("H2O"), Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 30]])]
    batch = build_batch(lone, GraphSpec(max_neighbors=most))
    assert [graph.num_edges for graph in batch.to_data_list()] == [0, 6, 0]
    assert [graph.num_nodes for graph in batch.to_data_list()] == [1, 3, 2]
    alone = build_batch(lone[:1], GraphSpec(max_neighbors=most))
    assert alone.edge_index.shape == (2, 0)
    assert alone.edge_index.dtype == torch.int64


def test_a_periodic_batch_can_be_taken_apart_again() -> None:
    batch = build_batch(PERIODIC, GraphSpec(cutoff=4.0))
    for graph, atoms in zip(batch.to_data_list(), PERIODIC, strict=True):
        alone = build_graph(atoms, cutoff=4.0)
        for name in ("z", "pos", "edge_index", "edge_shift", "cell"):
            assert torch.equal(graph[name], alone[name]), name
    again = Batch.from_data_list(batch.to_data_list())
    torch.testing.assert_close(vectors(again), vectors(batch))


def test_the_package_builds_graphs_under_its_documented_name() -> None:
    graph = molcryst_bench.build_graph(bulk("Cu"), cutoff=5.0, max_neighbors=12)
    assert graph.num_edges == 12
    assert graph.cell.shape == (1, 3, 3)


def test_an_impossible_structure_is_refused_in_words() -> None:
    with pytest.raises(BadRecordError, match="coordinate"):
        build_graph(Atoms("H2", positions=[[0, 0, 0], [0, np.nan, 0]]))

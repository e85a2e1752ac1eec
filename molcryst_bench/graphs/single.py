"""Graphs from structures in memory, for prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from torch_geometric.data import Batch, Data

from molcryst_bench.graphs.flat import FlatGraphs, Lattice
from molcryst_bench.graphs.neighbors import GraphSpec, find_edges


def build_graph(atoms: Atoms, cutoff: float = 5.0, max_neighbors: int | None = None) -> Data:
    """Return the adjacency list of one structure.

    Args:
        atoms: a molecule or a periodic structure, in Å.
        cutoff: radius in Å.
        max_neighbors: keep only this many nearest senders of each atom.
    """
    spec = GraphSpec(cutoff=cutoff, max_neighbors=max_neighbors)
    return one_graph(build_batch([atoms], spec), 0)


def one_graph(batch: Batch, index: int) -> Data:
    """Take one graph out of a batch, with the mark of a symmetric list."""
    graph: Data = batch.get_example(index)
    graph.symmetric = batch.symmetric
    return graph


def build_batch(structures: Sequence[Atoms], spec: GraphSpec) -> Batch:
    """Return one batch with the adjacency lists of all structures."""
    edges = [find_edges(atoms, spec) for atoms in structures]
    periodic = any(atoms.pbc.any() for atoms in structures)
    sizes = [(len(a), len(e.sender)) for a, e in zip(structures, edges, strict=True)]
    lattice = Lattice(
        cell=torch.tensor(np.array([atoms.cell.array for atoms in structures])).float(),
        shift=np.concatenate([e.shift for e in edges]).astype(np.int8),
    )
    flat = FlatGraphs(
        offset=np.cumsum([(0, 0), *sizes], axis=0),
        position=np.concatenate([atoms.positions for atoms in structures]).astype(np.float32),
        atomic_number=np.concatenate([atoms.numbers for atoms in structures]).astype(np.uint8),
        sender=np.concatenate([e.sender for e in edges]).astype(np.uint32),
        receiver=np.concatenate([e.receiver for e in edges]).astype(np.uint32),
        symmetric=spec.symmetric,
        lattice=lattice if periodic else None,
        graph_targets=torch.empty((len(structures), 0), dtype=torch.float64),
        graph_target_names=(),
        node_targets={},
        features=torch.empty((len(structures), 0), dtype=torch.float64),
        feature_names=(),
    )
    return flat.select(range(len(structures)))

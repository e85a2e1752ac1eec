"""Batches of molecules and crystals in float64, for tests of models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch_geometric.data import Batch

from molcryst_bench.graphs.neighbors import GraphSpec
from molcryst_bench.graphs.single import build_batch

CUTOFF = 4.0  # Å


def structures() -> list[Atoms]:
    salt = bulk("NaCl", "rocksalt", a=5.0, cubic=True)
    salt.rattle(0.1, seed=1)
    carbon = bulk("C", "diamond", a=3.567)
    carbon.rattle(0.05, seed=2)
    return [molecule("CH3CH2OH"), molecule("C6H6"), molecule("H2O"), salt, carbon, bulk("Cu")]


def batch_of(atoms: Sequence[Atoms], max_neighbors: int | None = None) -> Batch:
    batch = build_batch(atoms, GraphSpec(cutoff=CUTOFF, max_neighbors=max_neighbors))
    batch.pos = torch.from_numpy(np.concatenate([a.positions for a in atoms]))
    if "cell" in batch:
        batch.cell = torch.from_numpy(np.array([a.cell.array for a in atoms]))
    return batch

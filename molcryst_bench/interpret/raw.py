"""Representations that nobody has trained, to compare with what models learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.graphs.neighbors import GraphSpec, find_edges
from molcryst_bench.graphs.similarity.molecules import perceive
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.interpret.embeddings import Embeddings
from molcryst_bench.training.task import load_task

_BITS, _RADIUS = 2048, 2
_CENTERS = np.linspace(0.5, 5.0, 64)  # Å
_WIDTH = 0.1  # Å


def composition(structures: Sequence[Atoms]) -> np.ndarray:
    """Return the share of each element that occurs, (structures, elements)."""
    counts = np.array([np.bincount(atoms.numbers, minlength=119) for atoms in structures])
    used = counts[:, counts.any(0)]
    shares: np.ndarray = used / used.sum(1, keepdims=True)
    return shares


def distances(structures: Sequence[Atoms]) -> np.ndarray:
    """Return how often distances up to 5 Å occur in a structure, per atom, (structures, 64).

    Each distance is a Gaussian of 0.1 Å, as in a radial distribution function.
    """
    spec, rows = GraphSpec(cutoff=5.0), []
    for atoms in structures:
        found = find_edges(atoms, spec).distance
        spread = np.exp(-0.5 * ((found[:, None] - _CENTERS) / _WIDTH) ** 2)
        rows.append(2 * spread.sum(0) / len(atoms))
    return np.array(rows)


def fingerprint(structures: Sequence[Atoms]) -> np.ndarray:
    """Return Morgan fingerprints of radius 2, (structures, 2048) of zeros and ones.

    Bonds are perceived from the geometry, with RDKit (Rogers and Hahn, J. Chem. Inf. Model. 50, 742
    (2010), doi 10.1021/ci100050t).
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=_RADIUS, fpSize=_BITS)
    rows = []
    for atoms in structures:
        if atoms.pbc.any():
            raise SettingsError("fingerprints are of molecules: take composition or distances")
        molecule = perceive(atoms)
        Chem.SanitizeMol(molecule, catchErrors=True)
        rows.append(generator.GetFingerprintAsNumPy(molecule))
    return np.array(rows)


RAW: dict[str, Callable[[Sequence[Atoms]], np.ndarray]] = {
    "composition": composition,
    "distances": distances,
    "fingerprint": fingerprint,
}
METRIC = {"fingerprint": "tanimoto"}  # Euclidean for all others


def represent(name: str, task_name: str, store: GraphStore, rows: np.ndarray) -> Embeddings:
    """Return a representation of structures of a store as a table like that of embeddings.

    Args:
        name: ``composition``, ``distances`` or ``fingerprint``.
        task_name: whose values go with it.
        store: of the dataset.
        rows: which structures, (structures,).

    Raises:
        SettingsError: for an unknown name, or a representation that is not for such structures.
    """
    if name not in RAW:
        raise SettingsError(unknown_name("representation", name, RAW))
    task = load_task(task_name)
    graphs = store.graphs.with_targets([task.target])
    return Embeddings(
        ids=store.ids[rows],
        values=graphs.graph_targets[rows, 0].double().numpy(),
        predictions=np.full(len(rows), np.nan),
        features=RAW[name](structures_of(store, rows)).astype(np.float32),
        facts={
            "task": task.name,
            "quantity": task.target,
            "model": name,
            "seed": 0,
            "unit": task.definition.unit,
            "store_digest": store.digest,
        },
    )


def structures_of(store: GraphStore, rows: np.ndarray) -> list[Atoms]:
    """Return structures of a store, positions in Å."""
    periodic = store.read("graphs/pbc")
    found, graphs = [], store.graphs.with_targets([])
    for row in rows.tolist():
        batch = graphs.select([row])
        cell = batch.cell[0].numpy() if "cell" in batch else None
        pbc = periodic[row] if cell is not None else False
        found.append(Atoms(batch.z.numpy(), batch.pos.double().numpy(), cell=cell, pbc=pbc))
    return found

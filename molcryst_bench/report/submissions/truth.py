"""What the test records of a task really are, to measure predictions against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.sources.card import Target
from molcryst_bench.training.task import Task


@dataclass(frozen=True)
class TrueForces:
    """Forces on all atoms of the test records, in the order of their ids."""

    values: np.ndarray  # (nodes, 3) in the unit of the definition
    atoms: np.ndarray  # (items,) number of atoms of each record
    definition: Target


@dataclass(frozen=True)
class Truth:
    """The test records of a task, sorted by id, and the data that they are from."""

    task: str
    split: str
    definition: Target
    store_digest: str
    split_digest: str
    ids: np.ndarray  # (items,) str
    target: np.ndarray  # (items,) float64 in the unit of the definition
    forces: TrueForces | None = None


def truth_in(store: GraphStore, task: Task) -> Truth:
    """Read the labelled test records of a task from a store.

    Raises:
        StoreError: if the split was made for other records than those of the store.
    """
    split = store.split(task.split)
    used = split.of_group(task.group) if task.group else split
    values = store.read(f"targets/{task.target}")
    rows = used.rows("test").numpy()
    rows = rows[np.isfinite(values[rows])]
    rows = rows[np.argsort(store.ids[rows].astype(str), kind="stable")]
    forces = None
    if task.forces_definition is not None:
        forces = _forces(store, task.forces, task.forces_definition, rows)
    return Truth(
        task.base_name,
        task.split,
        task.definition,
        store.digest,
        split.digest,
        store.ids[rows].astype(str),
        values[rows].astype(np.float64),
        forces,
    )


def _forces(store: GraphStore, name: str, definition: Target, rows: np.ndarray) -> TrueForces:
    offset = store.read("graphs/node_offset").astype(np.int64)
    values: Any = store.read(f"targets/{name}")
    of_records = [values[offset[row] : offset[row + 1]] for row in rows.tolist()]
    return TrueForces(np.concatenate(of_records), np.diff(offset)[rows], definition)

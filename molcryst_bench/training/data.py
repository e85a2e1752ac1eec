"""The three subsets of a task as batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from molcryst_bench.base.errors import RunError
from molcryst_bench.graphs.flat import FlatGraphs
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.graphs.split import SUBSETS, UNUSED, Split
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.models.components.composition import element_counts
from molcryst_bench.training.shares import ALONE, Place, ShareLoader
from molcryst_bench.training.task import Task

INFERENCE_BATCH = 256


@dataclass(frozen=True)
class TaskData:
    """The graphs of a task with the split into subsets."""

    task: Task
    store: GraphStore
    split: Split
    graphs: FlatGraphs

    @classmethod
    def load(cls, task: Task, store: GraphStore) -> TaskData:
        """Read what a task needs from a store.

        Raises:
            RunError: if a subset of the split has no graph with this target in this store.
        """
        graphs = _labelled_graphs(task, store)
        labelled = graphs.graph_targets[:, 0].isfinite().numpy()  # (graphs,)
        loaded = store.split(task.split)
        loaded = loaded.of_group(task.group) if task.group else loaded
        used = replace(loaded, subset=np.where(labelled, loaded.subset, UNUSED))
        for subset in SUBSETS:
            if not len(used.rows(subset)):
                raise RunError(_nothing_to(subset, loaded, task, store))
        return cls(task, store, used, graphs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process reads the graphs again instead of being sent them."""
        return _read_again, (self.task, self.store.path, self.store.storage_options, self.split)

    def batches(self, subset: str) -> GraphLoader:
        """Return batches of a subset in the order of the store."""
        rows = self.split.rows(subset)
        return GraphLoader(self.graphs, rows, INFERENCE_BATCH, shuffle=False, seed=0)

    def training_batches(self, batch_size: int, seed: int, place: Place = ALONE) -> ShareLoader:
        """Return a rank's share of batches of the training set, in another order each epoch."""
        rows = self.split.rows("train")
        return ShareLoader(self.graphs, rows, batch_size, place, shuffle=True, seed=seed)

    def validation_batches(self, place: Place = ALONE) -> ShareLoader:
        """Return a rank's share of batches of the validation subset."""
        rows = self.split.rows("valid")
        return ShareLoader(self.graphs, rows, INFERENCE_BATCH, place, shuffle=False, seed=0)

    def targets(self, subset: str) -> Tensor:
        """Return the targets of a subset in the order of the store, (graphs,) float64."""
        return self.graphs.graph_targets[self.split.rows(subset), 0]

    def forces(self, subset: str) -> Tensor:
        """Return the forces on all atoms of a subset in the same order, (nodes, 3) float64."""
        return self.graphs.take(self.split.rows(subset)).node_targets[self.task.forces]

    def ids(self, subset: str) -> np.ndarray:
        """Return the ids of a subset in the order of the store."""
        ids: np.ndarray = self.store.ids[self.split.rows(subset).numpy()]
        return ids

    def elements(self) -> list[int]:
        """Return the atomic numbers that occur in the training subset."""
        present = torch.stack([element_counts(b).sum(0) > 0 for b in self.batches("train")])
        return torch.nonzero(present.any(0)).flatten().tolist()


def _read_again(task: Task, path: str, storage_options: dict[str, Any], split: Split) -> TaskData:
    store = open_store(path, storage_options)
    return TaskData(task, store, split, _labelled_graphs(task, store))


def _labelled_graphs(task: Task, store: GraphStore) -> FlatGraphs:
    return store.graphs.with_targets([task.target, *filter(None, [task.forces])])


def _nothing_to(subset: str, split: Split, task: Task, store: GraphStore) -> str:
    """Say why a subset is empty: its records are not in the store, or not labelled."""
    if len(split.rows(subset)):
        problem = f"no {subset} record of the split '{split.name}' has a label '{task.target}'"
        return f"{problem} in {store.path}: build it from a source with labels, see its card"
    problem = f"the split '{split.name}' has no {subset} records in {store.path}"
    return f"{problem}: choose a larger sample in params.yaml"

"""Batches from memory and from disk, against PyTorch Geometric."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch_geometric.loader import DataLoader

from benchmarks.compare import Row, compare
from benchmarks.data import as_data, coremof_store, qm9_store
from benchmarks.machine import copy_gigabytes
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.graphs.stream import StreamLoader


@dataclass(frozen=True)
class Case:
    """Graphs and how many of them make a batch."""

    name: str
    store: GraphStore
    target: str
    limits: dict[str, int | None]

    @cached_property
    def rows(self) -> torch.Tensor:
        """Graphs that fit into a batch."""
        most = self.limits.get("max_atoms") or math.inf
        return torch.nonzero(self.store.graphs.atoms <= most).flatten()

    def from_memory(self) -> GraphLoader:
        """Return a loader of the graphs in memory."""
        graphs = self.store.graphs.with_targets([self.target])
        return GraphLoader(graphs, self.rows, **self._common())

    def from_disk(self) -> StreamLoader:
        """Return a loader that reads the store in every epoch."""
        return StreamLoader(self.store, self.rows, targets=[self.target], **self._common())

    def peer(self) -> DataLoader:
        """Return PyG's loader; it counts graphs alone, so it takes the mean of ours."""
        mean = round(len(self.rows) / len(self.from_memory()))
        graphs = as_data(self.store)
        return DataLoader([graphs[row] for row in self.rows.tolist()], mean, shuffle=True)

    def _common(self) -> dict[str, Any]:
        return {"shuffle": True, "seed": 0, "batch_size": None} | self.limits


def rows() -> list[Row]:
    """Return the rows on loading."""
    cases = [
        Case("QM9 graphs in batches of 128", qm9_store(), "homo", {"batch_size": 128}),
        Case("CoRE MOF graphs, 4,096 atoms at most", coremof_store(), "lcd", {"max_atoms": 4096}),
    ]
    return [row for case in cases for row in (_in_memory(case), _streamed(case))]


def _in_memory(case: Case) -> Row:
    ours, theirs = case.from_memory(), case.peer()
    bandwidth, size = copy_gigabytes(), _bytes_per_graph(ours)
    return compare(
        case.name,
        "PyG DataLoader, one process",
        "graphs/s",
        len(case.rows),
        lambda: exhaust(ours),
        lambda: exhaust(theirs),
        limit=lambda rate: (
            f"{100 * rate * size / bandwidth / 1e9:.0f} % of a copy's bandwidth "
            f"({bandwidth:.1f} GB/s) goes into batches; what a batch costs whatever its size, and "
            "graphs that are not in the processor's caches, hold the rest"
        ),
    )


def _streamed(case: Case) -> Row:
    ours, theirs = case.from_disk(), case.peer()
    return compare(
        f"{case.name}, streamed from disk",
        "PyG DataLoader over graphs in memory, one process",
        "graphs/s",
        len(case.rows),
        lambda: exhaust(ours),
        lambda: exhaust(theirs),
        limit=lambda rate: "unpacking, on two threads, takes as long as gathering",
    )


def exhaust(batches: Iterable[object]) -> None:
    """Run through an epoch."""
    for _ in batches:
        pass


def _bytes_per_graph(loader: GraphLoader) -> float:
    """Return the bytes that a copy would read and write to make the tensors of a graph."""
    batch = next(iter(loader))
    tensors = [value for _, value in batch if isinstance(value, torch.Tensor)]
    return 2 * sum(tensor.nbytes for tensor in tensors) / batch.num_graphs

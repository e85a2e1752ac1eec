"""Batches of molecules from memory, and bytes on disk, against PyTorch Geometric."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.loader import DataLoader

from benchmarks.compare import Row, compare
from benchmarks.data import STORE, qm9_data, qm9_store
from benchmarks.machine import copy_gigabytes
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.graphs.stream import StreamLoader

BATCH = 128


def rows() -> list[Row]:
    """Return the rows on loading and storing."""
    return [_in_memory(), _streamed(), _bytes_on_disk()]


def _in_memory() -> Row:
    graphs = qm9_store().graphs.with_targets(["homo"])
    everything = torch.arange(len(qm9_data()))
    ours = GraphLoader(graphs, everything, BATCH, shuffle=True, seed=0)
    theirs = DataLoader(qm9_data(), BATCH, shuffle=True)
    bandwidth, size = copy_gigabytes(), _bytes_per_graph(ours)
    return compare(
        "QM9 graphs in batches of 128",
        "PyG DataLoader, one process",
        "graphs/s",
        len(everything),
        lambda: _exhaust(ours),
        lambda: _exhaust(theirs),
        limit=lambda rate: (
            f"{100 * rate * size / bandwidth / 1e9:.0f} % of a copy's bandwidth "
            f"({bandwidth:.1f} GB/s) goes into batches; operator calls hold the rest"
        ),
    )


def _streamed() -> Row:
    store = qm9_store()
    everything = torch.arange(len(store))
    ours = StreamLoader(store, everything, BATCH, shuffle=True, seed=0, targets=["homo"])
    theirs = DataLoader(qm9_data(), BATCH, shuffle=True)
    return compare(
        "QM9 graphs streamed from disk, shuffled",
        "PyG DataLoader over graphs in memory, one process",
        "graphs/s",
        len(everything),
        lambda: _exhaust(ours),
        lambda: _exhaust(theirs),
        limit=lambda rate: (
            "reading, in a thread of its own, and gathering take turns for the interpreter's lock"
        ),
    )


def _exhaust(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


def _bytes_per_graph(loader: GraphLoader) -> float:
    """Return the bytes that a copy would read and write to make the tensors of a graph."""
    batch = next(iter(loader))
    tensors = [batch.z, batch.pos, batch.edge_index, batch.batch, batch.ptr]
    return 2 * sum(tensor.nbytes for tensor in tensors) / BATCH


def _bytes_on_disk() -> Row:
    """Compare sizes: no clock is involved, so one round tells all."""
    graphs = len(qm9_data())
    ours = sum(path.stat().st_size for path in STORE.rglob("*") if path.is_file()) / graphs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "processed.pt"
        # The same content: both stores hold all sixteen targets.
        full = [_with_all_targets(row) for row in range(graphs)]
        InMemoryDataset.save(full, str(path))
        theirs = path.stat().st_size / graphs
    ratio = theirs / ours
    return Row(
        "QM9 graphs on disk, all targets",
        "PyG processed file, both edge directions",
        "bytes/graph",
        ours,
        theirs,
        ratio,
        (ratio, ratio),
        "positions and charges are noise to a compressor: they are most of what is left",
    )


def _with_all_targets(row: int) -> Data:
    graph, plain = qm9_store()[row], qm9_data()[row]
    return Data(z=plain.z, pos=plain.pos, edge_index=plain.edge_index, **graph.targets)

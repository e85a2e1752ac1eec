"""What a graph costs among a million of them, in memory and on disk, and among ten thousand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from benchmarks.compare import Row, compare
from benchmarks.data import MOLECULES, qm9_store
from benchmarks.large import write_large_store
from benchmarks.loading import exhaust
from molcryst_bench.graphs.flat import FlatGraphs, join_graphs
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.graphs.store import GraphStore, open_store
from molcryst_bench.graphs.stream import StreamLoader

FEW, MANY = 10_000, 1_000_000
BATCH, BATCHES = 128, 400  # in each round
ROUNDS = 21


def rows() -> list[Row]:
    """Return the rows on scale; a ratio of 1 means that a graph costs the same."""
    return [_in_memory(), _streamed()]


def _in_memory() -> Row:
    graphs = qm9_store().graphs.with_targets(["homo"])
    few = _endless(graphs.take(torch.arange(FEW)))
    many = _endless(repeated(graphs, MANY // MOLECULES))
    return compare(
        "QM9 graphs in batches of 128, a million in memory",
        "ourselves with ten thousand in memory",
        "graphs/s",
        BATCH * BATCHES,
        lambda: _take(many),
        lambda: _take(few),
        limit=lambda rate: (
            "the million is not in the processor's caches: half a kilobyte of a graph comes from "
            "memory at random, in nine lines or more"
        ),
        rounds=ROUNDS,
    )


def _streamed() -> Row:
    source = qm9_store()
    gigabytes = MANY * source.bytes_per_graph / 1e9
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="many-store.zarr-") as made:
        path = write_large_store(source, Path(made), gigabytes, lambda done, of: None)
        many, few = _stream(open_store(path), MANY), _stream(source, FEW)
        return compare(
            "QM9 graphs in batches of 128, a million on disk",
            "ourselves with ten thousand on disk",
            "graphs/s",
            MANY,
            lambda: exhaust(many),
            lambda: [exhaust(few) for _ in range(MANY // FEW)],
            limit=lambda rate: "blocks of graphs are shuffled in windows of one size",
        )


def _stream(store: GraphStore, graphs: int) -> StreamLoader:
    rows = torch.arange(graphs)
    return StreamLoader(store, rows, targets=["homo"], batch_size=BATCH, shuffle=True, seed=0)


def repeated(graphs: FlatGraphs, times: int) -> FlatGraphs:
    """Return graphs again and again, each copy in memory of its own as a store would have it.

    NumPy asks the system for large pages, torch does not; what is read from a store is NumPy's.
    """
    joined = join_graphs([graphs] * times)
    tensors = {
        field.name: torch.from_numpy(np.array(value.numpy()))
        for field in fields(joined)
        if isinstance(value := getattr(joined, field.name), Tensor)
    }
    return replace(joined, **tensors)


def _endless(graphs: FlatGraphs) -> Iterator[Batch]:
    """Yield batches of one shuffled epoch after the other."""
    loader = GraphLoader(graphs, torch.arange(len(graphs)), BATCH, shuffle=True, seed=0)
    while True:
        yield from loader


def _take(batches: Iterator[Batch]) -> None:
    for _ in islice(batches, BATCHES):
        pass

"""Batches by budget, shared between ranks, and streamed from a store block by block."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest
import torch
from torch_geometric.data import Batch

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs import stream
from molcryst_bench.graphs.batching import BatchLimit
from molcryst_bench.graphs.flat import FlatGraphs, join_graphs
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.graphs.stream import StreamLoader

ROWS = torch.arange(80)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch, tiny_store: GraphStore) -> None:
    """Blocks of 7 graphs, three of them at a time."""
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 7 * tiny_store.bytes_per_graph)
    monkeypatch.setattr(stream, "_BLOCKS_AT_ONCE", 3)


def same_graphs(one: Batch, other: Batch) -> bool:
    fields = ("z", "pos", "edge_index", "batch", "ptr")
    return all(torch.equal(one[name], other[name]) for name in fields) and all(
        torch.equal(values, other.targets[name]) for name, values in one.targets.items()
    )


def fingerprints(batches: Iterable[Batch]) -> list[float]:
    """Return a number of each graph that no other graph of the store has."""
    return [float(value) for batch in batches for value in batch.targets["u0"]]


def expected(store: GraphStore, rows: torch.Tensor) -> list[float]:
    return sorted(
        store.graphs.graph_targets[rows, store.graphs.graph_target_names.index("u0")].tolist()
    )


@pytest.mark.parametrize("limits", [{}, {"max_atoms": 60}, {"max_edges": 900, "batch_size": 5}])
def test_without_shuffling_a_stream_is_what_memory_gives(
    tiny_store: GraphStore, limits: dict[str, Any]
) -> None:
    options = {"subset": "train", "batch_size": 8, **limits}
    streamed = list(tiny_store.loader(stream=True, **options))
    loaded = list(tiny_store.loader(**options))
    assert len(streamed) == len(loaded) > 3
    assert all(same_graphs(one, other) for one, other in zip(streamed, loaded, strict=True))


@pytest.mark.parametrize("rows", [ROWS, ROWS[::3], ROWS[40:41], ROWS[[3, 70, 12, 33, 34]]])
def test_each_graph_comes_once_in_a_shuffled_epoch(
    tiny_store: GraphStore, rows: torch.Tensor
) -> None:
    loader = StreamLoader(tiny_store, rows, 4, shuffle=True, seed=1)
    batches = list(loader)
    assert sorted(fingerprints(batches)) == expected(tiny_store, rows)
    assert {batch.num_graphs for batch in batches[:-1]} <= {4}


def test_the_order_depends_on_seed_and_epoch_alone(tiny_store: GraphStore) -> None:
    def epochs(seed: int) -> list[list[float]]:
        loader = StreamLoader(tiny_store, ROWS, 8, shuffle=True, seed=seed)
        return [fingerprints(loader) for _ in range(2)]

    first = epochs(0)
    assert first == epochs(0)
    assert first[0] != first[1]
    assert epochs(1)[0] != first[0]
    assert first[0] != fingerprints(StreamLoader(tiny_store, ROWS, 8, shuffle=False, seed=0))


def test_epochs_of_one_loader_may_run_at_the_same_time(tiny_store: GraphStore) -> None:
    """Windows are read into the same memory again and again: of each epoch into its own."""
    expected = list(StreamLoader(tiny_store, ROWS, 4, shuffle=False, seed=0))
    loader = StreamLoader(tiny_store, ROWS, 4, shuffle=False, seed=0)
    next(iter(loader))  # an epoch that is left
    together = list(zip(loader, loader, expected, strict=True))
    assert all(same_graphs(batch, wanted) for *both, wanted in together for batch in both)


def test_only_a_bounded_part_is_in_memory(
    tiny_store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    read = FlatGraphs.from_store

    def remember(*arguments: Any) -> FlatGraphs:
        sizes.append(len(read(*arguments)))
        return read(*arguments)

    monkeypatch.setattr(FlatGraphs, "from_store", remember)
    list(StreamLoader(tiny_store, ROWS, 4, shuffle=True, seed=0))
    assert len(sizes) == 4
    assert max(sizes) <= 3 * 7


def test_only_the_wanted_targets_are_read(tiny_store: GraphStore) -> None:
    batch = next(iter(tiny_store.loader(stream=True, targets=["homo", "charge"])))
    assert set(batch.targets) == {"homo", "charge"}
    assert len(batch.targets["charge"]) == batch.num_nodes
    with pytest.raises(SettingsError, match="did you mean 'homo'"):
        list(tiny_store.loader(stream=True, targets=["hommo"]))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_share_an_epoch_without_overlap_or_loss(
    tiny_store: GraphStore, streamed: bool, ranks: int
) -> None:
    options: dict[str, Any] = {"batch_size": 4, "shuffle": True, "seed": 5, "stream": streamed}
    together = fingerprints(tiny_store.loader(**options))
    shares = [
        fingerprints(tiny_store.loader(**options, rank=rank, ranks=ranks)) for rank in range(ranks)
    ]
    assert sorted(chain(*shares)) == sorted(together)
    assert max(map(len, shares)) - min(map(len, shares)) <= 4


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("limit", [{"max_atoms": 40}, {"max_edges": 500}])
def test_budgets_are_kept_and_used(
    tiny_store: GraphStore, streamed: bool, limit: dict[str, int]
) -> None:
    options: dict[str, Any] = {"batch_size": None, "shuffle": True, "stream": streamed, **limit}
    batches = list(tiny_store.loader(**options))
    sizes = [batch.num_nodes if "max_atoms" in limit else batch.num_edges for batch in batches]
    (most,) = limit.values()
    assert max(sizes) <= most
    assert sum(sizes) / len(sizes) > 0.6 * most
    assert sorted(fingerprints(batches)) == expected(tiny_store, tiny_store.split().rows("train"))


def test_a_batch_takes_one_graph_more_only_if_it_fits() -> None:
    atoms = torch.tensor([5, 5, 5, 10, 1, 9, 1])
    batches = BatchLimit(atoms=10).cut(torch.arange(7), atoms, atoms)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2], [3], [4, 5], [6]]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_atoms": 10}, "does not fit into a batch of at most 10: raise max_atoms"),
        ({"max_edges": 0}, "max_edges is 0"),
        ({"batch_size": None}, "give a batch_size, max_atoms or max_edges"),
        ({"rank": 2, "ranks": 2}, "rank 2 of 2"),
        ({"rank": -1}, "rank -1 of 1"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_limits_that_cannot_be_kept_are_refused(
    tiny_store: GraphStore, options: dict[str, Any], word: str, streamed: bool
) -> None:
    with pytest.raises(SettingsError, match=word):
        list(tiny_store.loader(stream=streamed, **options))


def test_an_error_while_reading_reaches_the_reader(
    tiny_store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> FlatGraphs:
        raise OSError("the disk is gone")

    loader = iter(tiny_store.loader(stream=True, batch_size=4))
    next(loader)
    monkeypatch.setattr(FlatGraphs, "from_store", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        list(loader)


def test_taking_and_joining_undo_each_other(tiny_store: GraphStore) -> None:
    graphs = tiny_store.graphs
    parts = [graphs.take(torch.arange(0, 30)), graphs.take(torch.arange(30, 80))]
    assert same_graphs(join_graphs(parts).select(ROWS), graphs.select(ROWS))

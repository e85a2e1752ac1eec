from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.graphs.loader import GraphLoader
from molcryst_bench.graphs.store import GraphStore


def collated(store: GraphStore, rows: list[int]) -> Batch:
    """Collate graphs as PyG does it, one Data after the other."""
    graphs = [store[row] for row in rows]
    plain = [Data(z=g.z, pos=g.pos, edge_index=g.edge_index, targets=g.targets) for g in graphs]
    return Batch.from_data_list(plain)


def rows_of(store: GraphStore, loader: GraphLoader) -> list[int]:
    """Tell from a target that is unique to each molecule which rows one epoch has."""
    all_values = store.read("targets/r2").tolist()
    assert len(set(all_values)) == len(all_values)
    return [all_values.index(value) for batch in loader for value in batch.targets["r2"].tolist()]


def plain(store: GraphStore, row: int) -> Data:
    """Make one graph from the arrays of the store, pair by pair."""
    first_node, end_node = store.read("graphs/node_offset")[row : row + 2]
    first_pair, end_pair = store.read("graphs/edge_offset")[row : row + 2]
    ends = (store.read(f"edges/{end}", first_pair, end_pair) for end in ("sender", "receiver"))
    edges = [edge for i, j in zip(*ends, strict=True) for edge in ((i, j), (j, i))]
    return Data(
        z=torch.tensor(store.read("nodes/atomic_number", first_node, end_node), dtype=torch.int64),
        pos=torch.from_numpy(store.read("nodes/position", first_node, end_node)),
        edge_index=torch.tensor(np.array(edges, np.int64).reshape(-1, 2).T),
    )


@pytest.mark.parametrize("rows", [[0], [79], [3, 1, 79], [5, 5], list(range(80))])
def test_a_batch_is_what_the_arrays_of_the_store_say(
    tiny_store: GraphStore, rows: list[int]
) -> None:
    batch = tiny_store.graphs.select(rows)
    expected = Batch.from_data_list([plain(tiny_store, row) for row in rows])
    for name in ("z", "pos", "edge_index", "batch", "ptr"):
        assert torch.equal(batch[name], expected[name]), name
    assert batch.pos.is_contiguous()


@pytest.mark.parametrize("rows", [[0], [3, 1, 79], [5, 5], list(range(80))])
def test_a_batch_is_what_pyg_collates_from_its_graphs(
    tiny_store: GraphStore, rows: list[int]
) -> None:
    batch, expected = tiny_store.graphs.select(rows), collated(tiny_store, rows)
    for name in ("z", "pos", "edge_index", "batch", "ptr"):
        assert torch.equal(batch[name], expected[name]), name
        assert batch[name].dtype == expected[name].dtype, name
    assert batch.targets.keys() == expected.targets.keys() == tiny_store.targets.keys()
    for name, values in batch.targets.items():
        assert torch.equal(values, expected.targets[name]), name
        assert values.dtype == torch.float64
    assert batch.num_graphs == expected.num_graphs == len(rows)
    assert batch.num_nodes == expected.num_nodes
    assert batch.num_edges == expected.num_edges


def test_batches_of_the_loader_are_what_pyg_collates(tiny_store: GraphStore) -> None:
    rows = tiny_store.split().rows("train").tolist()
    batches = list(tiny_store.loader(batch_size=16))
    assert [batch.num_graphs for batch in batches] == [16, 16, 16, 2]
    for number, batch in enumerate(batches):
        expected = collated(tiny_store, rows[16 * number : 16 * (number + 1)])
        assert torch.equal(batch.edge_index, expected.edge_index)
        assert torch.equal(batch.pos, expected.pos)


def test_a_batch_can_be_taken_apart_again(tiny_store: GraphStore) -> None:
    rows = [7, 30, 2, 64]
    batch = tiny_store.graphs.select(rows)
    for row, graph in zip(rows, batch.to_data_list(), strict=True):
        expected = tiny_store[row]
        for name in ("z", "pos", "edge_index"):
            assert torch.equal(graph[name], expected[name]), name
        for name, values in expected.targets.items():
            assert torch.equal(graph.targets[name], values), name
    assert torch.equal(batch[2].edge_index, tiny_store[2].edge_index)
    again = Batch.from_data_list(batch.to_data_list())
    assert torch.equal(again.edge_index, batch.edge_index)
    assert torch.equal(again.batch, batch.batch)


def test_a_batch_can_be_cloned_converted_and_sent(tiny_store: GraphStore) -> None:
    batch = tiny_store.graphs.select([1, 2, 3])
    clone = batch.clone()
    clone.pos += 1.0
    assert not torch.equal(clone.pos, batch.pos)
    assert torch.equal(tiny_store[1].pos, batch[0].pos), "batches do not share the store's memory"
    assert batch.to("cpu").targets["u0"].dtype == torch.float64
    sent = pickle.loads(pickle.dumps(batch))
    assert torch.equal(sent[2].edge_index, batch[2].edge_index)


def test_changing_one_batch_does_not_change_the_next(tiny_store: GraphStore) -> None:
    batch = tiny_store.graphs.select([4, 5])
    batch.pos.zero_()
    batch.z.zero_()
    batch.extra = 1
    fresh = tiny_store.graphs.select([4, 5])
    assert fresh.pos.any()
    assert fresh.z.all()
    assert "extra" not in fresh


def test_both_directions_of_a_pair_stand_side_by_side(tiny_store: GraphStore) -> None:
    batch = tiny_store.graphs.select(range(20))
    assert torch.equal(batch.edge_index[:, 0::2], batch.edge_index[:, 1::2].flip(0))
    assert len({tuple(edge) for edge in batch.edge_index.T.tolist()}) == batch.num_edges
    assert batch.symmetric


def test_without_shuffling_the_order_is_that_of_the_store(tiny_store: GraphStore) -> None:
    for subset in ("train", "valid", "test"):
        loader = tiny_store.loader(subset=subset, batch_size=8)
        assert rows_of(tiny_store, loader) == tiny_store.split().rows(subset).tolist()
        assert rows_of(tiny_store, loader) == tiny_store.split().rows(subset).tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
def test_each_graph_comes_once_in_an_epoch(tiny_store: GraphStore, batch_size: int) -> None:
    loader = tiny_store.loader(batch_size=batch_size, shuffle=True, seed=1)
    expected = tiny_store.split().rows("train").tolist()
    batches = list(loader)
    assert len(batches) == len(loader) == -(-50 // batch_size)
    sizes = [batch.num_graphs for batch in batches]
    assert all(size == batch_size for size in sizes[:-1])
    assert sum(sizes) == 50
    assert sorted(rows_of(tiny_store, loader)) == expected


def test_the_order_depends_on_seed_and_epoch_alone(tiny_store: GraphStore) -> None:
    def orders(seed: int, batch_size: int) -> list[list[int]]:
        loader = tiny_store.loader(batch_size=batch_size, shuffle=True, seed=seed)
        return [rows_of(tiny_store, loader) for _ in range(4)]

    torch.manual_seed(1)
    first = orders(0, batch_size=16)
    torch.manual_seed(2)
    assert orders(0, batch_size=16) == first
    assert orders(0, batch_size=5) == first
    several = [*first, *orders(1, batch_size=16), *orders(2, batch_size=16)]
    assert len({tuple(order) for order in several}) == len(several)
    assert first[0] != tiny_store.split().rows("train").tolist()


def test_an_epoch_can_be_gone_back_to(tiny_store: GraphStore) -> None:
    """What a resumed run does: start at the epoch where the killed one was."""
    loader = tiny_store.loader(batch_size=16, shuffle=True, seed=3)
    orders = [rows_of(tiny_store, loader) for _ in range(3)]
    resumed = tiny_store.loader(batch_size=16, shuffle=True, seed=3)
    resumed.epoch = 2
    assert rows_of(tiny_store, resumed) == orders[2]


def test_two_passes_at_once_do_not_disturb_each_other(tiny_store: GraphStore) -> None:
    loader = tiny_store.loader(batch_size=10, shuffle=True, seed=0)
    expected = [rows_of(tiny_store, loader), rows_of(tiny_store, loader)]
    loader.epoch = 0
    values = tiny_store.read("targets/r2").tolist()
    found: list[list[int]] = [[], []]
    for pair in zip(loader, loader, strict=True):
        for order, batch in zip(found, pair, strict=True):
            order += [values.index(value) for value in batch.targets["r2"].tolist()]
    assert found == expected


def test_only_the_targets_asked_for_are_loaded(tiny_store: GraphStore) -> None:
    names = ["zpve", "charge", "homo"]
    batch = next(iter(tiny_store.loader(batch_size=4, targets=names)))
    rows = tiny_store.split().rows("train")[:4].numpy()
    assert set(batch.targets) == set(names)
    for name in ("zpve", "homo"):
        assert batch.targets[name].tolist() == tiny_store.read(f"targets/{name}")[rows].tolist()
    assert len(batch.targets["charge"]) == batch.num_nodes
    assert next(iter(tiny_store.loader(targets=[]))).targets == {}


@pytest.mark.parametrize(("wrong", "meant"), [("hommo", "homo"), ("charges", "charge")])
def test_an_unknown_target_is_answered_with_the_nearest(
    tiny_store: GraphStore, wrong: str, meant: str
) -> None:
    with pytest.raises(SettingsError, match=f"unknown target '{wrong}'; did you mean '{meant}'"):
        tiny_store.loader(targets=["u0", wrong])


@pytest.mark.parametrize("batch_size", [0, -3])
def test_an_impossible_batch_size_is_refused(tiny_store: GraphStore, batch_size: int) -> None:
    with pytest.raises(SettingsError, match="batch_size"):
        tiny_store.loader(batch_size=batch_size)


def test_node_ranges_in_a_batch_follow_each_other(tiny_store: GraphStore) -> None:
    batch = tiny_store.graphs.select([9, 8, 7])
    sizes = [len(tiny_store[row].z) for row in (9, 8, 7)]
    assert [b - a for a, b in pairwise(batch.ptr.tolist())] == sizes
    graph_of_edge = batch.batch[batch.edge_index]
    assert torch.equal(graph_of_edge[0], graph_of_edge[1]), "an edge leaves its graph"

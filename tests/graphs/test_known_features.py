"""Known properties of each graph, such as the pores of a framework, on their way into batches."""

from __future__ import annotations

from pathlib import Path

import handmade
import mofs
import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from molcryst_bench.graphs.flat import join_graphs
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.graphs.stream import StreamLoader
from molcryst_bench.sources.hmof_sample import HmofSample


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GraphStore:
    """Four frameworks; the first has no known largest cavity."""
    monkeypatch.chdir(mofs.make_project(tmp_path / "project"))
    path = handmade.write_zip(tmp_path / "s.zip", mofs.changed_label("lcd", ""))
    return mofs.build(HmofSample((handmade.raw_file(path),)), path)


def columns(store: GraphStore, rows: list[int]) -> torch.Tensor:
    """Return what the store holds, one column after the other."""
    values = [store.read(f"features/{name}")[rows] for name in store.graphs.feature_names]
    return torch.from_numpy(np.stack(values, axis=1))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.allclose(one, other, 0, 0, equal_nan=True)


def test_a_batch_has_the_features_of_its_graphs(store: GraphStore) -> None:
    batch = store.graphs.select([2, 0, 2])
    assert store.graphs.feature_names == tuple(store.features)
    assert same(batch.features, columns(store, [2, 0, 2]))
    assert batch.features[:, 0].isnan().tolist() == [False, True, False]
    assert batch.features.dtype == torch.float64


def test_features_can_be_taken_apart_and_collated_again(store: GraphStore) -> None:
    batch = store.graphs.select([3, 1, 0])
    parts = batch.to_data_list()
    for row, graph in zip([3, 1, 0], parts, strict=True):
        assert same(graph.features, columns(store, [row]))
        assert same(store[row].features, columns(store, [row]))
    assert same(batch[1].features, columns(store, [1]))
    assert same(Batch.from_data_list(parts).features, batch.features)


def test_features_stay_whatever_the_targets(store: GraphStore) -> None:
    graphs = store.graphs.with_targets(["co2_2.5bar"])
    assert same(graphs.select([1]).features, columns(store, [1]))
    taken = graphs.take(torch.tensor([3, 2]))
    joined = join_graphs([taken, graphs.take(torch.tensor([0]))])
    assert same(joined.select(range(3)).features, columns(store, [3, 2, 0]))


def test_a_stream_carries_features(store: GraphStore) -> None:
    rows = torch.tensor([0, 1, 3])
    (batch,) = StreamLoader(store, rows, 8, shuffle=False, seed=0, targets=["co2_0.5bar"])
    assert same(batch.features, columns(store, [0, 1, 3]))


def test_a_dataset_without_features_has_none_in_its_batches(tiny_store: GraphStore) -> None:
    assert "features" not in tiny_store.graphs.select([0, 1])
    assert tiny_store.graphs.feature_names == ()

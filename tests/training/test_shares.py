"""The shares of all ranks are the batches of one, and weigh as much."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from torch import Tensor

from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.training.data import TaskData
from molcryst_bench.training.shares import ALONE, Place
from molcryst_bench.training.task import load_task

BATCH = 7  # of 50 graphs: in the last one there is one


@pytest.fixture
def data(tiny_store: GraphStore) -> TaskData:
    data = TaskData.load(load_task("qm9/zpve"), tiny_store)
    data.graphs.graph_targets[:, 0] = torch.arange(len(data.graphs))  # so that all are different
    return data


def seen(data: TaskData, place: Place, epoch: int) -> list[list[float]]:
    """Return the rows of each batch that count."""
    batches = data.training_batches(BATCH, seed=3, place=place)
    batches.epoch = epoch
    return [b.targets["zpve"].tolist() if b.share.of_graphs else [] for b in batches]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("epoch", [0, 5])
def test_ranks_see_every_graph_once_in_the_batches_of_one(
    data: TaskData, ranks: int, epoch: int
) -> None:
    whole = seen(data, ALONE, epoch)
    shares = [seen(data, Place(rank, ranks), epoch) for rank in range(ranks)]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert sorted(batch) == sorted(chain(*parts))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    everything = [row for share in shares for part in share for row in part]
    assert sorted(everything) == data.split.rows("train").tolist()
    assert len(whole[-1]) == 1, "some ranks should have none of the last batch in this test"


def test_validation_counts_every_graph_once(data: TaskData) -> None:
    found = []
    for rank in range(4):
        for batch in data.validation_batches(Place(rank, 4)):
            found += batch.targets["zpve"].tolist()
    assert sorted(found) == data.split.rows("valid").tolist()


def test_the_weighed_means_of_shares_have_the_mean_of_the_batch(data: TaskData) -> None:
    loaders = [data.training_batches(BATCH, seed=0, place=Place(rank, 3)) for rank in range(3)]
    for whole, *shares in zip(data.training_batches(BATCH, seed=0), *loaders, strict=True):
        assert whole.share == (1.0, 1.0)
        of_graphs = [s.share.of_graphs * s.targets["zpve"].mean().item() for s in shares]
        assert sum(of_graphs) / 3 == pytest.approx(whole.targets["zpve"].mean().item())
        of_atoms = [s.share.of_atoms * mean_over_atoms(s.pos) for s in shares]
        assert sum(of_atoms) / 3 == pytest.approx(mean_over_atoms(whole.pos), abs=1e-6)


def mean_over_atoms(values: Tensor) -> float:
    return values.double().mean().item()


def test_a_share_moves_with_its_batch_to_another_device(data: TaskData) -> None:
    batch = next(iter(data.training_batches(BATCH, seed=0, place=Place(1, 2)))).to("meta")
    tensors = [value for value in batch.to_dict().values() if isinstance(value, Tensor)]
    tensors += batch.targets.values()
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert isinstance(batch.share.of_graphs, float)

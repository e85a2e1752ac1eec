"""Rows of a subset found block by block are those of the whole split, or are not found at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs import split_rows
from molcryst_bench.graphs.split import SUBSETS, Split, save_split
from molcryst_bench.graphs.split_rows import rows_in_blocks
from molcryst_bench.graphs.store import GraphStore


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_rows, "_BLOCK", 7)


def rows(store: GraphStore, name: str, subset: str) -> torch.Tensor | None:
    return rows_in_blocks(store.splits, name, store, subset)


def path_of(name: str) -> Path:
    return Path("datasets", "qm9", "splits", f"{name}.parquet")


@pytest.mark.parametrize("subset", SUBSETS)
def test_the_rows_are_those_of_the_split(tiny_store: GraphStore, subset: str) -> None:
    found = rows(tiny_store, "random", subset)
    assert found is not None
    assert torch.equal(found, tiny_store.split("random").rows(subset))


def test_unused_records_are_in_no_subset(tiny_store: GraphStore) -> None:
    generator = np.random.default_rng(0)
    subset = generator.integers(-1, 3, len(tiny_store)).astype(np.int8)
    split = Split("sparse", tiny_store.ids, subset, tiny_store.population_digest())
    save_split(split, path_of("sparse"))
    for number, name in enumerate(SUBSETS):
        found = rows(tiny_store, "sparse", name)
        assert found is not None
        assert found.tolist() == np.flatnonzero(subset == number).tolist()


def rewrite(table: pa.Table, name: str) -> None:
    pq.write_table(table, path_of(name))


def test_what_does_not_fit_is_left_to_the_reader_of_whole_splits(tiny_store: GraphStore) -> None:
    table = pq.read_table(path_of("random"))
    turned = table.take(list(reversed(range(len(table)))))
    names = table["subset"].to_pylist()
    swapped = pa.table({"id": table["id"], "subset": pa.array(names[1:] + names[:1])})
    for number, other in enumerate(
        [turned, table.slice(3), swapped.replace_schema_metadata(table.schema.metadata)]
    ):
        rewrite(other, f"other{number}")
        assert rows(tiny_store, f"other{number}", "train") is None
    path_of("text").write_text("not a table")
    assert rows(tiny_store, "text", "train") is None
    with pytest.raises(StoreError, match=r"other2\.parquet was changed since it was made"):
        tiny_store.loader(split="other2", stream=True)


def test_a_stream_reads_a_split_of_another_order_all_the_same(tiny_store: GraphStore) -> None:
    table = pq.read_table(path_of("random"))
    rewrite(table.take(list(reversed(range(len(table))))), "turned")
    streams = [tiny_store.loader(split=name, stream=True) for name in ("random", "turned")]
    one, other = (torch.cat([batch.pos for batch in stream]) for stream in streams)
    assert torch.equal(one, other)

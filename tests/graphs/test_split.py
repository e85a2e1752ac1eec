from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molcryst_bench.base.errors import SettingsError, StoreError
from molcryst_bench.graphs.build import DatasetSettings, Sample
from molcryst_bench.graphs.draw import random_split
from molcryst_bench.graphs.split import SUBSETS, Split, load_split, save_split
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.sources.record import Dataset
from molcryst_bench.sources.registry import get_source

IDS = [f"dsgdb9nsd_{index:06d}" for index in range(1, 1001)]
# The first molecules of the three subsets, as NumPy's RandomState(42).permutation(1000) has them.
FIRST = {"train": 522, "valid": 557, "test": 816}


@pytest.fixture
def split() -> Split:
    return random_split(IDS, (800, 100), seed=42)


@pytest.fixture
def path(tmp_path: Path, split: Split) -> Path:
    save_split(split, tmp_path / "random.parquet")
    return tmp_path / "random.parquet"


def test_sizes_are_those_asked_for_and_subsets_are_disjoint(split: Split) -> None:
    rows = {subset: split.rows(subset).tolist() for subset in SUBSETS}
    assert {subset: len(found) for subset, found in rows.items()} == {
        "train": 800,
        "valid": 100,
        "test": 100,
    }
    assert sorted([*rows["train"], *rows["valid"], *rows["test"]]) == list(range(1000))


def test_the_split_is_the_one_of_the_literature(split: Split) -> None:
    """Pinned: published splits are NumPy's legacy permutation of the sorted molecules."""
    subset_of = dict(zip(split.ids, split.subset, strict=True))
    for subset, molecule in FIRST.items():
        assert SUBSETS[subset_of[f"dsgdb9nsd_{molecule:06d}"]] == subset
    assert split.digest.startswith("49cfa9e118b5b7e8")


def test_the_split_depends_on_ids_and_seed_but_not_on_the_order_of_ids(split: Split) -> None:
    shuffled = np.random.default_rng(0).permutation(IDS).tolist()
    assert random_split(shuffled, (800, 100), seed=42).digest == split.digest
    assert random_split(IDS, (800, 100), seed=43).digest != split.digest
    assert random_split(IDS[:-1], (800, 100), seed=42).digest != split.digest


def test_the_digest_sees_one_record_moved_to_another_subset(split: Split) -> None:
    subset = split.subset.copy()
    subset[500] = (subset[500] + 1) % 3
    assert replace(split, subset=subset).digest != split.digest
    order = np.random.default_rng(1).permutation(len(IDS))
    reordered = replace(split, ids=split.ids[order], subset=split.subset[order])
    assert reordered.digest == split.digest


def test_a_saved_split_comes_back_as_it_was(split: Split, path: Path) -> None:
    loaded = load_split(path)
    assert loaded.digest == split.digest
    assert loaded.population_digest == split.population_digest
    assert path.stat().st_size < 4000


def test_the_same_split_is_saved_in_the_same_bytes(split: Split, path: Path) -> None:
    before = path.read_bytes()
    save_split(random_split(IDS[::-1], (800, 100), seed=42), path)
    assert path.read_bytes() == before


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def drop_row(table: pa.Table) -> pa.Table:
    return table.slice(1)


def repeat_row(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


def rename_row(table: pa.Table) -> pa.Table:
    ids = table["id"].to_pylist()
    return table.set_column(0, "id", [["dsgdb9nsd_999999", *ids[1:]]])


def move_row(table: pa.Table) -> pa.Table:
    subsets = table["subset"].to_pylist()
    subsets[subsets.index("test")] = "train"
    return table.set_column(1, "subset", [subsets])


def unknown_subset(table: pa.Table) -> pa.Table:
    return table.set_column(1, "subset", [["holdout"] * table.num_rows])


def without_subset(table: pa.Table) -> pa.Table:
    return table.drop_columns(["subset"])


def without_digest(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata({})


@pytest.mark.parametrize(
    "change",
    [drop_row, repeat_row, rename_row, move_row, unknown_subset, without_subset, without_digest],
)
def test_a_tampered_file_is_refused_by_name(
    path: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    rewrite(path, change)
    with pytest.raises(StoreError, match=r"random\.parquet"):
        load_split(path)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused_by_name(path: Path, fraction: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(StoreError, match=r"random\.parquet"):
        load_split(path)


def test_a_file_with_any_wrong_byte_is_refused_or_the_same(path: Path, split: Split) -> None:
    content = path.read_bytes()
    outcomes = Counter[str]()
    for position in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            loaded = load_split(path)
        except StoreError:
            outcomes["refused"] += 1
        else:
            assert loaded.digest == split.digest, f"byte {position}"
            outcomes["harmless"] += 1
    assert outcomes["refused"] > outcomes["harmless"]


def test_an_unknown_split_is_answered_with_the_nearest(tiny_store: GraphStore) -> None:
    with pytest.raises(SettingsError, match="unknown split 'randon'; did you mean 'random'"):
        tiny_store.split("randon")


def test_an_unknown_subset_is_answered_with_the_nearest(tiny_store: GraphStore) -> None:
    with pytest.raises(SettingsError, match="unknown subset 'validation'; did you mean 'valid'"):
        tiny_store.split().rows("validation")


def test_a_split_of_other_records_is_refused(tiny_store: GraphStore, project: Path) -> None:
    path = project / "datasets" / "qm9" / "splits" / "random.parquet"
    save_split(random_split(tiny_store.ids.tolist()[:-1], (50, 15), seed=42), path)
    with pytest.raises(StoreError, match="made for other records"):
        tiny_store.split()


def test_rows_of_a_split_are_rows_of_the_store(tiny_store: GraphStore, project: Path) -> None:
    file = load_split(project / "datasets" / "qm9" / "splits" / "random.parquet")
    for subset, size in (("train", 50), ("valid", 15), ("test", 15)):
        ids = {i for i, s in zip(file.ids, file.subset, strict=True) if SUBSETS[s] == subset}
        rows = tiny_store.split().rows(subset)
        assert len(rows) == size
        assert set(tiny_store.ids[rows.numpy()]) == ids


def test_a_sample_has_the_same_records_in_each_subset_as_the_whole(
    tiny_dataset: Dataset,
    build: Callable[..., GraphStore],
    tiny_store: GraphStore,
    project: Path,
) -> None:
    folder = project / "datasets" / "qm9"
    settings = DatasetSettings(sample=Sample(size=30, seed=5))
    sample = build(
        get_source(tiny_dataset, "wheel"), folder / "raw", folder / "sample.zarr", settings
    )
    total = 0
    for subset in SUBSETS:
        whole = set(tiny_store.ids[tiny_store.split().rows(subset).numpy()])
        part = sample.ids[sample.split().rows(subset).numpy()]
        assert set(part) == whole & set(sample.ids)
        total += len(part)
    assert total == 30

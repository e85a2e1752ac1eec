"""Splits drawn from recipes: published ones, and blocks of trajectories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from molcryst_bench.base.errors import StoreError
from molcryst_bench.graphs.draw import draw_split
from molcryst_bench.graphs.split import SUBSETS, Split, group_of, load_split, save_split
from molcryst_bench.sources.card import PublishedSplit, TimeBlockSplit

TIMES = {"water": range(0, 4000, 10), "ethanol": [3, 5, 9, 700, 701, 702, 1400, 1500, 2000, 2001]}
IDS = [f"{group}/{time:06d}" for group, times in TIMES.items() for time in times]
BLOCKS = TimeBlockSplit(method="time_block", train=0.5, valid=0.2, gap=50, description="")


def frames(split: Split, subset: str, group: str) -> list[int]:
    ids = split.ids[split.rows(subset).numpy()].tolist()
    return [int(i.rpartition("/")[2]) for i in ids if group_of(i) == group]


def test_time_blocks_follow_each_other_with_a_gap_in_each_trajectory() -> None:
    split = draw_split("blocks", BLOCKS, IDS[::-1], {})
    for group, times in TIMES.items():
        train, valid, test = (frames(split, subset, group) for subset in SUBSETS)
        assert valid[0] - train[-1] >= 50
        assert test[0] - valid[-1] >= 50
        assert train == sorted(train)
        assert set(train) | set(valid) | set(test) <= set(times)
    assert len(frames(split, "train", "water")) == 200 - 4  # the frames 1960 to 1990 are too close
    assert frames(split, "test", "water")[-1] == 3990


def test_published_subsets_are_kept_and_validation_comes_from_training() -> None:
    published = dict.fromkeys(IDS[:100], "train") | dict.fromkeys(IDS[200:], "test")
    recipe = PublishedSplit(method="published", valid=5, seed=1, description="")
    split = draw_split("01", recipe, IDS, published)
    subsets = dict(zip(split.ids.tolist(), split.subset.tolist(), strict=True))
    assert [subsets[record] for record in IDS[100:200]] == [-1] * 100
    assert all(subsets[record] == SUBSETS.index("test") for record in IDS[200:])
    assert sum(subsets[record] == SUBSETS.index("valid") for record in IDS[:100]) == 5
    again = draw_split("01", recipe, IDS[::-1], published)
    assert again.digest == split.digest
    other = recipe.model_copy(update={"seed": 2})
    assert draw_split("01", other, IDS, published).digest != split.digest


def test_each_group_gives_its_own_validation_records() -> None:
    recipe = PublishedSplit(method="published", valid=4, description="")
    split = draw_split("01", recipe, IDS, dict.fromkeys(IDS, "train"))
    assert [len(frames(split, "valid", group)) for group in TIMES] == [4, 4]


def test_too_few_published_records_are_refused() -> None:
    recipe = PublishedSplit(method="published", valid=10, description="")
    with pytest.raises(StoreError, match="ethanol: 10 published training records"):
        draw_split("01", recipe, IDS, dict.fromkeys(IDS, "train"))


def test_a_published_split_that_the_raw_files_do_not_tell_is_not_made_up() -> None:
    recipe = PublishedSplit(method="published", description="")
    with pytest.raises(StoreError, match=r"split '01' is a published one.*another --source"):
        draw_split("01", recipe, IDS, {})


def test_unused_records_come_back_from_the_file(tmp_path: Path) -> None:
    split = draw_split("blocks", BLOCKS, IDS, {})
    save_split(split, tmp_path / "blocks.parquet")
    loaded = load_split(tmp_path / "blocks.parquet")
    assert loaded.digest == split.digest
    assert np.array_equal(loaded.subset, split.subset[np.argsort(split.ids)])
    assert (loaded.subset == -1).any()

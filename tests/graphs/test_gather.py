"""Gathering rows, whatever they hold, against plain indexing."""

from __future__ import annotations

import pytest
import torch

from molcryst_bench.graphs import gather
from molcryst_bench.graphs.gather import Ranges, edge_index, take_rows

DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float64], ids=str)
@pytest.mark.parametrize("row", [(), (1,), (2,), (3,), (4,), (8,), (2, 2)], ids=str)
def test_rows_are_those_of_plain_indexing(dtype: torch.dtype, row: tuple[int, ...]) -> None:
    array = torch.randint(0, 100, (50, *row), generator=torch.Generator().manual_seed(0)).to(dtype)
    for rows in (torch.tensor([49, 0, 7, 7]), torch.tensor([], dtype=torch.int64)):
        taken = take_rows(array, rows)
        assert torch.equal(taken, array[rows])
        assert taken.dtype == dtype
        assert taken.is_contiguous()
    assert take_rows(array[:0], rows).shape == (0, *row)


def test_ranges_follow_each_other_in_a_batch() -> None:
    array = torch.arange(40).view(20, 2)
    ranges = Ranges.of(start=torch.tensor([18, 3, 5, 0]), count=torch.tensor([2, 1, 0, 3]))
    assert ranges.rows.tolist() == [18, 19, 3, 0, 1, 2]
    assert ranges.take(array)[:, 0].tolist() == [36, 38, 6, 0, 2, 4]
    assert ranges.graph.tolist() == [0, 0, 1, 3, 3, 3]
    assert ranges.ptr.tolist() == [0, 2, 3, 3, 6]


def test_no_range_may_reach_into_an_empty_array() -> None:
    ranges = Ranges.of(start=torch.tensor([0, 0]), count=torch.tensor([0, 0]))
    assert ranges.take(torch.empty(0, 2)).tolist() == []


def test_long_ranges_are_those_of_plain_indexing() -> None:
    array, start = torch.arange(9000).view(3000, 3), torch.tensor([900, 2999, 3000, 0])
    count = torch.tensor([2100, 1, 0, 1000])
    ranges = Ranges.of(start, count)
    assert torch.equal(ranges.take(array), array[ranges.rows])
    assert len(ranges.rows) > 4 * gather._LONG, "the whole ranges are copied"


def test_pairs_get_the_numbers_that_their_nodes_have_in_the_batch() -> None:
    ends, first = torch.tensor([[0, 2], [1, 0]], dtype=torch.uint8), torch.tensor([10, 250])
    assert edge_index(ends, first, both=False).tolist() == [[10, 251], [12, 250]]
    assert edge_index(ends, first, both=True).tolist() == [[10, 12, 251, 250], [12, 10, 250, 251]]

"""The compiled loops of the loader, each against plain indexing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from molcryst_bench.graphs import gather
from molcryst_bench.graphs.batching import BatchLimit

START, PTR = np.array([18, 3, 5, 0]), np.array([0, 2, 3, 3, 6])
ROWS = [18, 19, 3, 0, 1, 2]  # these ranges, one row after the other
NOWHERE = np.zeros(0, np.int64), np.zeros(1, np.int64)


@pytest.mark.parametrize("rows", [[2, 0, 2], [1], [], [3, 2, 1, 0]])
def test_ranges_follow_each_other_in_a_batch(rows: list[int]) -> None:
    offset = np.array([[0, 0], [3, 10], [3, 12], [8, 12], [9, 40]])
    start, ptr = np.empty((2, len(rows)), np.int64), np.empty((2, len(rows) + 1), np.int64)
    gather.find_ranges(offset, np.array(rows, np.int64), start, ptr)
    assert (start == offset[:-1][rows].T).all()
    counts = np.diff(offset, axis=0)[rows]  # (graphs, kinds)
    assert (ptr == np.concatenate([np.zeros((1, 2)), counts.cumsum(0)]).T).all()


@pytest.mark.parametrize("row", [-1, 4, 1000])
def test_a_graph_that_is_not_there_is_refused(row: int) -> None:
    offset = np.zeros((5, 2), np.int64)
    with pytest.raises(IndexError, match="no graph of this number"):
        gather.find_ranges(offset, np.array([0, row]), *np.empty((2, 2, 3), np.int64))


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(
    ("source", "target"),
    [("u1", "i8"), ("i1", "f4"), ("f4", "f4"), ("f8", "f8"), ("u2", "u2"), ("u4", "u4")],
)
def test_copied_ranges_are_those_of_plain_indexing(source: str, target: str, width: int) -> None:
    array = np.random.default_rng(0).integers(0, 120, (20, width)).astype(source)
    if source in ("i1", "f4", "f8"):
        array = -array
    copied = np.empty((len(ROWS), width), target)
    gather.copy_ranges(array.reshape(-1), width, START, PTR, copied.reshape(-1))
    assert (copied == array[ROWS].astype(target)).all()
    gather.copy_ranges(array[:0].reshape(-1), width, *NOWHERE, copied[:0].reshape(-1))


def test_opposites_follow_their_vectors() -> None:
    vectors = np.random.default_rng(0).integers(-3, 4, (20, 3)).astype(np.int8)
    copied = np.empty((2 * len(ROWS), 3), np.float32)
    gather.copy_with_opposites(vectors.reshape(-1), START, PTR, copied.reshape(-1))
    assert (copied == np.stack([vectors[ROWS], -vectors[ROWS]], axis=1).reshape(-1, 3)).all()


def test_rows_are_numbered_by_their_range() -> None:
    numbers = np.empty(6, np.int64)
    gather.number_ranges(PTR, numbers)
    assert (numbers == np.repeat(np.arange(4), np.diff(PTR))).all()


@pytest.mark.parametrize("symmetric", [False, True])
def test_structures_are_atoms_with_their_graph_and_edges(symmetric: bool) -> None:
    generator = np.random.default_rng(0)
    position = generator.normal(size=(20, 3)).astype(np.float32)
    atomic_number = generator.integers(1, 100, 20).astype(np.uint8)
    sender, receiver = generator.integers(0, 3, (2, 20)).astype(np.uint8)
    start, ptr = np.stack([START, START[::-1]]), np.stack([PTR, [0, 3, 4, 6, 7]])
    edges = np.concatenate(
        [np.arange(s, s + n) for s, n in zip(start[1], np.diff(ptr[1]), strict=True)]
    )
    pos, z, graph = np.empty((6, 3), np.float32), *np.empty((2, 6), np.int64)
    index = np.empty((2, 7 * (1 + symmetric)), np.int64)
    flat = (position.reshape(-1), atomic_number, sender, receiver)
    gather.write_structures(*flat, symmetric, start, ptr, pos.reshape(-1), z, graph, index)
    assert (pos == position[ROWS]).all()
    assert (z == atomic_number[ROWS]).all()
    assert (graph == np.repeat(np.arange(4), np.diff(PTR))).all()
    expected = np.stack([sender, receiver])[:, edges] + np.repeat(PTR[:-1], np.diff(ptr[1]))
    every = slice(None, None, 1 + symmetric)
    assert (index[:, every] == expected).all()
    assert not symmetric or (index[:, 1::2] == expected[::-1]).all()


@pytest.mark.parametrize("symmetric", [False, True])
def test_lattices_are_cells_and_shifts(symmetric: bool) -> None:
    generator = np.random.default_rng(0)
    cell = generator.normal(size=(9, 3, 3)).astype(np.float32)
    shift = generator.integers(-3, 4, (20, 3)).astype(np.int8)
    rows = np.array([3, 8, 3, 0])
    start, ptr = np.stack([START[::-1], START]), np.stack([PTR[::-1], PTR])
    cells, shifts = np.empty((4, 3, 3), np.float32), np.empty((6 * (1 + symmetric), 3), np.float32)
    gather.write_lattices(
        cell, shift.reshape(-1), symmetric, rows, start, ptr, cells, shifts.reshape(-1)
    )
    assert (cells == cell[rows]).all()
    every = slice(None, None, 1 + symmetric)
    assert (shifts[every] == shift[ROWS]).all()
    assert not symmetric or (shifts[1::2] == -shift[ROWS]).all()


def test_columns_are_those_of_the_rows() -> None:
    table = np.random.default_rng(0).normal(size=(9, 2))
    columns = np.empty((2, 4))
    gather.write_columns(table, np.array([3, 8, 3, 0]), columns)
    assert (columns == table[[3, 8, 3, 0]].T).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_ends_get_the_numbers_that_their_nodes_have_in_the_batch(dtype: type) -> None:
    largest = np.iinfo(dtype).max
    one, other = (np.random.default_rng(n).integers(0, largest, 20, dtype) for n in (0, 1))
    first = np.array([0, 300, 70_000, 5_000_000_000])
    of_row = np.repeat(first, np.diff(PTR))
    expected = np.stack([one[ROWS] + of_row, other[ROWS] + of_row])  # (2, edges)
    index = np.empty((2, 6), np.int64)
    gather.number_ends(one, other, START, PTR, first, index)
    assert (index == expected).all()
    pairs = np.empty((2, 12), np.int64)
    gather.number_pairs(one, other, START, PTR, first, pairs)
    assert (pairs == np.stack([expected, expected[::-1]], axis=2).reshape(2, 12)).all()


@pytest.mark.parametrize("limits", [{"atoms": 30}, {"edges": 90, "graphs": 4}, {"atoms": 20}])
def test_batches_are_those_of_adding_one_graph_after_the_other(limits: dict[str, int]) -> None:
    generator = np.random.default_rng(0)
    atoms, edges = (torch.tensor(generator.integers(0, most, 200)) for most in (20, 50))
    order = torch.tensor(generator.permutation(200))
    expected: list[list[int]] = []
    for row in order.tolist():
        last = [*expected[-1], row] if expected else [row]
        sizes = {"graphs": len(last), "atoms": atoms[last].sum(), "edges": edges[last].sum()}
        fits = expected and all(sizes[name] <= limit for name, limit in limits.items())
        expected[-1:] = [last] if fits else [*expected[-1:], [row]]
    batches = BatchLimit(**limits).cut(order, atoms, edges)
    assert [batch.tolist() for batch in batches] == expected
    assert BatchLimit(atoms=1).cut(order[:0], atoms, edges) == []


def test_it_works_where_compiled_code_cannot_be_kept(tmp_path: Path) -> None:
    """Neither beside the code nor in the user's folder: then it is compiled in each process."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "gather.py").write_text(Path(gather.__file__).read_text())
    (folder / "__pycache__").write_text("not a folder")
    program = (
        "import numpy, gather\n"
        "numbers = numpy.empty(3, int)\n"
        "gather.number_ranges(numpy.array([0, 2, 3]), numbers)\n"
        "print(numbers.tolist(), gather.number_ranges.stats.cache_path)\n"
    )
    nowhere = tmp_path / "file"
    nowhere.write_text("not a folder")
    places = {name: str(nowhere) for name in ("HOME", "XDG_CACHE_HOME", "IPYTHONDIR")}
    environment = {**os.environ, **places, "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[0, 0, 1] None", done.stderr

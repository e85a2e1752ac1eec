"""Loops over the graphs of a batch, compiled: they write straight into the tensors of the batch.

Flat arrays come as one row of numbers after the other, ``width`` numbers a row. All loops release
the interpreter's lock. Compiled code is kept on disk, so that only its first use ever waits for it.
"""

from __future__ import annotations

import numpy as np

from molcryst_bench.base.compiled import compiled

_LINE = 64  # bytes that a processor fetches at once
_NEAR = 256  # bytes to touch; what follows it foresees by itself


@compiled
def find_ranges(offset: np.ndarray, rows: np.ndarray, start: np.ndarray, ptr: np.ndarray) -> None:
    """Find where graphs lie in flat arrays, and where they come to lie in a batch.

    Args:
        offset: (all graphs + 1, kinds) first node and first edge of each graph.
        rows: (graphs,) which graphs make the batch.
        start: (kinds, graphs) written: first row in the flat arrays.
        ptr: (kinds, graphs + 1) written: first row in the batch, and the number of all.

    Raises:
        IndexError: if there is no such graph; later loops trust what is written here.
    """
    ptr[:, 0] = 0
    for graph in range(len(rows)):
        row = rows[graph]
        if row < 0 or row >= len(offset) - 1:
            raise IndexError("there is no graph of this number")
        for kind in range(offset.shape[1]):
            start[kind, graph] = offset[row, kind]
            count = offset[row + 1, kind] - offset[row, kind]
            ptr[kind, graph + 1] = ptr[kind, graph] + count


@compiled
def touch_ranges(source: np.ndarray, width: int, start: np.ndarray, ptr: np.ndarray) -> float:
    """Read the beginning of each range, and return a sum of no meaning, lest it be left out.

    Ranges drawn from a large array are not in the processor's caches. While it copies one range it
    does not look as far ahead as the next, and would wait for the memory again at each; here it
    waits for all at once.
    """
    found = 0.0
    for graph in range(len(start)):
        part = source[width * start[graph] :][: width * (ptr[graph + 1] - ptr[graph])]
        for i in range(0, min(len(part), _NEAR // source.itemsize), _LINE // source.itemsize):
            found += part[i]
    return found


@compiled
def locate(
    offset: np.ndarray,
    rows: np.ndarray,
    position: np.ndarray,
    atomic_number: np.ndarray,
    sender: np.ndarray,
    receiver: np.ndarray,
    start: np.ndarray,
    ptr: np.ndarray,
) -> float:
    """Find where the nodes and edges of graphs lie, and touch all that a graph consists of."""
    find_ranges(offset, rows, start, ptr)
    found = touch_ranges(position, 3, start[0], ptr[0])
    found += touch_ranges(atomic_number, 1, start[0], ptr[0])
    found += touch_ranges(sender, 1, start[1], ptr[1])
    return found + touch_ranges(receiver, 1, start[1], ptr[1])


@compiled
def write_structures(
    position: np.ndarray,
    atomic_number: np.ndarray,
    sender: np.ndarray,
    receiver: np.ndarray,
    symmetric: bool,
    start: np.ndarray,
    ptr: np.ndarray,
    pos: np.ndarray,
    z: np.ndarray,
    batch: np.ndarray,
    index: np.ndarray,
) -> None:
    """Write positions, atomic numbers, the graph that each atom belongs to, and ends of edges.

    Args:
        position: (3 * all nodes,) Å.
        atomic_number: (all nodes,).
        sender: (all edges,), or pairs, counted within their graph.
        receiver: the same.
        symmetric: whether each pair is there once.
        start: (2, graphs) first node and first edge.
        ptr: (2, graphs + 1) the same in the batch.
        pos: (3 * nodes,) written, as all that follow.
        z: (nodes,).
        batch: (nodes,).
        index: (2, edges).
    """
    copy_ranges(position, 3, start[0], ptr[0], pos)
    copy_ranges(atomic_number, 1, start[0], ptr[0], z)
    number_ranges(ptr[0], batch)
    if symmetric:
        number_pairs(sender, receiver, start[1], ptr[1], ptr[0], index)
    else:
        number_ends(sender, receiver, start[1], ptr[1], ptr[0], index)


@compiled
def write_lattices(
    cell: np.ndarray,
    shift: np.ndarray,
    symmetric: bool,
    rows: np.ndarray,
    start: np.ndarray,
    ptr: np.ndarray,
    cells: np.ndarray,
    shifts: np.ndarray,
) -> None:
    """Write the cells of graphs, (graphs, 3, 3), and the shifts of their edges, (3 * edges,)."""
    for graph in range(len(rows)):
        cells[graph] = cell[rows[graph]]
    if symmetric:
        copy_with_opposites(shift, start[1], ptr[1], shifts)
    else:
        copy_ranges(shift, 3, start[1], ptr[1], shifts)


@compiled
def write_columns(source: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Write some rows of a table, column by column, (columns, rows)."""
    for column in range(len(columns)):
        for i in range(len(rows)):
            columns[column, i] = source[rows[i], column]


@compiled
def copy_ranges(
    source: np.ndarray, width: int, start: np.ndarray, ptr: np.ndarray, target: np.ndarray
) -> None:
    """Copy the rows from ``start[i]`` on to rows ``ptr[i]`` to ``ptr[i + 1]``, as target's type."""
    for graph in range(len(start)):
        into = target[width * ptr[graph] : width * ptr[graph + 1]]
        part = source[width * start[graph] :][: len(into)]
        for i in range(len(into)):
            into[i] = part[i]


@compiled
def copy_with_opposites(
    source: np.ndarray, start: np.ndarray, ptr: np.ndarray, target: np.ndarray
) -> None:
    """Copy vectors, rows of three, each followed by its opposite."""
    for graph in range(len(start)):
        into = target[6 * ptr[graph] : 6 * ptr[graph + 1]]
        part = source[3 * start[graph] :][: len(into) // 2]
        for pair in range(len(part) // 3):
            for k in range(3):
                into[6 * pair + k] = part[3 * pair + k]
                into[6 * pair + 3 + k] = -part[3 * pair + k]


@compiled
def number_ranges(ptr: np.ndarray, target: np.ndarray) -> None:
    """Write ``i`` to rows ``ptr[i]`` to ``ptr[i + 1]``."""
    for graph in range(len(ptr) - 1):
        target[ptr[graph] : ptr[graph + 1]] = graph


@compiled
def number_ends(
    sender: np.ndarray,
    receiver: np.ndarray,
    start: np.ndarray,
    ptr: np.ndarray,
    first: np.ndarray,
    index: np.ndarray,
) -> None:
    """Write ends of edges (2, edges), counted within a graph, as ``first[i]`` and following."""
    for graph in range(len(start)):
        number_nodes(sender, start[graph], first[graph], index[0, ptr[graph] : ptr[graph + 1]])
        number_nodes(receiver, start[graph], first[graph], index[1, ptr[graph] : ptr[graph + 1]])


@compiled
def number_nodes(ends: np.ndarray, start: int, first: int, into: np.ndarray) -> None:
    """Write ends of the edges of one graph."""
    part = ends[start:][: len(into)]
    for i in range(len(into)):
        into[i] = first + np.int64(part[i])


@compiled
def number_pairs(
    sender: np.ndarray,
    receiver: np.ndarray,
    start: np.ndarray,
    ptr: np.ndarray,
    first: np.ndarray,
    index: np.ndarray,
) -> None:
    """Write the two ends of pairs in turn, so that beside each edge stands its reverse."""
    for graph in range(len(start)):
        into = index[:, 2 * ptr[graph] : 2 * ptr[graph + 1]]
        left, right = sender[start[graph] :], receiver[start[graph] :]
        for pair in range(into.shape[1] // 2):
            one = first[graph] + np.int64(left[pair])
            other = first[graph] + np.int64(right[pair])
            into[0, 2 * pair] = one
            into[0, 2 * pair + 1] = other
            into[1, 2 * pair] = other
            into[1, 2 * pair + 1] = one


@compiled
def fill_batches(sizes: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return how many consecutive graphs each batch takes, as many as all limits allow; then zeros.

    Args:
        sizes: (kinds, graphs) of each graph in order, none of which is over a limit.
        limits: (kinds,) of a batch.
    """
    counts = np.zeros(sizes.shape[1], np.int64)
    used = np.zeros(len(limits), np.int64)
    batch = 0
    for graph in range(sizes.shape[1]):
        fits = True
        for kind in range(len(limits)):
            used[kind] += sizes[kind, graph]
            fits = fits and used[kind] <= limits[kind]
        if not fits:
            batch += 1
            for kind in range(len(limits)):
                used[kind] = sizes[kind, graph]
        counts[batch] += 1
    return counts

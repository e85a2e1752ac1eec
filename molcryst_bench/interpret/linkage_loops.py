"""Complete linkage in the memory of the distances alone, compiled when it is first called.

Distances are flat: that of clusters i < j of n stands at ``_row(i, n) + j``.
"""

from __future__ import annotations

import numpy as np

from molcryst_bench.base.compiled import compiled

_FEW = 64  # clusters that are not worth moving


@compiled
def _row(i: int, n: int) -> int:
    return i * n - i * (i + 1) // 2 - i - 1


@compiled
def _between(distance: np.ndarray, n: int, i: int, j: int) -> float:
    value: float = distance[_row(min(i, j), n) + max(i, j)]
    return value


@compiled
def _nearest(
    distance: np.ndarray, n: int, active: np.ndarray, i: int, best: int, least: float
) -> tuple[int, float]:
    """Return the nearest cluster to i with its distance, or ``best`` if none is nearer."""
    place = np.searchsorted(active, i)
    for other in active[:place]:
        value = distance[_row(other, n) + i]
        if value < least:
            best, least = other, value
    first = _row(i, n)
    for other in active[place + 1 :]:
        value = distance[first + other]
        if value < least:
            best, least = other, value
    return best, least


@compiled
def _grow(distance: np.ndarray, n: int, active: np.ndarray, gone: int, kept: int) -> None:
    """Let ``kept`` be as far from every other cluster as the farther of the two."""
    for other in active:
        if other not in (gone, kept):
            place = _row(min(other, kept), n) + max(other, kept)
            distance[place] = max(distance[place], _between(distance, n, other, gone))


@compiled
def _move_together(
    distance: np.ndarray, n: int, active: np.ndarray, name: np.ndarray, chain: np.ndarray
) -> None:
    """Number the clusters that are left anew, in the same order, and move what belongs to them."""
    end = 0
    for k in range(len(active)):
        first = _row(active[k], n)
        for m in range(k + 1, len(active)):
            distance[end] = distance[first + active[m]]
            end += 1
    for k in range(len(chain)):
        chain[k] = np.searchsorted(active, chain[k])
    for k in range(len(active)):
        name[k] = name[active[k]]
        active[k] = k


@compiled
def complete_linkage(distance: np.ndarray, n: int, merged: np.ndarray, height: np.ndarray) -> None:
    """Merge clusters that are nearest to each other until one is left.

    The distance of clusters is the largest between their members. A chain goes from a cluster to
    its nearest until two are nearest to each other; these merge, whatever else will (Murtagh,
    Comput. J. 26, 354 (1983), doi 10.1093/comjnl/26.4.354). Among equally near ones the cluster
    before in the chain counts, then the first, and the later of two that merge stands for both:
    with ties, too, the tree is that of the package fastcluster. When half of the clusters are left,
    their distances move together at the front of the array.

    Args:
        distance: (n * (n - 1) / 2,) overwritten.
        n: number of points.
        merged: (n - 1, 2) written: a member of each of the two clusters.
        height: (n - 1,) written: their distance. Merges are not in the order of heights.
    """
    name, everyone = np.arange(n), np.arange(n)
    chain, length = np.empty(n + 3, np.int64), 0
    count = size = n  # clusters that are left, and that ``distance`` is laid out for
    for step in range(n - 1):
        active = everyone[:count]
        if 2 * count <= size and size > _FEW:
            _move_together(distance, size, active, name, chain[: max(length - 2, 0)])
            size = count
        if length > 3:
            length -= 3
            a, b = chain[length - 1], chain[length]
            least = _between(distance, size, a, b)
        else:
            length, a = 1, active[0]
            chain[0] = a
            b, least = _nearest(distance, size, active, a, a, np.inf)
        while True:
            chain[length] = b
            length += 1
            following, least = _nearest(distance, size, active, b, a, least)
            a, b = b, following
            if b == chain[length - 2]:
                break
        gone, kept = min(a, b), max(a, b)
        merged[step, 0], merged[step, 1], height[step] = name[gone], name[kept], least
        _grow(distance, size, active, gone, kept)
        place = np.searchsorted(active, gone)
        everyone[place : count - 1] = everyone[place + 1 : count].copy()
        count -= 1

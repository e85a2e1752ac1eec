"""Loops over pairs of points, compiled when they are first called.

Distances are flat: that of points i < j stands at ``start(i) + j``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from molcryst_bench.base.compiled import compiled

_NEAR = 1e-3  # of the squares: nearer points lose too many digits in their difference


def _count(context: Any, word: Any) -> Any:
    """Count the bits of a word with the instruction that processors have for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(function, arguments)

    return types.uint64(types.uint64), generate


_count_bits: Any = intrinsic(_count)


@compiled
def _row(i: int, n: int) -> int:
    """Return where the distances of a point to later ones would start, were there all before."""
    return i * n - i * (i + 1) // 2 - i - 1


@compiled
def euclidean(
    product: np.ndarray, points: np.ndarray, square: np.ndarray, start: int, distance: np.ndarray
) -> None:
    """Write the distances of some points to all later ones.

    Args:
        product: (rows, points - start) scalar products of these points with all from ``start`` on.
        points: (points, features).
        square: (points,) their scalar products with themselves.
        start: the first of the rows.
        distance: (pairs,) written.
    """
    n = len(points)
    for row in range(len(product)):
        i = start + row
        first = _row(i, n)
        for j in range(i + 1, n):
            both = square[i] + square[j]
            value = both - 2 * product[row, j - start]
            if value < _NEAR * both:
                value = 0.0
                for k in range(points.shape[1]):
                    value += (points[i, k] - points[j, k]) ** 2
            distance[first + j] = np.sqrt(value)


@compiled
def cosine(product: np.ndarray, length: np.ndarray, start: int, distance: np.ndarray) -> None:
    """Write 1 minus the cosines between some points and all later ones, from products as above.

    Products come before the division by the lengths (points,): of whole numbers they are exact, so
    that equal distances are equal.
    """
    n = len(length)
    for row in range(len(product)):
        i = start + row
        first = _row(i, n)
        for j in range(i + 1, n):
            angle = product[row, j - start] / (length[i] * length[j])
            distance[first + j] = 1 - max(min(angle, 1.0), -1.0)


def _cityblock(points: np.ndarray, distance: np.ndarray) -> None:
    n, block = len(points), 64  # points that stay in a core's cache
    for low in range(0, n, block):
        for i in range(min(low + block, n)):
            first = _row(i, n)
            for j in range(max(low, i + 1), min(low + block, n)):
                value = 0.0
                for k in range(points.shape[1]):
                    value += abs(points[i, k] - points[j, k])
                distance[first + j] = value


# Sums may be rearranged, so that several numbers are added at once.
cityblock = compiled(_cityblock, fastmath={"reassoc"})


@compiled
def tanimoto(words: np.ndarray, distance: np.ndarray) -> None:
    """Write 1 minus the common bits over all bits, computed as RDKit does.

    Args:
        words: (points, words) uint64 of bits.
        distance: (pairs,) written.
    """
    n = len(words)
    bits = np.zeros(n, np.int64)
    for i in range(n):
        for k in range(words.shape[1]):
            bits[i] += np.int64(_count_bits(words[i, k]))
    for i in range(n):
        first = _row(i, n)
        for j in range(i + 1, n):
            common = np.int64(0)
            for k in range(words.shape[1]):
                common += np.int64(_count_bits(words[i, k] & words[j, k]))
            every = bits[i] + bits[j] - common
            distance[first + j] = 1.0 - (common / every if every else 0.0)

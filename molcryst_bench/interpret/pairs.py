"""Distances between all pairs of points, as one flat array that clustering works on in place.

The distance of points i < j stands at ``i * n - i * (i + 1) / 2 + j - i - 1``, as in SciPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from molcryst_bench.base.errors import SettingsError, unknown_name
from molcryst_bench.interpret import pair_loops

_ROWS = 256  # of points whose products with all others are in memory at once
_SLACK = 1e-12  # of a largest distance that is a sum rounded otherwise than the distances


class Pairs(NamedTuple):
    """All distances, and the largest that the metric and the range of the points allow."""

    distance: np.ndarray  # (n * (n - 1) / 2,) float64, over the largest possible one
    points: int


def pairs_of(X: Any, metric: str = "euclidean", largest: float | None = None) -> Pairs:  # noqa: N803
    """Return all distances over the largest possible one.

    The largest possible distance is that between the corners of the box that holds the points
    (Euclidean and cityblock), 2 (cosine) or 1 (Tanimoto, precomputed).

    Args:
        X: (points, features) numbers; (points, bits) of zeros and ones for ``tanimoto``; a square
            or a flat array of distances for ``precomputed``.
        metric: ``euclidean``, ``cityblock``, ``cosine``, ``tanimoto`` or ``precomputed``.
        largest: the largest possible distance, if it is known.

    Raises:
        SettingsError: for an unknown metric, or what is not of its form.
    """
    if metric not in METRICS:
        raise SettingsError(unknown_name("metric", metric, METRICS))
    points = np.asarray(X)
    if points.dtype == object or not np.isfinite(points).all():
        raise SettingsError("what the distances are between has entries that are no finite numbers")
    if metric == "precomputed":
        return _given(points, largest)
    if points.ndim != 2 or len(points) < 2:
        wanted = "one row for each of at least two points"
        raise SettingsError(f"X has the shape {points.shape}: it must be {wanted}")
    bound = _LARGEST[metric](points) if largest is None else largest
    return _normalised(METRICS[metric](points), bound, len(points))


def _given(points: np.ndarray, largest: float | None) -> Pairs:
    """Take distances as they are: the caller's own are not changed."""
    if points.ndim == 2:
        if points.shape[0] != points.shape[1] or np.abs(points - points.T).max(initial=0) > 1e-8:
            raise SettingsError(f"distances of the shape {points.shape} are no symmetric matrix")
        points = points[np.triu_indices(len(points), 1)]
    count = round((1 + (1 + 8 * points.size) ** 0.5) / 2)
    if points.ndim != 1 or count * (count - 1) // 2 != points.size or count < 2:
        raise SettingsError(f"{points.size:,} distances are not those between all pairs of points")
    if points.min() < 0:
        raise SettingsError("distances cannot be negative")
    return _normalised(points.astype(np.float64), 1.0 if largest is None else largest, count)


def largest_distance(X: Any, metric: str) -> float:  # noqa: N803
    """Return the largest distance that the metric and the range of the points allow."""
    return _LARGEST[metric](np.asarray(X))


def _normalised(distance: np.ndarray, bound: float, points: int) -> Pairs:
    top = float(distance.max())
    if top > bound * (1 + _SLACK):
        advice = "give the largest possible one"
        raise SettingsError(f"distances reach {top:.6g}, which is more than {bound:.6g}: {advice}")
    if bound > 0 and bound != 1:
        np.divide(distance, bound, out=distance)
    return Pairs(distance, points)


def _euclidean(points: np.ndarray) -> np.ndarray:
    """Make squares of distances from a product of matrices, those of near points one by one."""
    points = _from_corner(points)
    square = np.einsum("ij,ij->i", points, points)
    distance = _empty(len(points))
    for start in range(0, len(points), _ROWS):
        product = points[start : start + _ROWS] @ points[start:].T
        pair_loops.euclidean(product, points, square, start, distance)
    return distance


def _cosine(points: np.ndarray) -> np.ndarray:
    points = np.ascontiguousarray(points, np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", points, points))
    if not length.all():
        row = int(np.flatnonzero(length == 0)[0])
        raise SettingsError(f"point {row} is zero, which has no direction: choose another metric")
    distance = _empty(len(points))
    for start in range(0, len(points), _ROWS):
        product = points[start : start + _ROWS] @ points[start:].T
        pair_loops.cosine(product, length, start, distance)
    return distance


def _cityblock(points: np.ndarray) -> np.ndarray:
    points = _from_corner(points)
    distance = _empty(len(points))
    pair_loops.cityblock(points, distance)
    return distance


def _tanimoto(points: np.ndarray) -> np.ndarray:
    """Count common bits, 64 at once; two fingerprints without bits are not alike in RDKit."""
    if not np.isin(points, (0, 1)).all():
        raise SettingsError("fingerprints have bits, 0 or 1: choose another metric for counts")
    packed = np.packbits(points.astype(bool), axis=1)
    words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    distance = _empty(len(points))
    pair_loops.tanimoto(words.view(np.uint64), distance)
    return distance


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "euclidean": _euclidean,
    "cityblock": _cityblock,
    "cosine": _cosine,
    "tanimoto": _tanimoto,
    "precomputed": lambda points: points,
}
_LARGEST: dict[str, Callable[[np.ndarray], float]] = {
    "euclidean": lambda points: float(np.sqrt(np.square(_ranges(points)).sum())),
    "cityblock": lambda points: float(_ranges(points).sum()),
    "cosine": lambda points: 2.0,
    "tanimoto": lambda points: 1.0,
    "precomputed": lambda points: 1.0,
}


def _from_corner(points: np.ndarray) -> np.ndarray:
    """Move the corner of the box to the origin, so that no digits are lost to its distance."""
    points = np.ascontiguousarray(points, np.float64)
    moved: np.ndarray = points - points.min(0)
    return moved


def _ranges(points: np.ndarray) -> np.ndarray:
    ranges: np.ndarray = (points.max(0) - points.min(0)).astype(np.float64)
    return ranges


def _empty(points: int) -> np.ndarray:
    return np.empty(points * (points - 1) // 2)

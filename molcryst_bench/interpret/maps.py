"""Points in two or three dimensions, with numbers that say what such a map is worth."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from molcryst_bench.base.compiled import compiled

NEIGHBORS = 15
_ROWS = 256


class MapQuality(NamedTuple):
    """How much of the neighbourhoods in many dimensions is left in few."""

    method: str
    dimensions: int
    trustworthiness: float  # 1: no stranger among the neighbours in the map
    preservation: float  # share of the nearest neighbours that are still among them
    neighbor_correlation: float  # of a value with the mean of its neighbours' values, by rank


def umap_map(features: np.ndarray, dimensions: int = 2, seed: int = 0) -> np.ndarray:
    """Return the map of UMAP, (points, dimensions); equal seeds give equal maps.

    It starts from principal components (McInnes, Healy and Melville, arXiv 1802.03426). Neighbours
    are found exactly, which spares what searching for them approximately takes to be compiled.
    """
    points = _wide(features, dimensions)
    count = min(NEIGHBORS, len(points) - 1)
    distance, near = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        found = UMAP(
            n_components=dimensions,
            n_neighbors=count,
            precomputed_knn=(near.astype(np.int32), distance.astype(np.float32)),
            random_state=seed,
            n_jobs=1,
            init="pca",
        ).fit_transform(points)
    return np.asarray(found)


def pca_map(features: np.ndarray, dimensions: int = 2) -> np.ndarray:
    """Return the first principal components, (points, dimensions)."""
    components: np.ndarray = PCA(dimensions, svd_solver="covariance_eigh").fit_transform(
        _wide(features, dimensions)
    )
    return components


def _wide(features: np.ndarray, width: int) -> np.ndarray:
    """Return the features, with zeros beside them where they are fewer than the map has."""
    lacking = max(0, width - features.shape[1])
    return np.pad(np.asarray(features, np.float32), ((0, 0), (0, lacking)))


def judge(
    features: np.ndarray, maps: dict[tuple[str, int], np.ndarray], values: np.ndarray
) -> list[MapQuality]:
    """Return the quality of maps, and the neighbours' correlation in all dimensions for comparison.

    Args:
        features: (points, width).
        maps: by method and dimensions, (points, dimensions).
        values: (points,) of the property; those that are not known are left out.
    """
    points = np.ascontiguousarray(features, np.float32)
    near = _neighbors(points)
    everything = MapQuality("all features", points.shape[1], 1.0, 1.0, _correlation(near, values))
    return [everything] + [
        _judge(points, near, name, place, values) for name, place in maps.items()
    ]


def _judge(
    points: np.ndarray,
    near: np.ndarray,
    name: tuple[str, int],
    place: np.ndarray,
    values: np.ndarray,
) -> MapQuality:
    found = _neighbors(place)
    shared = np.mean([len(np.intersect1d(a, b)) for a, b in zip(near, found, strict=True)])
    return MapQuality(
        *name,
        trustworthiness(points, found),
        float(shared / near.shape[1]),
        _correlation(found, values),
    )


def trustworthiness(points: np.ndarray, found: np.ndarray) -> float:
    """Return how few of the neighbours in a map are strangers, from 0 to 1.

    Ranks are counted block by block, so that no matrix of all distances is held (Venna and Kaski,
    ICANN 2001, doi 10.1007/3-540-44668-0_68, eq. 1).

    Args:
        points: (points, width) in many dimensions.
        found: (points, neighbours) in the map.
    """
    n, k = found.shape
    square = np.einsum("ij,ij->i", points, points)
    penalty = 0
    for start in range(0, n, _ROWS):
        block = points[start : start + _ROWS]
        distance = square[None] - 2 * block @ points.T  # but for what is the same in each row
        penalty += _penalty(distance, found[start : start + _ROWS], start)
    return float(1 - 2 * penalty / (n * k * (2 * n - 3 * k - 1)))


@compiled
def _penalty(distance: np.ndarray, found: np.ndarray, start: int) -> int:
    """Add up by how much the ranks of the neighbours in the map are beyond their number."""
    total, k = 0, found.shape[1]
    for row in range(len(distance)):
        for j in found[row]:
            limit, rank = distance[row, j], 1
            for other in range(distance.shape[1]):
                if distance[row, other] < limit and other != start + row:
                    rank += 1
            total += max(rank - k, 0)
    return total


def _neighbors(points: np.ndarray) -> np.ndarray:
    """Return the nearest other points of each, (points, neighbours)."""
    count = min(NEIGHBORS, len(points) - 1)
    found: np.ndarray = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(None)[1]
    return found


def _correlation(near: np.ndarray, values: np.ndarray) -> float:
    means = np.nanmean(np.where(np.isfinite(values[near]), values[near], np.nan), axis=1)
    known = np.isfinite(values) & np.isfinite(means)
    return float(stats.spearmanr(values[known], means[known]).statistic)

"""ROGI beside the package of its authors, golden values, and what must hold for any points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rdkit import DataStructs
from rogi import RoughnessIndex
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

import molcryst_bench as mb
from molcryst_bench.base.errors import SettingsError
from molcryst_bench.interpret.dendrogram import Dendrogram
from molcryst_bench.interpret.pairs import pairs_of

FIVE = np.arange(1, 11) / 10


def _reference(y: np.ndarray, **points: Any) -> float:
    value: float = RoughnessIndex(Y=y, verbose=False, **points).compute_index()
    return value


def _bits(row: np.ndarray) -> DataStructs.ExplicitBitVect:
    vector = DataStructs.ExplicitBitVect(len(row))
    vector.SetBitsFromList(np.flatnonzero(row).tolist())
    return vector


def _points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random points and labels; in some sets whole numbers with many equal distances."""
    draw = np.random.default_rng(seed)
    shape = (int(draw.integers(20, 200)), int(draw.integers(1, 20)))
    x = draw.integers(1, 4, shape).astype(float) if seed % 3 == 0 else draw.normal(size=shape)
    return x, draw.normal(size=len(x))


def test_golden_values() -> None:
    assert mb.rogi(FIVE, range(5), "precomputed") == pytest.approx(0.1530913965143058, abs=1e-14)
    assert mb.rogi_xd(FIVE, range(5), "precomputed") == pytest.approx(0.2418699786277701, abs=1e-14)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "cosine"])
def test_equals_the_package_on_points(seed: int, metric: str) -> None:
    x, y = _points(seed)
    wanted = _reference(y, X=x, metric=metric)
    assert mb.rogi(x, y, metric) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_package_on_fingerprints_and_given_distances(seed: int) -> None:
    draw = np.random.default_rng(seed)
    bits = (draw.random((120, 100)) < 0.1).astype(int)[draw.integers(0, 120, 120)]  # some twice
    y = draw.normal(size=120)
    wanted = _reference(y, fps=[_bits(row) for row in bits])
    assert mb.rogi(bits, y, "tanimoto") == pytest.approx(wanted, abs=1e-10)
    distances = squareform(np.round(draw.random(120 * 119 // 2), 2))  # many equal ones
    wanted = _reference(y, X=distances, metric="precomputed")
    assert mb.rogi(distances, y, "precomputed") == pytest.approx(wanted, abs=1e-10)


def test_tanimoto_is_that_of_rdkit_bit_for_bit() -> None:
    draw = np.random.default_rng(0)
    bits = draw.random((60, 1030)) < 0.05
    bits[:2] = False  # fingerprints without bits
    vectors = [_bits(row) for row in bits]
    wanted = [
        1.0 - np.array(DataStructs.BulkTanimotoSimilarity(vectors[i], vectors[i + 1 :]))
        for i in range(len(bits) - 1)
    ]
    assert np.array_equal(pairs_of(bits, "tanimoto").distance, np.concatenate(wanted))


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "cosine"])
def test_distances_are_those_of_scipy(metric: str) -> None:
    x = np.random.default_rng(1).normal(size=(600, 5)) + 1000 * (metric == "euclidean")
    x[1] = x[0] + 1e-9  # so near that a product of matrices would lose all digits
    found = pairs_of(x, metric).distance
    wanted = pdist(x, metric)
    np.testing.assert_allclose(found / found[5], wanted / wanted[5], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("points", [2, 3, 65, 300])
def test_tree_is_that_of_scipy(points: int) -> None:
    x = np.random.default_rng(points).normal(size=(points, 3))
    tree = Dendrogram.of(pairs_of(x, "euclidean", largest=100))
    wanted = linkage(pdist(x), "complete")
    np.testing.assert_allclose(tree.height * 100, wanted[:, 2], rtol=1e-12)


def test_spread_of_labels_is_that_of_cluster_means() -> None:
    draw = np.random.default_rng(3)
    x, y, weight = draw.normal(size=(80, 2)), draw.normal(size=80), draw.integers(1, 4, 80)
    spread = Dendrogram.of(pairs_of(x)).spread(y, weight)
    tree = linkage(pdist(x), "complete")
    for merges in range(80):
        cluster = fcluster(tree, 80 - merges, "maxclust")
        mean = np.array(
            [np.average(y[cluster == c], weights=weight[cluster == c]) for c in cluster]
        )
        wanted = np.sqrt(np.cov(mean, fweights=weight, ddof=0))
        assert spread[merges] == pytest.approx(wanted, abs=1e-12)


def test_smooth_labels_are_smooth_and_constant_ones_have_no_roughness() -> None:
    x = np.random.default_rng(2).normal(size=(300, 4))
    rough = np.random.default_rng(3).permutation(x[:, 0])
    for index in (mb.rogi, mb.rogi_xd):
        assert index(x, x[:, 0]) < 0.7 * index(x, rough)
        assert index(x, np.ones(300)) == 0
        assert index(x, 3 - 2 * x[:, 0]) == pytest.approx(index(x, x[:, 0]), abs=1e-12)


def test_equal_points_have_the_spread_of_their_labels() -> None:
    y = [0.0, 1.0, 1.0, 0.0]
    assert mb.rogi(np.zeros((4, 3)), y) == pytest.approx(1.0)


def test_given_arrays_are_left_as_they_are() -> None:
    distances, x = FIVE.copy(), np.arange(10.0).reshape(5, 2)
    mb.rogi(distances, range(5), "precomputed")
    mb.rogi(x, range(5))
    assert np.array_equal(distances, FIVE)
    assert np.array_equal(x, np.arange(10.0).reshape(5, 2))


@pytest.mark.parametrize(
    ("x", "y", "metric", "word"),
    [
        (np.eye(3), [1, 2, 3], "euclidian", "euclidean"),
        (np.eye(3), [1, 2], "euclidean", "as many labels"),
        (np.eye(3), [1, 2, np.nan], "euclidean", "finite"),
        (np.full((3, 2), np.inf), [1, 2, 3], "euclidean", "finite"),
        (np.ones(3), [1, 2, 3], "euclidean", "shape"),
        (np.eye(3)[:, :2], [1, 2, 3], "cosine", "point 2"),
        (2 * np.eye(3), [1, 2, 3], "tanimoto", "bits"),
        (np.ones(4), [1, 2, 3], "precomputed", "pairs"),
        (2 * np.ones(3), [1, 2, 3], "precomputed", "largest"),
        (-np.ones(3), [1, 2, 3], "precomputed", "negative"),
        (np.triu(np.ones((3, 3)), 1), [1, 2, 3], "precomputed", "symmetric"),
    ],
)
def test_says_what_is_wrong(x: np.ndarray, y: list[float], metric: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        mb.rogi(x, y, metric)

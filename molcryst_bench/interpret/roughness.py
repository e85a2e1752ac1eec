r"""ROGI: how rough a property is in the space of a representation.

Points are clustered by complete linkage, and labels are replaced by the means of clusters that
grow with the distance :math:`t`. The faster the standard deviation :math:`\sigma_t` of the labels
falls, the rougher the property: neighbours differ as much as any two points.

.. math:: R = 2\sigma_0 - \int_0^1 2\sigma_t\,dx

Labels go from 0 to 1. In ROGI :math:`x = t`, the distance over the largest possible one (Aldeghi et
al., J. Chem. Inf. Model. 62, 4660 (2022), doi 10.1021/acs.jcim.2c00903). In ROGI-XD :math:`x = 1 -
\log(\text{clusters}) / \log(\text{points})`, which makes representations of different dimension
comparable (Graff et al., J. Chem. Inf. Model. 63, 5099 (2023), doi 10.1021/acs.jcim.3c01067).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from molcryst_bench.base.errors import SettingsError
from molcryst_bench.interpret.dendrogram import Dendrogram
from molcryst_bench.interpret.pairs import pairs_of

STEP = 0.01  # between thresholds, as published
_NO_RANGE = 1e-10
Axis = Literal["distance", "clusters"]


def rogi(X: Any, y: Any, metric: str = "euclidean", *, largest: float | None = None) -> float:  # noqa: N803
    """Return the roughness index of labels on points.

    It needs the memory of all distances, 4 bytes for each pair of points twice: 0.7 GB for 13,400.

    Args:
        X: (points, features), or as ``molcryst_bench.interpret.pairs.pairs_of`` says.
        y: (points,) labels in any unit.
        metric: ``euclidean``, ``cityblock``, ``cosine``, ``tanimoto`` or ``precomputed``.
        largest: the largest possible distance, if it is known.

    Returns:
        from 0, smooth, to about 1.

    Raises:
        SettingsError: for an unknown metric, or what is not of its form.
    """
    return _roughness(X, y, metric, largest, "distance")


def rogi_xd(X: Any, y: Any, metric: str = "euclidean", *, largest: float | None = None) -> float:  # noqa: N803
    """Return the roughness index over the logarithm of the number of clusters; see ``rogi``."""
    return _roughness(X, y, metric, largest, "clusters")


def roughness_on(
    tree: Dendrogram, labels: np.ndarray, axis: Axis = "distance", weight: np.ndarray | None = None
) -> float:
    """Return the roughness of labels on a tree.

    Args:
        tree: of the points.
        labels: (points,) from 0 to 1.
        axis: ``distance`` for ROGI, ``clusters`` for ROGI-XD.
        weight: (points,) how often each point counts; once by default.
    """
    x, y = curve(tree, labels, axis, weight)
    return float(y[0] - np.trapezoid(y, x))


def curve(
    tree: Dendrogram, labels: np.ndarray, axis: Axis = "distance", weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the abscissa from 0 to 1, and twice the standard deviation of cluster means there."""
    thresholds = _thresholds(tree.height)
    merges = np.concatenate([[0], tree.merges_below(thresholds), [len(tree.height)]])
    spread = 2 * tree.spread(labels, weight)[merges]
    if axis == "distance":
        return np.concatenate([[0.0], thresholds, [1.0]]), spread
    return 1 - np.log(tree.points - merges) / np.log(tree.points), spread


def normalised(y: Any, points: int) -> np.ndarray:
    """Return labels from 0 to 1, (points,) float64.

    Raises:
        SettingsError: if there is not one finite number for each point.
    """
    labels = np.asarray(y, dtype=np.float64)
    if labels.shape != (points,):
        raise SettingsError(f"{points:,} points need as many labels, not those of {labels.shape}")
    if not np.isfinite(labels).all():
        raise SettingsError("labels have entries that are no finite numbers")
    labels = labels - labels.min()
    top = labels.max()
    scaled: np.ndarray = labels / top if top > _NO_RANGE else labels
    return scaled


def _roughness(X: Any, y: Any, metric: str, largest: float | None, axis: Axis) -> float:  # noqa: N803
    pairs = pairs_of(X, metric, largest)
    labels = normalised(y, pairs.points)
    return roughness_on(Dendrogram.of(pairs), labels, axis)


def _thresholds(heights: np.ndarray) -> np.ndarray:
    """Return the first height, and each that is a step above the one before."""
    kept, last = [], -1.0
    while (place := int(np.searchsorted(heights - STEP, last))) < len(heights):
        last = heights[place]
        kept.append(last)
    return np.array(kept)

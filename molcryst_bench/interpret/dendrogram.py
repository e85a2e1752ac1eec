"""The tree of complete linkage, and how much labels spread between its clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molcryst_bench.base.compiled import compiled
from molcryst_bench.interpret import linkage_loops
from molcryst_bench.interpret.pairs import Pairs


@dataclass(frozen=True)
class Dendrogram:
    """Merges of clusters, in the order of their heights."""

    merged: np.ndarray  # (points - 1, 2) a member of each of two clusters
    height: np.ndarray  # (points - 1,) the largest distance within the merged cluster

    @classmethod
    def of(cls, pairs: Pairs) -> Dendrogram:
        """Cluster points by complete linkage; the distances are overwritten, which saves memory."""
        merges = pairs.points - 1
        merged, height = np.empty((merges, 2), np.int64), np.empty(merges)
        linkage_loops.complete_linkage(pairs.distance, pairs.points, merged, height)
        order = np.argsort(height, kind="stable")
        return cls(merged[order], height[order])

    @property
    def points(self) -> int:
        """How many points there are."""
        return len(self.height) + 1

    def spread(self, labels: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        r"""Return the standard deviation of cluster means after 0, 1, ... all merges.

        Each mean counts as often as its cluster has members. When clusters :math:`a` and :math:`b`
        merge, the sum of squares falls by :math:`w_a w_b (m_a - m_b)^2 / (w_a + w_b)`; these parts
        are added up from the last merge on, so that small deviations keep their digits.

        Args:
            labels: (points,) float64.
            weight: (points,) how often each point counts; once by default.

        Returns:
            (points,) float64.
        """
        weights = np.ones(self.points) if weight is None else weight.astype(np.float64)
        parts = _lost(self.merged, labels.astype(np.float64), weights)
        remaining = np.append(np.cumsum(parts[::-1])[::-1], 0.0)
        deviation: np.ndarray = np.sqrt(remaining / weights.sum())
        return deviation

    def merges_below(self, thresholds: np.ndarray) -> np.ndarray:
        """Return how many merges there are at distances up to each threshold."""
        return np.searchsorted(self.height, thresholds, side="right")


@compiled
def _lost(merged: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return by how much each merge makes the sum of squares smaller, (merges,)."""
    n = len(labels)
    parent, mean, weight = np.arange(n), labels.copy(), weights.copy()
    lost = np.empty(n - 1)
    for step in range(n - 1):
        a, b = merged[step]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        total = weight[a] + weight[b]
        lost[step] = weight[a] * weight[b] / total * (mean[a] - mean[b]) ** 2
        mean[b] = (weight[a] * mean[a] + weight[b] * mean[b]) / total
        weight[b] = total
        parent[a] = b
    return lost

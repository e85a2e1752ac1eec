"""Means over resampled test sets: how much a number depends on which items were tested.

Efron's bootstrap (B. Efron, Ann. Stat. 7, 1 (1979), doi 10.1214/aos/1176344552) with percentile
intervals. Errors are functions of means over items, so that means are all that is resampled.
"""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
_AT_ONCE = 50  # resamples in memory

Bounds = tuple[float, float]


def resampled_means(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the means of each row over resampled items.

    Every row sees the same resamples, so that differences between rows are paired.

    Args:
        values: (rows, items).
        seed: of the resampling.

    Returns:
        (RESAMPLES, rows), in the unit of ``values``.
    """
    generator = np.random.default_rng(seed)
    items = values.shape[1]
    first = np.arange(_AT_ONCE, dtype=np.int32)[:, None] * items
    blocks = []
    for _ in range(RESAMPLES // _AT_ONCE):
        drawn = generator.integers(items, size=(_AT_ONCE, items), dtype=np.int32) + first
        counts = np.bincount(drawn.ravel(), minlength=_AT_ONCE * items)
        blocks.append(counts.reshape(_AT_ONCE, items) @ values.T / items)
    return np.concatenate(blocks)


def interval(values: np.ndarray) -> Bounds:
    """Return the central interval that holds ``CONFIDENCE`` of the values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)

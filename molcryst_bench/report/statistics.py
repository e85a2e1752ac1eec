"""How sure a rank is: bootstrap over the test items, paired between models."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
_AT_ONCE = 50  # resamples in memory


def resampled_means(errors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the mean error of each model on resampled test sets.

    Every model sees the same resamples, so that differences between columns are paired.

    Args:
        errors: (models, items).
        seed: of the resampling.

    Returns:
        (RESAMPLES, models), in the unit of ``errors``.
    """
    generator = np.random.default_rng(seed)
    items = errors.shape[1]
    first = np.arange(_AT_ONCE)[:, None] * items
    blocks = []
    for _ in range(RESAMPLES // _AT_ONCE):
        drawn = generator.integers(items, size=(_AT_ONCE, items)) + first
        counts = np.bincount(drawn.ravel(), minlength=_AT_ONCE * items)
        blocks.append(counts.reshape(_AT_ONCE, items) @ errors.T / items)
    return np.concatenate(blocks)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the central interval that holds ``CONFIDENCE`` of the values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def shared_ranks(means: np.ndarray) -> list[int]:
    """Rank models that are sorted from best to worst; what cannot be told apart shares a rank.

    A model shares the rank of the best model of a group if the interval of their paired difference
    contains 0; else it opens the next group, and its rank counts all models before it.

    Args:
        means: (resamples, models), from ``resampled_means``.
    """
    ranks: list[int] = []
    leader = 0
    for model in range(means.shape[1]):
        low, high = interval(means[:, model] - means[:, leader])
        if not low <= 0 <= high:
            leader = model
        ranks.append(leader + 1)
    return ranks

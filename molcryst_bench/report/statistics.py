"""How sure a rank is: paired differences between models over the same resampled test items."""

from __future__ import annotations

import numpy as np

from molcryst_bench.training.bootstrap import interval

_ROUNDING = 1e-12  # relative; equal models differ by the order in which a sum is taken


def shared_ranks(means: np.ndarray) -> list[int]:
    """Rank models that are sorted from best to worst; what cannot be told apart shares a rank.

    A model shares the rank of the best model of a group if the interval of their paired difference
    contains 0; else it opens the next group, and its rank counts all models before it.

    Args:
        means: (resamples, models), mean errors on the same resamples.
    """
    ranks: list[int] = []
    leader = 0
    for model in range(means.shape[1]):
        low, high = interval(means[:, model] - means[:, leader])
        nothing = _ROUNDING * float(np.abs(means[:, leader]).max())
        if not (low <= nothing and high >= -nothing):
            leader = model
        ranks.append(leader + 1)
    return ranks

"""How sure a rank is, from paired differences over the same test items; who is on the front."""

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


def pareto_front(costs: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return the places of what nothing else beats in cost and error, from the cheapest on.

    Args:
        costs: (points,).
        errors: (points,); of equal points the first is taken.
    """
    order = np.lexsort((errors, costs))
    if not len(order):
        return order
    least = np.minimum.accumulate(errors[order])
    found: np.ndarray = order[np.r_[True, least[1:] < least[:-1]]]
    return found

r"""How often intervals hold the truth, at all levels from 0 to 1 at once.

An interval of a higher level is wider, so each item has a level from which on its interval holds
the truth. The part of items whose level is below :math:`c` is the coverage :math:`\hat p(c)` of the
intervals that promise :math:`c`. The miscalibration area is
:math:`\int_0^1 |\hat p(c) - c|\,dc`: 0 for intervals that hold what they promise, 1/2 for those
that always hold the truth or never (K. Tran, W. Neiswanger, J. Yoon, Q. Zhang, E. Xing, Z. W.
Ulissi, Mach. Learn.: Sci. Technol. 1, 025006 (2020), doi 10.1088/2632-2153/ab7e1a).
"""

from __future__ import annotations

import numpy as np

NOMINAL = np.arange(10, 100, 5) / 100  # where curves are looked at: 10 % to 95 %
_ROUNDING = 1e-12  # a level that is a quotient may equal a decimal but for the last digit


def coverage_at(levels: np.ndarray, nominal: np.ndarray) -> np.ndarray:
    """Return which part of the items is covered.

    Args:
        levels: (items,) from which on the interval of each holds the truth.
        nominal: (...) levels that intervals promise.

    Returns:
        (...) between 0 and 1.
    """
    covered = np.searchsorted(np.sort(levels), nominal - _ROUNDING, side="left")
    return np.asarray(covered / len(levels))


def miscalibration_area(levels: np.ndarray) -> float:
    """Return the area between the coverage of all levels and what they promise, exactly.

    Args:
        levels: (items,) from which on the interval of each holds the truth, between 0 and 1.
    """
    bounds = np.concatenate([[0.0], np.sort(levels), [1.0]])
    coverage = np.arange(len(levels) + 1) / len(levels)  # between one bound and the next
    return float((_signed(bounds[1:] - coverage) - _signed(bounds[:-1] - coverage)).sum())


def gaussian_levels(error: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return from which level on central intervals of normal distributions hold the truth.

    Args:
        error: (items,) prediction - target.
        deviation: (items,) standard deviation that is claimed, in the same unit; intervals of none
            hold nothing but exact predictions.

    Returns:
        (items,) between 0 and 1.
    """
    from scipy.special import erf

    size = np.abs(error)
    unclaimed = np.where(size > 0, np.inf, 0.0)
    ratio = np.divide(size, deviation, out=unclaimed, where=deviation > 0)
    return np.asarray(erf(ratio / np.sqrt(2)))


def _signed(x: np.ndarray) -> np.ndarray:
    """Return the integral of the absolute value from 0."""
    return np.asarray(x * np.abs(x) / 2)

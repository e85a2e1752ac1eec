"""Errors in the unit in which the literature reports them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from molcryst_bench.sources.card import Target


class Errors(NamedTuple):
    """How far predictions are from targets."""

    mae: float  # in the target's error unit
    rmse: float  # in the target's error unit
    r2: float  # 1 - squared error / squared deviation from the mean of these targets


class ForceErrors(NamedTuple):
    """How far predicted forces are from their targets."""

    mae: float  # over components, in the error unit of the forces
    rmse: float  # over components, in the error unit of the forces
    cosine: float  # mean cosine of the angle between the two forces on an atom


def force_errors_of(prediction: np.ndarray, target: np.ndarray, definition: Target) -> ForceErrors:
    """Compare forces with their targets, both (nodes, 3) in the target's unit."""
    difference = (prediction - target) * definition.error_factor
    sizes = np.linalg.norm(prediction, axis=1) * np.linalg.norm(target, axis=1)  # (nodes,)
    cosines = (prediction * target).sum(1)[sizes > 0] / sizes[sizes > 0]
    return ForceErrors(
        mae=float(np.abs(difference).mean()),
        rmse=float(np.sqrt(np.square(difference).mean())),
        cosine=float(cosines.mean()) if len(cosines) else float("nan"),
    )


def errors_of(prediction: np.ndarray, target: np.ndarray, definition: Target) -> Errors:
    """Compare predictions with targets, both (items,) in the target's unit."""
    difference = prediction - target
    deviation = target - target.mean()
    squared = float(deviation @ deviation)
    return Errors(
        mae=float(np.abs(difference).mean()) * definition.error_factor,
        rmse=float(np.sqrt(np.square(difference).mean())) * definition.error_factor,
        r2=1.0 - float(difference @ difference) / squared if squared > 0 else float("nan"),
    )

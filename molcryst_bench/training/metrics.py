"""Errors in the unit in which the literature reports them, with bootstrap intervals.

An error is a function of means over items of a few terms. The same function of the means over
resampled items says how much it depends on which items were tested.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from molcryst_bench.sources.card import Target
from molcryst_bench.training.bootstrap import Bounds, interval, resampled_means


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


def errors_of(prediction: np.ndarray, target: np.ndarray, definition: Target) -> Errors:
    """Compare predictions with targets, both (items,) in the target's unit."""
    found = errors_from(error_terms(prediction, target).mean(1), definition)
    return Errors(**{name: float(value) for name, value in found.items()})


def error_terms(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return what errors are made of, (4, items), of predictions and targets (items,)."""
    difference = prediction - target
    deviation = target - target.mean()  # from a fixed mean: only its digits matter
    return np.stack([np.abs(difference), difference**2, deviation, deviation**2])


def errors_from(means: np.ndarray, definition: Target) -> dict[str, np.ndarray]:
    """Return the errors by name, (...), of means (..., 4) of ``error_terms``."""
    absolute, squared, deviation, square = np.moveaxis(means, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - squared / (square - deviation**2)
    return {
        "mae": absolute * definition.error_factor,
        "rmse": np.sqrt(squared) * definition.error_factor,
        "r2": np.where(np.isfinite(r2), r2, np.nan),
    }


def force_errors_of(prediction: np.ndarray, target: np.ndarray, definition: Target) -> ForceErrors:
    """Compare forces with their targets, both (nodes, 3) in the target's unit."""
    one = np.array([len(target)])
    found = force_errors_from(force_error_terms(prediction, target, one).mean(1), definition)
    return ForceErrors(**{name: float(value) for name, value in found.items()})


def force_error_terms(prediction: np.ndarray, target: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Return what the errors of forces are made of, summed over the atoms of each item.

    Args:
        prediction: (nodes, 3).
        target: (nodes, 3).
        atoms: (items,) how many of the nodes belong to each item, in order.

    Returns:
        (5, items): absolute and squared errors, components, cosines, and atoms that have one.
    """
    difference = prediction - target
    sizes = np.linalg.norm(prediction, axis=1) * np.linalg.norm(target, axis=1)  # (nodes,)
    has_cosine = sizes > 0
    products = (prediction * target).sum(1)
    cosines = np.divide(products, sizes, out=np.zeros_like(sizes), where=has_cosine)
    of_atoms = [
        np.abs(difference).sum(1),
        (difference**2).sum(1),
        np.full(len(target), 3.0),
        cosines,
        has_cosine.astype(float),
    ]
    first = np.concatenate([[0], np.cumsum(atoms)[:-1]])
    return np.add.reduceat(np.stack(of_atoms), first, axis=1)


def force_errors_from(means: np.ndarray, definition: Target) -> dict[str, np.ndarray]:
    """Return the errors by name, (...), of means (..., 5) of ``force_error_terms``."""
    absolute, squared, components, cosine, atoms = np.moveaxis(means, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "mae": absolute / components * definition.error_factor,
            "rmse": np.sqrt(squared / components) * definition.error_factor,
            "cosine": cosine / atoms,
        }


def intervals_of(terms: np.ndarray, definition: Target) -> dict[str, Bounds]:
    """Return bootstrap intervals of the ``Errors`` by name, of ``error_terms`` (4, items)."""
    found = errors_from(resampled_means(terms), definition)
    return {name: interval(values) for name, values in found.items()}


def force_intervals_of(terms: np.ndarray, definition: Target) -> dict[str, Bounds]:
    """Return those of the ``ForceErrors``, of ``force_error_terms`` (5, items).

    All atoms of an item are resampled together.
    """
    found = force_errors_from(resampled_means(terms), definition)
    return {name: interval(values) for name, values in found.items()}

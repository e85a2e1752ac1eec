"""Deviations of an ensemble against its errors, on made-up members whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from molcryst_bench.sources.card import Target
from molcryst_bench.training.ensemble import ensemble_errors
from molcryst_bench.training.metrics import errors_of

DEFINITION = Target(unit="eV", error_unit="meV", error_factor=1000)


def members(
    count: int, scale: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions of members around a truth that is drawn like them."""
    centre = generator.normal(size=len(scale))
    target = centre + scale * generator.normal(size=len(scale))
    return centre + scale * generator.normal(size=(count, len(scale))), target


def test_members_drawn_like_the_truth_are_calibrated() -> None:
    generator = np.random.default_rng(0)
    scale = generator.uniform(0.1, 3.0, 4000)
    predictions, target = members(60, scale, generator)
    found = ensemble_errors(predictions, target, DEFINITION)
    assert found is not None
    assert found.miscalibration < 0.02
    assert found.correlation > 0.5
    assert found.binned_error == pytest.approx(found.binned_deviation, rel=0.15)
    assert (np.diff(found.binned_deviation) > 0).all()
    assert found.deviation == pytest.approx(1000 * np.sqrt(np.square(scale).mean()), rel=0.05)


def test_two_members_by_hand() -> None:
    predictions = np.array([[0.0, 1.0, 2.0, 4.0], [2.0, 1.4, 2.2, 4.8]])
    target = np.array([0.0, 1.0, 2.0, 4.0])
    found = ensemble_errors(predictions, target, DEFINITION)
    assert found is not None
    assert found.members == 2
    assert found.errors == errors_of(np.array([1.0, 1.2, 2.1, 4.4]), target, DEFINITION)
    # |difference| / sqrt(2) = sqrt(2) |error|: the order is the same.
    assert found.correlation == pytest.approx(1.0)
    squares = np.square([2.0, 0.4, 0.2, 0.8]) / 2
    assert found.deviation == pytest.approx(1000 * np.sqrt(squares.mean()))
    assert found.binned_error == pytest.approx([1000 * np.sqrt((1 + 0.04 + 0.01 + 0.16) / 4)])


def test_confident_members_are_miscalibrated() -> None:
    generator = np.random.default_rng(1)
    predictions, target = members(5, np.full(2000, 0.1), generator)
    found = ensemble_errors(predictions, target + 1.0, DEFINITION)
    assert found is not None
    assert found.miscalibration > 0.45
    assert abs(found.correlation) < 0.1
    assert found.binned_error.min() > 5 * found.binned_deviation.max()


@pytest.mark.parametrize(
    "predictions",
    [
        np.ones((1, 20)),
        np.tile(np.arange(20.0), (3, 1)),
        np.where(np.arange(20) == 3, np.nan, np.random.default_rng(2).normal(size=(3, 20))),
    ],
    ids=["one", "equal", "diverged"],
)
def test_nothing_to_compare(predictions: np.ndarray) -> None:
    assert ensemble_errors(predictions, np.zeros(20), DEFINITION) is None

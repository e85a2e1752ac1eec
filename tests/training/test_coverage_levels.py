"""Coverage at all levels, and the miscalibration area, against plain calculations."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from molcryst_bench.training.coverage import (
    NOMINAL,
    coverage_at,
    gaussian_levels,
    miscalibration_area,
)
from molcryst_bench.training.uncertainty import Calibration


def plain_area(error: np.ndarray, deviation: np.ndarray, steps: int = 4000) -> float:
    """Integrate by the midpoint rule what Tran et al. draw: observed against expected parts."""
    total = 0.0
    for step in range(steps):
        expected = (step + 0.5) / steps
        half = NormalDist().inv_cdf(0.5 + expected / 2)
        observed = sum(abs(e) <= half * s for e, s in zip(error, deviation, strict=True))
        total += abs(observed / len(error) - expected) / steps
    return total


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_area_of_normal_distributions(factor: float) -> None:
    generator = np.random.default_rng(0)
    deviation = generator.uniform(0.1, 2.0, 80)
    error = factor * deviation * generator.normal(size=80)
    found = miscalibration_area(gaussian_levels(error, deviation))
    assert found == pytest.approx(plain_area(error, deviation), abs=2e-4)


def test_the_area_by_hand() -> None:
    # Covered from 1/4 and from 3/4 on: the coverage is 0, 1/2, 1, and four triangles are left.
    assert miscalibration_area(np.array([0.75, 0.25])) == pytest.approx(4 * (1 / 4) ** 2 / 2)
    assert miscalibration_area(np.ones(5)) == pytest.approx(0.5)
    assert miscalibration_area(np.zeros(5)) == pytest.approx(0.5)
    assert miscalibration_area((np.arange(1000) + 0.5) / 1000) < 3e-4


def test_normal_intervals_of_known_levels() -> None:
    levels = gaussian_levels(
        np.array([1.959964, -0.674490, 0.0, 0.0, 3.0]), np.array([1, 1, 1, 0, 0])
    )
    assert levels == pytest.approx([0.95, 0.5, 0.0, 0.0, 1.0], abs=1e-6)


@pytest.mark.parametrize("size", [9, 20, 57])
def test_levels_agree_with_the_intervals_themselves(size: int) -> None:
    generator = np.random.default_rng(size)
    calibration = Calibration(generator.normal(size=size).round(1))  # with ties
    prediction = generator.normal(0, 1.2, 500).round(1)
    levels = calibration.levels(prediction, np.zeros(500))
    ranks = np.arange(1, size + 1) / (size + 1)
    for nominal in [*NOMINAL[size / (size + 1) >= NOMINAL], *ranks]:
        measured = calibration.measure(prediction, np.zeros(500), nominal)
        assert measured is not None
        assert coverage_at(levels, nominal) == measured.coverage, nominal


def regression(inputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    noise = 0.3 * generator.normal(size=len(inputs))
    return np.asarray(np.sin(inputs) + noise)


def test_all_levels_hold_for_exchangeable_data_and_not_after_a_shift() -> None:
    """A line fitted to part of a sine: its intervals are right there, and wrong farther on."""
    generator = np.random.default_rng(3)
    train, valid, test = generator.uniform(-1.5, 1.5, (3, 4000))
    line = np.polyfit(train, regression(train, generator), 1)
    errors = np.polyval(line, valid) - regression(valid, generator)
    calibration = Calibration(errors)
    alike = calibration.levels(np.polyval(line, test), regression(test, generator))
    # Parts of two samples of 4,000 differ by chance, sd at most sqrt(2 / 4 / 4000) = 0.011.
    assert np.abs(coverage_at(alike, NOMINAL) - NOMINAL).max() < 4 * 0.0112
    assert miscalibration_area(alike) < 0.03
    shifted = generator.uniform(1.5, 4.0, 4000)
    other = calibration.levels(np.polyval(line, shifted), regression(shifted, generator))
    assert coverage_at(other, np.array(0.9)) < 0.5
    assert miscalibration_area(other) > 0.25

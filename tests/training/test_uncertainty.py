"""Intervals from validation errors: how wide by hand, and how often they hold the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from molcryst_bench.base.errors import RunError, SettingsError
from molcryst_bench.training.uncertainty import (
    CALIBRATION,
    Calibration,
    load_calibration,
    save_calibration,
)

TRIALS = 3000


@pytest.mark.parametrize(
    ("size", "coverage", "expected"),
    [
        (9, 0.9, 9),
        (9, 0.5, 5),
        (9, 0.1, 1),
        (9, 0.11, 2),
        (19, 0.9, 18),
        (20, 0.9, 19),
        (99, 0.9, 90),
    ],
)
def test_half_widths_by_hand(size: int, coverage: float, expected: float) -> None:
    """The k-th smallest of the errors 1 to n is k."""
    errors = np.random.default_rng(0).permutation(np.arange(1.0, size + 1))
    signs = np.where(errors % 2 == 0, 1, -1)
    assert Calibration(signs * errors).half_width(coverage) == expected


def test_whole_ranks_are_not_rounded_up() -> None:
    for size in range(1, 200):
        calibration = Calibration(np.arange(1.0, size + 1))
        for rank in range(1, size + 1):
            assert calibration.half_width(rank / (size + 1)) == rank


def test_too_few_records_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(RunError, match=r"intervals of 90 % need 9 .*, this model has 8"):
        Calibration(np.arange(8.0)).half_width(0.9)
    with pytest.raises(RunError, match=r"intervals of 99.9 % need 999"):
        Calibration(np.arange(998.0)).half_width(0.999)
    assert Calibration(np.arange(999.0)).half_width(0.999) == 998
    assert Calibration(np.arange(8.0)).measure(np.zeros(3), np.zeros(3), 0.9) is None


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.5, 90.0, float("nan")])
def test_a_coverage_that_is_no_part_is_refused(coverage: float) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1"):
        Calibration(np.arange(20.0)).half_width(coverage)


@pytest.mark.parametrize("distribution", ["normal", "standard_cauchy", "exponential"])
@pytest.mark.parametrize(("size", "coverage"), [(10, 0.9), (37, 0.8), (200, 0.5)])
def test_coverage_holds_for_any_exchangeable_errors(
    distribution: str, size: int, coverage: float
) -> None:
    """Over calibration sets, the expected coverage is k/(n + 1), without ties, at least c."""
    generator = np.random.default_rng(7)
    errors = getattr(generator, distribution)(size=(TRIALS, size + 1))
    held = [
        measured.coverage
        for calibration in errors
        if (
            measured := Calibration(calibration[:-1]).measure(
                calibration[-1:], np.zeros(1), coverage
            )
        )
    ]
    expected = np.ceil((size + 1) * coverage - 1e-9) / (size + 1)
    deviation = np.sqrt(expected * (1 - expected) / TRIALS)
    assert len(held) == TRIALS
    assert abs(np.mean(held) - expected) < 4 * deviation
    assert coverage <= expected < coverage + 1 / (size + 1)


def test_a_shifted_test_set_loses_coverage() -> None:
    generator = np.random.default_rng(1)
    target = generator.normal(size=4000)
    calibration = Calibration(generator.normal(0, 0.1, 2000))
    alike = calibration.measure(target + generator.normal(0, 0.1, 4000), target, 0.9)
    biased = calibration.measure(target + generator.normal(0.2, 0.1, 4000), target, 0.9)
    wider = calibration.measure(target + generator.normal(0, 0.3, 4000), target, 0.9)
    assert alike is not None
    assert biased is not None
    assert wider is not None
    assert alike.coverage == pytest.approx(0.9, abs=0.03)
    assert alike.width == biased.width == pytest.approx(2 * 1.645 * 0.1, rel=0.1)
    assert biased.coverage < 0.5  # P(|x + 2| < 1.645) = 0.36
    assert wider.coverage < 0.6  # P(|x| < 1.645 / 3) = 0.42


def test_the_errors_of_a_mean_are_the_means_of_errors() -> None:
    generator = np.random.default_rng(2)
    target, predictions = generator.normal(size=50), generator.normal(size=(4, 50))
    joint = Calibration.of_mean([Calibration(each - target) for each in predictions])
    np.testing.assert_allclose(joint.residuals, predictions.mean(0) - target, rtol=1e-12)


def test_errors_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    assert load_calibration(tmp_path) is None
    residuals = np.random.default_rng(3).normal(size=20)
    save_calibration(tmp_path, Calibration(residuals))
    found = load_calibration(tmp_path)
    assert found is not None
    np.testing.assert_array_equal(found.residuals, residuals)
    (tmp_path / CALIBRATION).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(RunError, match=CALIBRATION):
        load_calibration(tmp_path)

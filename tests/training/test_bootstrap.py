"""Bootstrap intervals against plain loops over resampled items."""

from __future__ import annotations

import time

import numpy as np
import pytest

from molcryst_bench.sources.card import Target
from molcryst_bench.training.bootstrap import RESAMPLES, interval, resampled_means
from molcryst_bench.training.metrics import (
    error_terms,
    errors_of,
    force_error_terms,
    force_errors_of,
    force_intervals_of,
    intervals_of,
)

DEFINITION = Target(unit="eV", error_unit="meV", error_factor=1000)
FORCES = Target(unit="eV/Å", error_unit="meV/Å", error_factor=1000, level="node", components=3)


def resamples(items: int, count: int = 400) -> np.ndarray:
    """Draw items one resample at a time, from another generator than the code under test."""
    generator = np.random.RandomState(5)
    return np.stack([generator.randint(0, items, items) for _ in range(count)])


def test_intervals_agree_with_a_loop_over_resamples() -> None:
    generator = np.random.default_rng(0)
    target = generator.normal(5, 2, 300)
    prediction = target + generator.standard_t(4, 300)
    found = intervals_of(error_terms(prediction, target), DEFINITION)
    plain = [errors_of(prediction[rows], target[rows], DEFINITION) for rows in resamples(300)]
    for index, name in enumerate(("mae", "rmse", "r2")):
        low, high = np.quantile([errors[index] for errors in plain], [0.025, 0.975])
        assert found[name] == pytest.approx((low, high), abs=0.15 * (high - low)), name


def test_forces_are_resampled_by_structure() -> None:
    generator = np.random.default_rng(1)
    atoms = generator.integers(2, 9, 150)
    owner = np.repeat(np.arange(150), atoms)
    target = generator.normal(size=(len(owner), 3))
    # Errors of one structure are alike: resampling atoms would give intervals far too narrow.
    shared = generator.exponential(size=150)[owner, None]
    prediction = target + shared * generator.normal(size=(len(owner), 3))
    found = force_intervals_of(force_error_terms(prediction, target, atoms), FORCES)
    rows_of = [np.flatnonzero(owner == item) for item in range(150)]
    plain = []
    for drawn in resamples(150):
        rows = np.concatenate([rows_of[item] for item in drawn])
        plain.append(force_errors_of(prediction[rows], target[rows], FORCES))
    for index, name in enumerate(("mae", "rmse", "cosine")):
        low, high = np.quantile([errors[index] for errors in plain], [0.025, 0.975])
        assert found[name] == pytest.approx((low, high), abs=0.15 * (high - low)), name


def test_the_interval_of_a_mean_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    samples = generator.exponential(size=(300, 200))  # 300 test sets of mean 1
    held = []
    for row in samples:
        low, high = interval(resampled_means(row[None], seed=3)[:, 0])
        held.append(low < 1 < high)
    assert np.mean(held) == pytest.approx(0.94, abs=0.04)  # a little less, for skewed errors


def test_equal_predictions_have_intervals_without_width() -> None:
    target = np.arange(20.0)
    found = intervals_of(error_terms(target + 0.5, target), DEFINITION)
    assert found["mae"] == pytest.approx((500.0, 500.0))
    assert found["rmse"] == pytest.approx((500.0, 500.0))


def test_a_constant_target_has_no_r2() -> None:
    found = intervals_of(error_terms(np.arange(10.0), np.full(10, 0.1)), DEFINITION)
    assert np.isnan(found["r2"]).all()
    assert np.isfinite(found["mae"]).all()
    assert np.isnan(errors_of(np.arange(10.0), np.full(10, 0.1), DEFINITION).r2)


def test_the_test_set_of_qm9_takes_a_moment() -> None:
    generator = np.random.default_rng(4)
    target = generator.normal(size=10_831)
    prediction = target + generator.normal(size=10_831)
    start = time.process_time()
    assert len(intervals_of(error_terms(prediction, target), DEFINITION)) == 3
    assert time.process_time() - start < 3.0  # 0.15 s on one core of 2024
    assert resampled_means(target[None]).shape == (RESAMPLES, 1)

from __future__ import annotations

import math

import numpy as np
import pytest

from molcryst_bench.report import formatting
from molcryst_bench.report.entries import Summary
from molcryst_bench.report.statistics import shared_ranks
from molcryst_bench.training.bootstrap import RESAMPLES, interval, resampled_means


def errors_with(*biases: float, items: int = 400) -> np.ndarray:
    """Models that share the difficulty of items; their mean errors differ by their bias alone."""
    generator = np.random.default_rng(0)
    difficulty = generator.exponential(1.0, items)
    noise = generator.normal(0, 0.05, (len(biases), items))
    noise -= noise.mean(axis=1, keepdims=True)
    errors: np.ndarray = difficulty + noise + np.array(biases)[:, None]
    return errors


def test_every_model_sees_the_same_resamples() -> None:
    errors = errors_with(0.0)
    means = resampled_means(np.concatenate([errors, errors + 1.0]))
    assert means.shape == (RESAMPLES, 2)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 1.0)


def test_resamples_depend_on_the_seed_alone() -> None:
    errors = errors_with(0.0, 0.1)
    np.testing.assert_array_equal(resampled_means(errors), resampled_means(errors))
    assert not np.array_equal(resampled_means(errors), resampled_means(errors, seed=1))


def test_the_interval_agrees_with_the_standard_error() -> None:
    errors = errors_with(0.0)
    low, high = interval(resampled_means(errors)[:, 0])
    standard_error = errors[0].std(ddof=1) / math.sqrt(errors.shape[1])
    assert low < errors[0].mean() < high
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)


def test_a_difference_that_the_paired_test_sees_separates_ranks() -> None:
    # The intervals overlap widely; only the paired difference tells the models apart.
    means = resampled_means(errors_with(0.0, 0.02))
    assert interval(means[:, 0])[1] > interval(means[:, 1])[0]
    assert shared_ranks(means) == [1, 2]


def test_models_that_cannot_be_told_apart_share_a_rank() -> None:
    means = resampled_means(errors_with(0.0, 0.001, 0.5, 0.5, 2.0))
    assert shared_ranks(means) == [1, 1, 3, 3, 5]


def test_equal_models_share_a_rank() -> None:
    errors = errors_with(0.0)
    assert shared_ranks(resampled_means(np.concatenate([errors, errors]))) == [1, 1]


def test_a_model_without_finite_errors_has_a_rank_of_its_own() -> None:
    errors = errors_with(0.0, 0.0)
    errors[1] = np.nan
    assert shared_ranks(resampled_means(errors)) == [1, 2]


def test_the_spread_is_the_sample_standard_deviation() -> None:
    assert Summary.over([1.0, 2.0, 6.0]) == Summary(3.0, pytest.approx(math.sqrt(7.0)))
    assert Summary.over([5.0]) == Summary(5.0, None)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([55.21, 430.0], 1), ([0.0123, 5.0], 4), ([1234.0], 0), ([9.99], 2), ([math.nan, 0.0], 1)],
)
def test_decimals_show_the_smallest_value_with_three_digits(
    values: list[float], decimals: int
) -> None:
    assert formatting.decimals_for(values) == decimals


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formatting.number(-0.286, 2), "\N{MINUS SIGN}0.29"),
        (formatting.number(-0.0001, 2), "0.00"),
        (formatting.number(12345.6, 0), "12,346"),
        (formatting.number(math.nan, 2), "n/a"),
        (formatting.number(-9.6206e15, 1), "\N{MINUS SIGN}9.62e15"),
        (formatting.significant(999_999_999_999.0), "999,999,999,999"),
        (formatting.with_spread(55.21, 0.0, 1), "55.2 ± 0.0"),
        (formatting.with_spread(55.21, None, 1), "55.2"),
        (formatting.between((1.0, 2.0), 1), "1.0\N{EN DASH}2.0"),
        (formatting.between((-1.0, 2.0), 1), "\N{MINUS SIGN}1.0 to 2.0"),
        (formatting.percent(0.9012), "90.1 %"),
        (formatting.percent(0.9012, 0.004), "90.1 ± 0.4 %"),
        (formatting.percent(math.nan), "n/a"),
        (formatting.between((math.nan, math.nan), 1), "n/a"),
        (formatting.significant(0.123456), "0.123"),
        (formatting.shortened("a" * 30), "a" * 27 + "…"),
        (formatting.shortened("schnet"), "schnet"),
        (formatting.duration(0.0213), "0.0213 s"),
        (formatting.duration(119.7), "2 min 00 s"),
        (formatting.duration(3725.0), "1 h 02 min"),
    ],
)
def test_numbers_as_text(text: str, expected: str) -> None:
    assert text == expected

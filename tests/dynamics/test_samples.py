"""Samples: distances known in closed form, on the line and on the circle, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm, wasserstein_distance

from molcryst_bench.dynamics.samples import (
    Sample,
    as_units,
    bins_for,
    distance,
    noise,
    wasserstein,
)

TURN = 360.0
VALUES = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-100, 100))


def sample_of(values: np.ndarray, units: int = 10, period: float | None = None) -> Sample:
    return Sample(tuple(np.array_split(values, units)), period)


@given(VALUES, VALUES)
def test_a_distance_on_a_line_is_scipys(one: np.ndarray, other: np.ndarray) -> None:
    found = wasserstein(Sample((one,)), Sample((other,)))
    assert found == pytest.approx(wasserstein_distance(one, other), abs=1e-9)


def test_shifted_gaussians_are_as_far_apart_as_they_were_shifted() -> None:
    values = norm.ppf((np.arange(4000) + 0.5) / 4000, 1.5, 0.03)
    values = np.random.default_rng(0).permutation(values)
    found = distance(sample_of(values), sample_of(values + 0.005))
    assert found.value == pytest.approx(0.005, rel=1e-6)
    assert found.low < found.value < found.high < 0.01


def test_a_wider_gaussian_is_as_far_as_quantiles_differ() -> None:
    # W1 of N(0, a²) and N(0, b²) is |a - b| times the mean size of a normal number.
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    found = wasserstein(sample_of(2 * quantiles), sample_of(3 * quantiles))
    assert found == pytest.approx(np.sqrt(2 / np.pi), rel=1e-3)


@given(st.floats(-180, 180), st.floats(0, 150))
def test_on_a_circle_the_shorter_way_counts(start: float, shift: float) -> None:
    values = start + np.random.default_rng(0).normal(0, 5, 60)
    one = sample_of((values + 180) % TURN - 180, 6, TURN)
    other = sample_of((values + shift + 180) % TURN - 180, 6, TURN)
    assert wasserstein(one, other) == pytest.approx(shift, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_on_a_circle_no_cut_gives_less(seed: int) -> None:
    # On equal numbers of points, the best matching is a rotation of the sorted ones.
    draw = np.random.default_rng(seed)
    one, other = np.sort(draw.uniform(-180, 180, (2, 7)), axis=1)
    ways = [np.abs((one - np.roll(other, k) + 180) % TURN - 180).mean() for k in range(7)]
    found = wasserstein(Sample((one,), TURN), Sample((other,), TURN))
    assert found == pytest.approx(min(ways), abs=1e-9)


def test_intervals_hold_the_truth_about_as_often_as_they_promise() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        one = Sample(tuple(draw.normal(0, 1, (16, 40)) + draw.normal(0, 0.1, (16, 1))))
        other = Sample(tuple(draw.normal(1, 1, (16, 40)) + draw.normal(0, 0.1, (16, 1))))
        found = distance(one, other)
        held += found.low <= 1 <= found.high
    assert held >= 50


def test_the_noise_of_a_sample_falls_with_the_root_of_its_size() -> None:
    draw = np.random.default_rng(0)
    small, large = (noise(sample_of(draw.normal(0, 1, n), 20)) for n in (400, 40_000))
    assert 7 < small / large < 14
    assert np.isnan(noise(Sample((np.arange(3.0),))))


def test_two_draws_of_one_distribution_are_as_far_apart_as_noise() -> None:
    draw = np.random.default_rng(1)
    one, other = (sample_of(draw.normal(0, 1, 2000), 20) for _ in range(2))
    assert wasserstein(one, other) < 1.5 * noise(one)


def test_the_mean_difference_is_ginis() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    assert sample_of(values).mean_difference() == pytest.approx(2 * 2 / np.sqrt(np.pi), rel=0.03)
    around = sample_of(np.linspace(-180, 180, 1000, endpoint=False), 10, TURN)
    assert around.mean_difference() == pytest.approx(90, rel=0.01)


def test_means_and_deviations_on_a_circle_do_not_see_its_cut() -> None:
    values = 180 + np.random.default_rng(0).normal(0, 5, 4000)
    found = sample_of((values + 180) % TURN - 180, 10, TURN)
    assert abs(found.mean) == pytest.approx(180, abs=0.3)
    assert found.deviation == pytest.approx(5, rel=0.05)


def test_a_histogram_is_a_density_with_the_truth_in_its_interval() -> None:
    sample = sample_of(np.random.default_rng(0).normal(0, 1, 20_000), 20)
    edges = bins_for([sample])
    found = sample.histogram(edges)
    middle = (edges[1:] + edges[:-1]) / 2
    assert (found.density * np.diff(edges)).sum() == pytest.approx(1, abs=0.005)
    held = (found.low <= norm.pdf(middle) + 1e-3) & (norm.pdf(middle) - 1e-3 <= found.high)
    assert held.mean() > 0.85
    assert sample.histogram(edges).density.tolist() == found.density.tolist()


def test_units_are_blocks_of_consecutive_frames() -> None:
    units = as_units(np.arange(12).reshape(6, 2), 4)
    assert [unit.tolist() for unit in units] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11]]
    assert len(as_units(np.arange(6).reshape(3, 2), 20)) == 3
